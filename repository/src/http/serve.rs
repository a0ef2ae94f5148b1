//! The accept loop. It uses hyper directly because `axum::serve` has no timeouts, so a client that sends half a header
//! would hold its connection forever.
//!
//! 1. bind, and log the address
//! 2. accept; each connection limits the size and duration of request heads, idle time and stalled writes
//! 3. drain: stop accepting, and let open requests finish within the grace period

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use futures_util::FutureExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tower::Service as _;

use super::access::{Peer, Refusal};
use super::console::session;
use super::drain::Drained;
use super::metrics::Counted;
use super::request_log::RequestLine;
use super::state::App;
use super::tls::{Files, Tls, TlsError};
use super::{long_poll, paths, router};

/// Maximum bytes of a request head, and of the read buffer.
const HEAD_BYTES: usize = 64 << 10;

/// Maximum connections, even if more descriptors are available.
const MAX_CONNECTIONS: usize = 50_000;

/// Maximum connections in the accept queue: the default limit of Linux.
const BACKLOG: u32 = 4096;

#[derive(Debug, Clone)]
pub(crate) struct ServerSettings {
    pub(crate) listen: SocketAddr,
    /// Certificate and key for https. Without them, the server speaks plain HTTP.
    pub(crate) tls: Option<Files>,
    /// Timeout of a request head, and of a TLS handshake.
    pub(crate) header_timeout: Duration,
    /// Timeout of a write to a client that does not read.
    pub(crate) stall_timeout: Duration,
    /// Maximum time for open requests to finish when the server stops.
    pub(crate) grace_period: Duration,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(
        "failed to listen on {address}: check that no other process uses the port; a port below 1024 requires CAP_NET_BIND_SERVICE"
    )]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
    #[error(transparent)]
    Tls(#[from] TlsError),
}

#[derive(Debug)]
pub(crate) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<Tls>>,
    service: Service,
    grace_period: Duration,
    graceful: GracefulShutdown,
}

impl Server {
    pub(crate) fn bind(settings: ServerSettings, app: App) -> Result<Self, ServeError> {
        let address = settings.listen;
        let failed = |source| ServeError::Bind { address, source };
        let listener = listen(address).map_err(failed)?;
        Ok(Self {
            address: listener.local_addr().map_err(failed)?,
            listener,
            tls: settings.tls.map(Tls::open).transpose()?,
            service: Service {
                router: router::router(app.clone()),
                app,
                header_timeout: settings.header_timeout,
                stall_timeout: settings.stall_timeout,
            },
            grace_period: settings.grace_period,
            graceful: GracefulShutdown::new(),
        })
    }

