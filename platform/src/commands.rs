//! The commands, one module each.

pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod console;
pub(crate) mod doctor;
pub(crate) mod domain;
pub(crate) mod down;
pub(crate) mod logs;
pub(crate) mod publish;
pub(crate) mod releases;
pub(crate) mod rollback;
pub(crate) mod run;
pub(crate) mod scale;
pub(crate) mod secret;
pub(crate) mod status;
pub(crate) mod up;
