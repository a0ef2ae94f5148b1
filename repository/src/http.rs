//! The HTTP server: routes, access, handlers and the console.

pub(crate) mod access;
pub(crate) mod conditional;
pub(crate) mod console;
pub(crate) mod drain;
pub(crate) mod failure;
pub(crate) mod handlers;
pub(crate) mod long_poll;
pub(crate) mod metrics;
pub(crate) mod negotiate;
pub(crate) mod openapi;
pub(crate) mod range;
pub(crate) mod receive;
pub(crate) mod request_log;
pub(crate) mod router;
pub(crate) mod serve;
pub(crate) mod socket;
pub(crate) mod tls;
pub(crate) mod watched_file;
pub(crate) mod workers;
