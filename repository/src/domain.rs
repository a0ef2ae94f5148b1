//! The rules of artefacts, config, releases and channels, without HTTP.
//!
//! 1. [`event`]: the contents of logs; [`state`]: the result of applying them; [`policy`], [`scope`], [`token`]: their
//!    values
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
