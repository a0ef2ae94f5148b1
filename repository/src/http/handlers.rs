//! Request handlers, one module per resource.

pub(crate) mod artefact;
pub(crate) mod channel;
pub(crate) mod config;
pub(crate) mod events;
pub(crate) mod legacy;
pub(crate) mod listing;
pub(crate) mod probe;
pub(crate) mod release;
pub(crate) mod retention;
pub(crate) mod signature;
pub(crate) mod yank;
