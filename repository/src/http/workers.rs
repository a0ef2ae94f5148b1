//! Threads that serve connections: one a core, each with a runtime of its own. A connection stays with its
//! thread, so an answer wakes no other thread; one runtime for all would move small requests about, and wake
//! a sleeping thread for most of them.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};

/// Threads of each that may wait for the disk. More would not make a disk quicker, and each has a heap.
const MAX_BLOCKING: usize = 32;

/// How long such a thread waits for more to do.
const KEEP_ALIVE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Workers {
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

impl Workers {
    pub(crate) fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        let workers = (0..count).map(Worker::start).collect::<io::Result<_>>()?;
        Ok(Self { workers })
    }

    /// Serves a connection on the thread that has the fewest.
    pub(crate) fn serve<S, F>(&self, stream: TcpStream, serve: S)
    where
        S: FnOnce(TcpStream) -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let load = |worker: &&Worker| worker.connections.load(Ordering::Relaxed);
        let Some(worker) = self.workers.iter().min_by_key(load) else {
            return;
        };
        let connections = Arc::clone(&worker.connections);
        connections.fetch_add(1, Ordering::Relaxed);
        // Each runtime waits for its own sockets.
        let stream = stream.into_std();
        worker.runtime.spawn(async move {
            match stream.and_then(TcpStream::from_std) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "failed to take a connection over"),
            }
            connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

impl Worker {
    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(MAX_BLOCKING)
            .thread_keep_alive(KEEP_ALIVE)
            .build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        Ok(Self {
            runtime: handle,
            connections: Arc::default(),
        })
    }
}
