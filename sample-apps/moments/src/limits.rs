//! Bounds that several modules share: the page tells the browser what the handlers accept.

/// Windows that may be open at the same time.
pub(crate) const WINDOWS: u32 = 10_000;

/// Uploads that may run at the same time. Each holds its picture in memory.
pub(crate) const UPLOADS: usize = 8;

/// Size of a picture.
pub(crate) const PICTURE_BYTES: usize = 8 << 20;

pub(crate) const CAPTION_CHARACTERS: usize = 200;
pub(crate) const NAME_CHARACTERS: usize = 40;
pub(crate) const COMMENT_CHARACTERS: usize = 500;

/// Events that a replica and Redis keep. The oldest is dropped first; dropping a picture drops its comments.
pub(crate) const EVENTS: usize = 2000;
