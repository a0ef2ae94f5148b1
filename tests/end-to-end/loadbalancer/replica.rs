//! A replica of an app: it answers with its name and records POSTs.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{SockFilter, SockRef};

/// A classic BPF filter that drops SYN segments. The data begins with the TCP header.
const NO_SYN: [SockFilter; 4] = [
    // The offset of the TCP flags.
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
    is_stopping: Arc<AtomicBool>,
    posts: Arc<Mutex<Vec<String>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Starts the first replica, and returns the port for all replicas.
pub(super) fn first(address: Ipv4Addr, name: &'static str) -> (Replica, u16) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (Replica::serve_on(listener, name), port)
}

impl Replica {
    pub(super) fn start(address: Ipv4Addr, port: u16, name: &'static str) -> Self {
        Self::serve_on(TcpListener::bind((address, port)).unwrap(), name)
    }

    fn serve_on(listener: TcpListener, name: &'static str) -> Self {
        let address = listener.local_addr().unwrap();
        let is_stopping = Arc::new(AtomicBool::new(false));
        let posts = Arc::new(Mutex::new(Vec::new()));
        let (stop, recorded) = (Arc::clone(&is_stopping), Arc::clone(&posts));
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                // A draining app answers the connections that it has accepted.
                serve(connection.unwrap(), name, &recorded);
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
            // Closing the listener would reset the connections in its queue. So refuse new ones, let the handshakes in
            // progress finish, and serve the queue.
            SockRef::from(&listener).attach_filter(&NO_SYN).unwrap();
            std::thread::sleep(Duration::from_millis(100));
            listener.set_nonblocking(true).unwrap();
            while let Ok((connection, _)) = listener.accept() {
                connection.set_nonblocking(false).unwrap();
                serve(connection, name, &recorded);
            }
        });
        Self {
            address,
            is_stopping,
            posts,
            thread: Mutex::new(Some(thread)),
        }
    }

    pub(super) fn stop(&self) {
        let Some(thread) = self.thread.lock().unwrap().take() else {
            return;
        };
        self.is_stopping.store(true, Ordering::Relaxed);
        // Wakes the thread, which waits for a connection.
        let _ = TcpStream::connect(self.address);
        thread.join().unwrap();
    }

    /// Returns the paths of all POSTs.
    pub(super) fn posts(&self) -> Vec<String> {
        self.posts.lock().unwrap().clone()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Serves one request. A health check only connects.
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
