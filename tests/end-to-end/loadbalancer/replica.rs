//! A replica of an app: it says its name, and notes what it was asked to do.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{SockFilter, SockRef};

/// Drops the segments that begin a connection (classic BPF on a segment that begins with its TCP header).
const NO_SYN: [SockFilter; 4] = [
    // The flags.
    SockFilter::new(LOAD_BYTE, 0, 0, 13),
    SockFilter::new(JUMP_IF_SET, 0, 1, SYN),
    SockFilter::new(RETURN, 0, 0, 0),
    SockFilter::new(RETURN, 0, 0, u32::MAX),
];
const LOAD_BYTE: u16 = 0x30;
const JUMP_IF_SET: u16 = 0x45;
const RETURN: u16 = 0x06;
const SYN: u32 = 0x02;

pub(super) struct Replica {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    posts: Arc<Mutex<Vec<String>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The first one, and the port that is to be everybody's.
pub(super) fn first(address: Ipv4Addr, name: &'static str) -> (Replica, u16) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (Replica::on(listener, name), port)
}

impl Replica {
    pub(super) fn start(address: Ipv4Addr, port: u16, name: &'static str) -> Self {
        Self::on(TcpListener::bind((address, port)).unwrap(), name)
    }

    fn on(listener: TcpListener, name: &'static str) -> Self {
        let address = listener.local_addr().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let posts = Arc::new(Mutex::new(Vec::new()));
        let (stop, noted) = (Arc::clone(&stopping), Arc::clone(&posts));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                // What was accepted is answered first, as an app that is drained does.
                serve(connection.unwrap(), name, &noted);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            // Whoever is in the queue was connected, and would otherwise be reset; so nobody else comes into it, and who is
            // half in it comes in.
            SockRef::from(&listener).attach_filter(&NO_SYN).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            listener.set_nonblocking(true).unwrap();
            while let Ok((connection, _)) = listener.accept() {
                connection.set_nonblocking(false).unwrap();
                serve(connection, name, &noted);
            }
        });
        Self {
            address,
            stopping,
            posts,
            thread: Mutex::new(Some(thread)),
        }
    }

    pub(super) fn stop(&self) {
        let Some(thread) = self.thread.lock().unwrap().take() else {
            return;
        };
        self.stopping.store(true, Ordering::Relaxed);
        // It waits for a connection.
        let _ = TcpStream::connect(self.address);
        thread.join().unwrap();
    }

    /// The paths that were posted to.
    pub(super) fn posts(&self) -> Vec<String> {
        self.posts.lock().unwrap().clone()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One request, or a check, which only connects.
fn serve(mut connection: TcpStream, name: &str, posts: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut chunk = [0; 4096];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        match connection.read(&mut chunk) {
            Ok(read) if read > 0 => head.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_whitespace();
    if words.next() == Some("POST") {
        let path = words.next().unwrap_or_default().to_owned();
        posts.lock().unwrap().push(path);
    }
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{name}",
        name.len()
    );
    let _ = connection.write_all(answer.as_bytes());
}
