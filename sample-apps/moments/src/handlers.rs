//! The HTTP handlers. A picture or comment that a client sends is appended to the log, and reaches every window,
//! the sender's included, through the log.

mod append;
mod comment;
mod picture;
mod show;
mod upload;
mod window;

pub(crate) use comment::comment;
pub(crate) use picture::picture;
pub(crate) use show::{page, parameters, status};
pub(crate) use upload::upload;
pub(crate) use window::window;
