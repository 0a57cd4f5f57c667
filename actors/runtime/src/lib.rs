//! Supervised actors: the only crate that names actix.
