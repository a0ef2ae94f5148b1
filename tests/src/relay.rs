//! A way to a server that refuses until it is opened, and is then no faster than it is told to be: all
//! connections share one rate.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
};

/// Small, so that connections take turns.
const CHUNK: usize = 16 << 10;

/// A port that is taken and refuses connections.
#[derive(Debug)]
pub struct Relay {
    pub address: SocketAddr,
    socket: OwnedFd,
}

/// When the next chunk may pass.
type Turn = Arc<Mutex<Instant>>;

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

    /// From now on connections lead to `server`, at so many bytes a second altogether. It goes on for as long
    /// as the process does.
    pub fn open(self, server: SocketAddr, rate: f64) {
        listen(&self.socket, Backlog::new(1024).expect("a length")).expect("it listens");
        let listener = TcpListener::from(self.socket);
        let turn: Turn = Arc::new(Mutex::new(Instant::now()));
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(server).expect("the server listens");
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(from, to, |_| {}));
                let turn = Arc::clone(&turn);
                std::thread::spawn(move || {
                    pass(server, client, |bytes| wait(&turn, bytes, rate));
                });
            }
        });
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, before: impl Fn(usize)) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(read) = from.read(&mut chunk) {
        before(read);
        if read == 0 || to.write_all(&chunk[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Read);
    let _ = to.shutdown(Shutdown::Write);
}

#[expect(clippy::cast_precision_loss, reason = "a chunk is small")]
fn wait(turn: &Turn, bytes: usize, rate: f64) {
    let mine = {
        let mut turn = turn.lock().unwrap();
        let mine = (*turn).max(Instant::now());
        *turn = mine + Duration::from_secs_f64(bytes as f64 / rate);
        mine
    };
    std::thread::sleep(mine.saturating_duration_since(Instant::now()));
}
