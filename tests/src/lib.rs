//! End-to-end tests and the checks of the house itself.
