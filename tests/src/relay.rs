//! A TCP relay to a server. It refuses connections until it is opened, and then limits the bandwidth of all connections
//! together.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
};

/// Small, so that the connections share the bandwidth evenly.
const CHUNK: usize = 16 << 10;

/// A bound port that refuses connections.
#[derive(Debug)]
pub struct Relay {
    pub address: SocketAddr,
    socket: OwnedFd,
}

/// When the next chunk may be sent.
type NextSend = Arc<Mutex<Instant>>;

impl Relay {
    pub fn closed() -> Self {
        let socket = socket(
            AddressFamily::Inet,
            SockType::Stream,
            SockFlag::SOCK_CLOEXEC,
            None,
        )
        .expect("a socket");
        bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).expect("a port");
        let bound: SockaddrIn = getsockname(socket.as_raw_fd()).expect("an address");
        Self {
            address: SocketAddr::from((bound.ip(), bound.port())),
            socket,
        }
    }

    /// Relays connections to `server` at `bytes_per_second`, until the process ends.
    pub fn open(self, server: SocketAddr, bytes_per_second: f64) {
        listen(&self.socket, Backlog::new(1024).expect("a length")).expect("it listens");
        let listener = TcpListener::from(self.socket);
        let next_send: NextSend = Arc::new(Mutex::new(Instant::now()));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(server).expect("the server listens");
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || copy(from, to, |_| {}));
                let next_send = Arc::clone(&next_send);
                std::thread::spawn(move || {
                    copy(server, client, |bytes| {
                        wait(&next_send, bytes, bytes_per_second);
                    });
                });
            }
        });
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, before_send: impl Fn(usize)) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(read) = from.read(&mut chunk) {
        before_send(read);
        if read == 0 || to.write_all(&chunk[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Read);
    let _ = to.shutdown(Shutdown::Write);
}

#[expect(clippy::cast_precision_loss, reason = "a chunk is small")]
fn wait(next_send: &NextSend, bytes: usize, bytes_per_second: f64) {
    let start = {
        let mut next_send = next_send.lock().unwrap();
        let start = (*next_send).max(Instant::now());
        *next_send = start + Duration::from_secs_f64(bytes as f64 / bytes_per_second);
        start
    };
    std::thread::sleep(start.saturating_duration_since(Instant::now()));
}
