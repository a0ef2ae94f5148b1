//! Artefacts, config, releases and channels: what can happen to an app, and what follows from it. Knows no HTTP.

pub(crate) mod catalogue;
pub(crate) mod completion;
pub(crate) mod configure;
pub(crate) mod differences;
pub(crate) mod layers;
pub(crate) mod policy;
pub(crate) mod promote;
pub(crate) mod publish;
pub(crate) mod purge;
pub(crate) mod releases;
pub(crate) mod scope;
pub(crate) mod timestamp;
pub(crate) mod token;
