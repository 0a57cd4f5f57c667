//! Static and dynamic configuration as typed values.
