//! Thousands of open connections, a quarter of each kind: request heads and bodies that arrive byte by byte, readers
//! that stop reading, and silent clients.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::sockopt::{RcvBuf, TcpMaxSeg};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket,
};

use crate::run::TIMEOUT;
use crate::server::Server;

/// The file that the readers request. It is larger than the socket buffers, so the server has to hold the rest.
pub const LARGE: &str = "/artefacts/held/1.0.0/large";

pub const LARGE_SIZE: usize = 4 << 20;

/// Interval between two bytes of one connection.
const DRIP_INTERVAL: Duration = Duration::from_secs(2);

/// Connections opened at once. More would overflow the kernel's accept queue, which delays them by a second.
const BATCH: usize = 1000;

/// Descriptors that the server reserves per connection.
const DESCRIPTORS_PER_CONNECTION: u64 = 2;

/// Headroom, in connections, for the other descriptors of both processes.
const SPARE: u64 = 400;

/// Raises the descriptor limit of this process and its children, and returns how many of the `wanted` connections the
/// server can hold.
pub fn raise_limit(wanted: usize) -> usize {
    let needed = DESCRIPTORS_PER_CONNECTION * (wanted as u64 + SPARE);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    let hard = if hard >= needed || setrlimit(Resource::RLIMIT_NOFILE, needed, needed).is_err() {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the soft limit up to the hard one");
        hard
    } else {
        needed
    };
    let possible = usize::try_from(hard / DESCRIPTORS_PER_CONNECTION)
        .expect("a count")
        .saturating_sub(usize::try_from(SPARE).expect("a count"));
    wanted.min(possible)
}

#[derive(Debug)]
pub struct Crowd {
    pub silent: Vec<Arc<TcpStream>>,
    pub heads: Vec<Arc<TcpStream>>,
    pub bodies: Vec<Arc<TcpStream>>,
    pub readers: Vec<Arc<TcpStream>>,
    is_over: Arc<AtomicBool>,
    drip_thread: Option<JoinHandle<()>>,
}

impl Crowd {
    /// Opens `count` connections. The kinds that the server times out first are opened last.
    pub fn open(server: &Server, count: usize) -> Self {
        server.publish(LARGE, vec![b'x'; LARGE_SIZE]);
        let per_kind = count / 4;
        let open_kind = |line: &dyn Fn(usize) -> String| {
            (0..per_kind)
                .map(|number| {
                    if number % BATCH == 0 {
                        // The answer shows that the server has accepted the earlier connections.
                        assert_eq!(server.get("/healthz").status, 200);
                    }
                    let stream = connect_with_small_buffers(server.address);
                    let line = line(number);
                    (&stream)
                        .write_all(line.as_bytes())
                        .expect("the request fits in the socket buffer");
                    Arc::new(stream)
                })
                .collect::<Vec<_>>()
        };
        let readers = open_kind(&|_| format!("GET {LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let bodies = open_kind(&|number| {
            format!(
                "PUT /artefacts/held/2.0.{number}/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
            )
        });
        let silent = open_kind(&|_| String::new());
        let heads = open_kind(&|_| "GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_owned());
        let is_over = Arc::new(AtomicBool::new(false));
        let drip_thread = thread::spawn({
            let (streams, is_over) = (
                [bodies.clone(), heads.clone()].concat(),
                Arc::clone(&is_over),
            );
            move || drip(&streams, &is_over)
        });
        Self {
            silent,
            heads,
            bodies,
            readers,
            is_over,
            drip_thread: Some(drip_thread),
        }
    }

    pub fn len(&self) -> usize {
        self.silent.len() + self.heads.len() + self.bodies.len() + self.readers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(drip_thread) = self.drip_thread.take() {
            let _ = drip_thread.join();
        }
    }
}

/// Uses a small receive buffer and small segments. With the defaults, the kernel buffers megabytes per loopback
/// connection, and thousands of connections exceed its memory for TCP.
fn connect_with_small_buffers(address: SocketAddr) -> TcpStream {
    let socket: OwnedFd = socket(
        AddressFamily::Inet,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .expect("a socket");
    setsockopt(&socket, TcpMaxSeg, &536).expect("an option");
    setsockopt(&socket, RcvBuf, &4096).expect("an option");
    connect(socket.as_raw_fd(), &SockaddrStorage::from(address)).expect("the server listens");
    TcpStream::from(socket)
}

/// Sends one byte per interval to each stream.
fn drip(streams: &[Arc<TcpStream>], is_over: &AtomicBool) {
    const ROUNDS: usize = 20;
    while !streams.is_empty() {
        for chunk in streams.chunks(streams.len().div_ceil(ROUNDS)) {
            for stream in chunk {
                // Fails for streams that the server has closed.
                let _ = (&**stream).write_all(b"x");
            }
            thread::sleep(DRIP_INTERVAL / u32::try_from(ROUNDS).expect("a small number"));
            if is_over.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// Reads until the server closes the connection. Returns whether it did.
pub fn is_closed_by_server(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(TIMEOUT)).expect("an option");
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}
