//! The public gRPC services: validation, admission and error mapping.
