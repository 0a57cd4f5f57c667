//! The perdure binary: command line, wiring and the embedding API.
