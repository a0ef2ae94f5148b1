//! The command line: arguments, settings, the log, and one file per command.

pub(crate) mod arguments;
pub(crate) mod commands;
pub(crate) mod healthcheck;
pub(crate) mod logging;
pub(crate) mod output;
pub(crate) mod settings;