    /// The listening address. For port 0, it has the port that the kernel chose.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `stop` completes.
    pub(crate) async fn run_until(&self, stop: impl Future<Output = ()>) {
        let room = Arc::new(Semaphore::new(max_connections()));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accept = async {
                // At the limit, new connections wait in the kernel's queue. Idle connections time out within seconds.
                let permit = Arc::clone(&room).acquire_owned().await;
                (self.listener.accept().await, permit)
            };
            let (accepted, permit) = tokio::select! {
                accepted = accept => accepted,
                () = &mut stop => return,
            };
            match accepted {
                Ok((stream, address)) => {
                    let peer = Peer {
                        address,
                        is_encrypted: self.tls.is_some(),
                    };
                    let (service, tls) = (self.service.clone(), self.tls.clone());
                    let (watcher, permit) = (self.graceful.watcher(), permit.ok());
                    tokio::spawn(service.serve_connection(stream, tls, peer, watcher, permit));
                }
                Err(error) => {
                    // The usual cause is a lack of descriptors. Closing connections free some.
                    tracing::warn!(%error, "failed to accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// Closes the listener and lets open requests finish within the grace period.
    pub(crate) async fn drain(self) {
        drop(self.listener);
        self.service.app.waiting.stop();
        tracing::info!("stopping: waiting for open requests to finish");
        let drained = tokio::time::timeout(self.grace_period, self.graceful.shutdown());
        if drained.await.is_err() {
            tracing::warn!("the grace period ended: interrupted the remaining requests");
        }
    }
}

/// Listens with a longer queue than musl's default of 128. A client that finds the queue full retries only after a second.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Connections of a previous process may still hold the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Descriptors reserved for everything except connections: the log, the cache, open files.
const RESERVED: u64 = 512;

/// Maximum connections. Each connection needs one descriptor for its socket and one for the file it reads or writes. Raises
/// the soft limit to the hard limit first.
pub(crate) fn max_connections() -> usize {
    let descriptors = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| {
            setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
            Ok(hard)
        })
        .unwrap_or(1024);
    usize::try_from(descriptors.saturating_sub(RESERVED) / 2)
        .unwrap_or(usize::MAX)
        .clamp(16, MAX_CONNECTIONS)
}

fn infallible(result: Result<Response, Infallible>) -> Response {
    result.unwrap_or_else(|never| match never {})
}

/// The state for serving a connection.
#[derive(Debug, Clone)]
struct Service {
    app: App,
    router: Router,
    header_timeout: Duration,
    stall_timeout: Duration,
}

impl Service {
    /// Authorizes, handles and logs a request. As router layers, each step would cost an allocation per request.
    async fn handle(self, peer: Peer, request: http::Request<Body>) -> Response {
        let Self { app, router, .. } = self;
        let (mut parts, body) = request.into_parts();
        let line = RequestLine::begin(&parts, peer);
        let identity = match app.access.authorize(peer, &parts).await {
            Ok(identity) => identity,
            Err(Refusal { failure, identity }) => {
                parts.extensions.insert(peer);
                let response = session::refusal(&parts, failure);
                return line.end(&app.metrics, response, identity.as_ref());
            }
        };
        let path = parts.uri.path();
        let (is_page, is_stream) = (paths::is_page(path), path == paths::EVENTS);
        if line.is_write() || is_page {
            parts.extensions.insert(identity.clone());
        }
        if is_page || is_stream {
            parts.extensions.insert(peer);
        }
        let request = http::Request::from_parts(parts, body);
        let handle = |request: http::Request<Body>| router.clone().call(request).map(infallible);
        let services = (&*app.catalogue, &*app.access, &*app.waiting);
        let response = long_poll::respond(services, peer, request, handle).await;
        line.end(&app.metrics, response, Some(&identity))
    }

    async fn serve_connection(
        self,
        stream: TcpStream,
        tls: Option<Arc<Tls>>,
        peer: Peer,
        watcher: Watcher,
        _permit: Option<OwnedSemaphorePermit>,
    ) {
        let _open = Counted::new(&self.app.metrics.connections);
        // With Nagle's algorithm, small responses would wait for the client's delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the client has disconnected");
            return;
        }
        let served = match tls {
            None => self.serve_http(stream, peer, watcher).await,
            Some(tls) => {
                match tokio::time::timeout(self.header_timeout, tls.accept(stream)).await {
                    Ok(Ok(stream)) => self.serve_http(stream, peer, watcher).await,
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "the TLS handshake failed");
                        return;
                    }
                    Err(_) => return,
                }
            }
        };
        if let Err(error) = served {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    async fn serve_http<S: AsyncRead + AsyncWrite + Send + 'static>(
        self,
        stream: S,
        peer: Peer,
        watcher: Watcher,
    ) -> hyper::Result<()> {
        let mut stream = TimeoutStream::new(stream);
        // A client that does not read holds a descriptor and a buffer.
        stream.set_write_timeout(Some(self.stall_timeout));
        let header_timeout = self.header_timeout;
        let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
            let (parts, body) = request.into_parts();
            let body = if body.is_end_stream() {
                Body::empty()
            } else {
                Body::new(Drained::new(&parts, body))
            };
            let request = http::Request::from_parts(parts, body);
            self.clone().handle(peer, request).map(Ok::<_, Infallible>)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(HEAD_BYTES)
            // hyper checks the buffer limit late, so the buffer alone may grow beyond it.
            .max_header_size(HEAD_BYTES)
            // `printf … | nc -N` closes its sending side and waits for the response.
            .half_close(true)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        watcher.watch(connection).await
    }
}
