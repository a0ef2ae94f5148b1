//! Thousands of connections that are held, each kind a quarter of them: heads and bodies that come by the byte,
//! readers that stand still, and those who say nothing at all.

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

use crate::run::PATIENCE;
use crate::server::Server;

/// Where the readers stand still. Larger than what the kernel takes in for somebody who reads nothing.
pub const LARGE: &str = "/artefacts/held/1.0.0/large";

/// Bytes of it.
pub const LARGE_SIZE: usize = 4 << 20;

/// Between two bytes of one connection.
const DRIP: Duration = Duration::from_secs(2);

/// Opened at once: a connection that finds the queue of the kernel full waits for a second and more.
const BATCH: usize = 1000;

/// Descriptors that a server needs for each connection, by its own reckoning.
const EACH: u64 = 2;

/// Connections for what both sides do besides, and for the descriptors that a server keeps for itself.
const SPARE: u64 = 400;

/// Raises the limit of descriptors for this process and those that it starts from now on, and returns how many of
/// `wanted` connections a server can have.
pub fn room_for(wanted: usize) -> usize {
    // Some for what both sides have besides.
    let needed = EACH * (wanted as u64 + SPARE);
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    let hard = if hard >= needed || setrlimit(Resource::RLIMIT_NOFILE, needed, needed).is_err() {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("the soft limit up to the hard one");
        hard
    } else {
        needed
    };
    let room = usize::try_from(hard / EACH)
        .expect("a count")
        .saturating_sub(usize::try_from(SPARE).expect("a count"));
    wanted.min(room)
}

#[derive(Debug)]
pub struct Crowd {
    pub silent: Vec<Arc<TcpStream>>,
    pub heads: Vec<Arc<TcpStream>>,
    pub bodies: Vec<Arc<TcpStream>>,
    pub readers: Vec<Arc<TcpStream>>,
    is_over: Arc<AtomicBool>,
    dripping: Option<JoinHandle<()>>,
}

impl Crowd {
    /// Opens `count` connections. Those that a server lets go soon come last.
    pub fn hold(server: &Server, count: usize) -> Self {
        server.publish(LARGE, vec![b'x'; LARGE_SIZE]);
        let each = count / 4;
        let open = |line: &dyn Fn(usize) -> String| {
            (0..each)
                .map(|number| {
                    if number % BATCH == 0 {
                        // Answered when those before it were accepted.
                        assert_eq!(server.get("/healthz").status, 200);
                    }
                    let stream = small(server.address);
                    let line = line(number);
                    (&stream)
                        .write_all(line.as_bytes())
                        .expect("room for a line");
                    Arc::new(stream)
                })
                .collect::<Vec<_>>()
        };
        let readers = open(&|_| format!("GET {LARGE} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        let bodies = open(&|number| {
            format!(
                "PUT /artefacts/held/2.0.{number}/f HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
            )
        });
        let silent = open(&|_| String::new());
        let heads = open(&|_| "GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_owned());
        let is_over = Arc::new(AtomicBool::new(false));
        let dripping = thread::spawn({
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
            dripping: Some(dripping),
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
        if let Some(dripping) = self.dripping.take() {
            let _ = dripping.join();
        }
    }
}

/// A connection with little room for what comes in, in small segments: what the kernel keeps for one that goes over
/// loopback is megabytes otherwise, and all of them together more than it has for TCP.
fn small(address: SocketAddr) -> TcpStream {
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

/// A byte to each, spread over the time, until it is over.
fn drip(streams: &[Arc<TcpStream>], is_over: &AtomicBool) {
    const ROUNDS: usize = 20;
    while !streams.is_empty() {
        for some in streams.chunks(streams.len().div_ceil(ROUNDS)) {
            for stream in some {
                // Some are closed by the server in the meantime.
                let _ = (&**stream).write_all(b"x");
            }
            thread::sleep(DRIP / u32::try_from(ROUNDS).expect("a small number"));
            if is_over.load(Ordering::Relaxed) {
                return;
            }
        }
    }
}

/// Reads until the other side closes.
pub fn closes(mut stream: &TcpStream) -> bool {
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    let mut rest = [0; 4096];
    loop {
        match stream.read(&mut rest) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::ConnectionReset,
        }
    }
}
