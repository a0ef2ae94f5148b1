//! Replies of the mock. A reply is a closure that answers one request; every fault wraps another reply.

use std::fmt;
use std::sync::Arc;

use super::connection::{Connection, Request};

type Answer = dyn Fn(&Request, &mut Connection) + Send + Sync;

#[derive(Clone)]
pub struct Reply(Arc<Answer>);

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reply")
    }
}

impl Reply {
    pub fn from_fn(send: impl Fn(&Request, &mut Connection) + Send + Sync + 'static) -> Self {
        Self(Arc::new(send))
    }

    pub fn send(&self, request: &Request, connection: &mut Connection) {
        (self.0)(request, connection);
    }

    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self::from_fn(move |_, connection| connection.send(status, &body))
    }

    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    /// A file with a strong entity tag, from a server that supports `Range` and `If-Range`.
    pub fn file(body: impl Into<Vec<u8>>, etag: &str) -> Self {
        let body = body.into();
        let tag = etag.to_owned();
        let send = move |request: &Request, connection: &mut Connection| {
            let is_current = request.header("if-range").is_none_or(|known| known == tag);
            match first_byte(request).filter(|_| is_current) {
                None => connection.send(200, &body),
                Some(first) if first >= body.len() => connection.send(416, b""),
                Some(first) => {
                    let range = format!("bytes {first}-{}/{}", body.len() - 1, body.len());
                    connection.header("Content-Range", &range);
                    connection.send(206, &body[first..]);
                }
            }
        };
        Self::from_fn(send)
            .header("ETag", etag)
            .header("Accept-Ranges", "bytes")
    }

    pub fn problem(status: u16, detail: &str) -> Self {
        let body = serde_json::json!({ "title": "a problem", "status": status, "detail": detail });
        Self::new(status, body.to_string()).header("Content-Type", "application/problem+json")
    }

    /// The 404 of a plain file server.
    pub fn absent() -> Self {
        Self::new(404, "<html>not found</html>").header("Content-Type", "text/html")
    }

    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        Self::from_fn(move |request, connection| {
            connection.header(&name, &value);
            self.send(request, connection);
        })
    }

    /// Closes the connection after `bytes` of the body.
    #[must_use]
    pub fn closed_after(self, bytes: usize) -> Self {
        self.cut(bytes, Connection::close)
    }

    #[must_use]
    pub fn reset_after(self, bytes: usize) -> Self {
        self.cut(bytes, Connection::reset)
    }

    #[must_use]
    pub fn stalled_after(self, bytes: usize) -> Self {
        self.cut(bytes, Connection::stall)
    }

    fn cut(self, bytes: usize, end: fn(&mut Connection)) -> Self {
        Self::from_fn(move |request, connection| {
            connection.limit_body(bytes);
            self.send(request, connection);
            end(connection);
        })
    }
}

/// The first byte of an open range (`bytes=N-`).
fn first_byte(request: &Request) -> Option<usize> {
    let range = request.header("range")?;
    let first = range.strip_prefix("bytes=")?.strip_suffix('-')?;
    first.parse().ok()
}
