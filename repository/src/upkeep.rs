//! Maintenance of a store: garbage collection, the check for damage, readiness, and the cache of a remote store.

pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod gc;
pub(crate) mod housekeeping;
pub(crate) mod readiness;
