//! Export into a tree of files, and import from one.

pub(crate) mod export;
pub(crate) mod import;
mod log_end;
pub(crate) mod report;
