//! The accept loop, on hyper itself: axum's own has no time-outs, so a client that sends half a
//! header would stay for ever.
//!
//! 1. bind, and say where
//! 2. accept; each connection with limits on the head, on idling and on a reader that stands still
//! 3. on SIGTERM or SIGINT: accept no more, let what is under way finish within the grace period

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
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tower::Service as _;

use crate::Repository;
use crate::http::access;
use crate::http::access::{Peer, Refusal};
use crate::http::console::{self, session};
use crate::http::drain::Drained;
use crate::http::handlers::events;
use crate::http::long_poll;
use crate::http::metrics::Counted;
use crate::http::request_log::RequestLine;
use crate::http::router;
use crate::http::socket::Socket;
use crate::http::tls::{Tls, TlsError};
use crate::http::workers::Workers;

/// Bytes of a request's head at the most; also what is read ahead of a body.
const HEAD_BYTES: usize = 64 << 10;

/// Connections at once at the most, whatever the descriptors allow.
const MAX_CONNECTIONS: usize = 50_000;

/// Connections that wait to be accepted, at the most: as many as Linux allows unless it is told otherwise.
const BACKLOG: u32 = 4096;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(
        "failed to listen on {address}: is another server there, or is the port below 1024 without the right to use it?"
    )]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("failed to handle signals")]
    Signals(#[source] io::Error),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("failed to start threads")]
    Workers(#[source] io::Error),
}

pub(crate) async fn until_told_to_stop(repository: Arc<Repository>) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let address = repository.settings.listen;
    let bind = |source| ServeError::Bind { address, source };
    let listener = listen(address).map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    tracing::info!(%address, storage = %repository.storage.location(), "repository is ready");

    let tls = repository.settings.tls.clone().map(Tls::open).transpose()?;
    let workers = Workers::start().map_err(ServeError::Workers)?;
    let router = router::router(Arc::clone(&repository));
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(max_connections()));
    loop {
        let accept = async {
            // Who finds no room waits in the kernel's queue; the silent are gone within seconds.
            let permit = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, permit)
        };
        let (accepted, permit) = tokio::select! {
            accepted = accept => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        match accepted {
            Ok((stream, address)) => {
                let peer = Peer {
                    address,
                    is_encrypted: tls.is_some(),
                };
                let tls = tls.clone();
                let (router, repository) = (router.clone(), Arc::clone(&repository));
                let (watcher, permit) = (graceful.watcher(), permit.ok());
                workers.serve(stream, move |stream| {
                    serve_connection(stream, tls, peer, router, repository, watcher, permit)
                });
            }
            Err(error) => {
                // Out of descriptors, most often: those in use come back, so waiting helps.
                tracing::warn!(%error, "failed to accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    repository.stopping.send_replace(true);
    tracing::info!("stopping: requests under way may finish");
    let grace_period = repository.settings.grace_period;
    if tokio::time::timeout(grace_period, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("the grace period is over: some requests were cut off");
    }
    Ok(())
}

/// With a queue of our own length: musl's is 128, and whoever finds it full is not refused, but tries again after a
/// second.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A server that was just stopped leaves connections that hold its port.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Descriptors that are left for what is no connection's: the log, the cache, files that are kept open.
const RESERVED: u64 = 512;

/// Connections at once: each needs a descriptor, and another one for the file that it reads or writes. The soft limit
/// is raised to the hard one first.
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
fn unfailing(answer: Result<Response, Infallible>) -> Response {
    answer.unwrap_or_else(|never| match never {})
}

/// Here and not as layers of the router, each of which would cost an allocation a request.
async fn answer(
    repository: Arc<Repository>,
    router: Router,
    peer: Peer,
    request: http::Request<Body>,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let line = RequestLine::begin(&parts, peer);
    let who = match access::may(&repository, peer, &parts).await {
        Ok(who) => who,
        Err(Refusal { failure, who }) => {
            parts.extensions.insert(peer);
            let response = session::refusal(&parts, failure);
            return line.end(&repository.metrics, response, who.as_ref());
        }
    };
    let path = parts.uri.path();
    let (is_page, is_stream) = (console::is_page(path), path == events::PATH);
    if line.is_write() || is_page {
        parts.extensions.insert(who.clone());
    }
    if is_page || is_stream {
        parts.extensions.insert(peer);
    }
    let request = http::Request::from_parts(parts, body);
    let ask = |request: http::Request<Body>| router.clone().call(request).map(unfailing);
    let response = long_poll::answer(&repository, peer, request, ask).await;
    line.end(&repository.metrics, response, Some(&who))
}

async fn serve_connection(
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
    peer: Peer,
    router: Router,
    repository: Arc<Repository>,
    watcher: Watcher,
    _permit: Option<OwnedSemaphorePermit>,
) {
    let _open = Counted::new(&repository.metrics.connections);
    // Small answers must not wait for the client's delayed acknowledgement.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the client is gone already");
        return;
    }
    let socket = Socket::new(stream);
    let served = match tls {
        None => serve_http(socket, peer, router, repository, watcher).await,
        Some(tls) => {
            let patience = repository.settings.header_timeout;
            match tokio::time::timeout(patience, tls.accept(socket)).await {
                Ok(Ok(stream)) => serve_http(stream, peer, router, repository, watcher).await,
                Ok(Err(error)) => {
                    tracing::debug!(%error, "no TLS came about");
                    return;
                }
                Err(_) => return,
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "connection ended early");
    }
}

async fn serve_http<S: AsyncRead + AsyncWrite + Send + 'static>(
    stream: S,
    peer: Peer,
    router: Router,
    repository: Arc<Repository>,
    watcher: Watcher,
) -> hyper::Result<()> {
    let mut stream = TimeoutStream::new(stream);
    // A reader that takes nothing for so long holds a descriptor and a buffer for nothing.
    stream.set_write_timeout(Some(repository.settings.stall_timeout));
    let header_timeout = repository.settings.header_timeout;
    let service = hyper::service::service_fn(move |request: http::Request<Incoming>| {
        let (parts, body) = request.into_parts();
        let body = if body.is_end_stream() {
            Body::empty()
        } else {
            Body::new(Drained::new(&parts, body))
        };
        let request = http::Request::from_parts(parts, body);
        answer(Arc::clone(&repository), router.clone(), peer, request).map(Ok::<_, Infallible>)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(HEAD_BYTES)
        // The buffer alone may hold more by the time that its size is looked at.
        .max_header_size(HEAD_BYTES)
        // `printf … | nc -N` closes its side and waits for the answer.
        .half_close(true)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    watcher.watch(connection).await
}
