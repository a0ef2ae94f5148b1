//! What keeps a store in order: garbage collection, the check for damage, readiness.

pub(crate) mod check;
pub(crate) mod gc;
pub(crate) mod housekeeping;
pub(crate) mod readiness;
