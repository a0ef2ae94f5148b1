//! Artefacts, config, releases and channels: what can happen to them, and what follows. Knows no HTTP.
//!
//! 1. [`event`]: what can happen; [`state`]: what follows from it; [`policy`], [`scope`], [`token`]: parts of both
//! 2. [`catalogue`]: the logs with their states in memory
//! 3. one module per operation: [`publish`], [`configure`], [`promote`], [`sign`], [`yank`], [`purge`], [`retention`];
//!    for readers, [`releases`] and [`differences`]

pub(crate) mod catalogue;
mod completion;
pub(crate) mod configure;
pub(crate) mod differences;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod layer_file;
pub(crate) mod policy;
pub(crate) mod precondition;
pub(crate) mod promote;
pub(crate) mod publish;
pub(crate) mod purge;
pub(crate) mod releases;
pub(crate) mod retention;
pub(crate) mod scope;
pub(crate) mod sign;
pub(crate) mod state;
pub(crate) mod timestamp;
pub(crate) mod token;
pub(crate) mod yank;
