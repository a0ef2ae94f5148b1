//! The HTTP server.
//!
//! 1. [`serve`]: connections; [`tls`] and [`drain`] below it
//! 2. [`access`]: who asks, and what they may do; [`request_log`]: one line per request
//! 3. [`long_poll`]: answers that wait for a change; [`waiting`]: room for them
//! 4. [`router`]: to the [`handlers`] of the API and the pages of the [`console`], which take what they need from
//!    [`state`]
//! 5. [`extract`], [`query`], [`page`], [`receive`]: from a request; [`answer`], [`failure`], [`etag`],
//!    [`conditional`], [`range`], [`negotiate`]: to an answer
//! 6. [`openapi`], [`metrics`]: what the server says about itself

pub(crate) mod access;
mod answer;
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
mod router;
pub(crate) mod serve;
pub(crate) mod state;
pub(crate) mod tls;
pub(crate) mod waiting;
mod watched_file;
