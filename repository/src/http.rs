//! The HTTP server.
//!
//! 1. [`serve`]: connections, with [`tls`] and [`drain`]
//! 2. [`access`]: authentication and authorization; [`request_log`]: one log line per request
//! 3. [`long_poll`]: requests that wait for a change; [`waiting`]: their limit
//! 4. [`router`]: routes to the [`handlers`] of the API and the pages of the [`console`], with their [`state`]
//! 5. [`extract`], [`query`], [`page`], [`receive`]: read requests; [`response`], [`failure`], [`etag`],
//!    [`conditional`], [`range`], [`negotiate`]: build responses
//! 6. [`openapi`], [`metrics`]: the description and the metrics of the server

pub(crate) mod access;
mod conditional;
mod console;
mod drain;
mod etag;
mod extract;
mod failure;
mod handlers;
mod long_poll;
pub(crate) mod metrics;
mod negotiate;
mod openapi;
mod page;
mod paths;
mod query;
mod range;
pub(crate) mod receive;
mod request_log;
mod response;
mod router;
pub(crate) mod serve;
pub(crate) mod state;
pub(crate) mod tls;
pub(crate) mod waiting;
mod watched_file;
