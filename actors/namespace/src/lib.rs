//! Namespaces: settings snapshots and their actor.
