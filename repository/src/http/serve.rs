//! The accept loop, on hyper itself: axum's own has no time-outs, so a client that sends half a header would stay for
//! ever.
//!
//! 1. bind, and log the address
//! 2. accept; each connection has limits on the head of a request, on idling and on a client that reads nothing
//! 3. drain: accept no more, and let open requests finish within the grace period

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

/// Maximum bytes of a request's head; also what is read ahead of a body.
const HEAD_BYTES: usize = 64 << 10;

/// Maximum connections, whatever the descriptors allow.
const MAX_CONNECTIONS: usize = 50_000;

/// Maximum connections that wait to be accepted: the default limit of Linux.
const BACKLOG: u32 = 4096;

#[derive(Debug, Clone)]
pub(crate) struct ServerSettings {
    pub(crate) listen: SocketAddr,
    /// For https; without it the server speaks plain HTTP.
    pub(crate) tls: Option<Files>,
    /// For the head of a request, and for a TLS handshake.
    pub(crate) header_timeout: Duration,
    /// For a client that reads nothing.
    pub(crate) stall_timeout: Duration,
    /// For open requests, when the server stops.
    pub(crate) grace_period: Duration,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(
        "failed to listen on {address}: is another server there, or is the port below 1024 without the right to use it?"
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

    /// The address with the port that the system chose for port 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `stop` completes.
    pub(crate) async fn run_until(&self, stop: impl Future<Output = ()>) {
        let room = Arc::new(Semaphore::new(max_connections()));
        let mut stop = std::pin::pin!(stop);
        loop {
            let accept = async {
                // Without room, connections wait in the kernel's queue; silent ones end within seconds.
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
                    // Usually out of descriptors, which other connections give back.
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
        tracing::info!("stopping: open requests may finish");
        let drained = tokio::time::timeout(self.grace_period, self.graceful.shutdown());
        if drained.await.is_err() {
            tracing::warn!("the grace period is over: some requests were interrupted");
        }
    }
}

/// Listens with a longer queue than musl's 128: a client that finds the queue full is not refused, but retries after a
/// second.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Connections of a server that was just stopped may still hold the port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Descriptors for everything but connections: the log, the cache, open files.
const RESERVED: u64 = 512;

/// Maximum connections. Each needs a descriptor, and another one for the file that it reads or writes. Raises the soft
/// limit to the hard one first.
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

/// A router always answers.
fn infallible(answer: Result<Response, Infallible>) -> Response {
    answer.unwrap_or_else(|never| match never {})
}

/// What serves a connection.
#[derive(Debug, Clone)]
struct Service {
    app: App,
    router: Router,
    header_timeout: Duration,
    stall_timeout: Duration,
}

impl Service {
    /// Authorizes, answers and logs a request. As layers of the router, each of these steps would cost an allocation
    /// per request.
    async fn answer(self, peer: Peer, request: http::Request<Body>) -> Response {
        let Self { app, router, .. } = self;
        let (mut parts, body) = request.into_parts();
        let line = RequestLine::begin(&parts, peer);
        let who = match app.access.authorize(peer, &parts).await {
            Ok(who) => who,
            Err(Refusal { failure, who }) => {
                parts.extensions.insert(peer);
                let response = session::refusal(&parts, failure);
                return line.end(&app.metrics, response, who.as_ref());
            }
        };
        let path = parts.uri.path();
        let (is_page, is_stream) = (paths::is_page(path), path == paths::EVENTS);
        if line.is_write() || is_page {
            parts.extensions.insert(who.clone());
        }
        if is_page || is_stream {
            parts.extensions.insert(peer);
        }
        let request = http::Request::from_parts(parts, body);
        let ask = |request: http::Request<Body>| router.clone().call(request).map(infallible);
        let services = (&*app.catalogue, &*app.access, &*app.waiting);
        let response = long_poll::answer(services, peer, request, ask).await;
        line.end(&app.metrics, response, Some(&who))
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
        // Small answers must not wait for the client's delayed acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "the client is gone already");
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
        // A client that reads nothing holds a descriptor and a buffer.
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
            self.clone().answer(peer, request).map(Ok::<_, Infallible>)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_timeout)
            .max_buf_size(HEAD_BYTES)
            // The buffer alone may grow beyond its limit before hyper checks it.
            .max_header_size(HEAD_BYTES)
            // `printf … | nc -N` closes its side and waits for the answer.
            .half_close(true)
            .serve_connection(TokioIo::new(Box::pin(stream)), service);
        watcher.watch(connection).await
    }
}
