//! A minimal server: two threads that answer every request with one head and one file, without a log.

use std::fs::File;
use std::io::Read as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

struct Answer {
    head: String,
    file: File,
    size: u64,
}

struct Connection {
    stream: TcpStream,
    /// Bytes of the file that were sent; `None` between requests.
    sent: Option<u64>,
}

pub(crate) fn start(file: &Path) -> SocketAddr {
    let file = File::open(file).unwrap();
    let size = file.metadata().unwrap().len();
    let digest = "0".repeat(64);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\nETag: \"sha256:{digest}\"\r\n\r\n"
    );
    let answer = Arc::new(Answer { head, file, size });
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for _ in 0..2 {
        let (answer, listener) = (Arc::clone(&answer), listener.try_clone().unwrap());
        listener.set_nonblocking(true).unwrap();
        thread::spawn(move || serve(&answer, &listener));
    }
    address
}

fn serve(answer: &Answer, listener: &TcpListener) {
    let epoll = epoll::create(CreateFlags::CLOEXEC).unwrap();
    let interest = EventFlags::IN | EventFlags::EXCLUSIVE;
    epoll::add(&epoll, listener, EventData::new_u64(u64::MAX), interest).unwrap();
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut events = Vec::with_capacity(64);
    loop {
        events.clear();
        epoll::wait(&epoll, rustix::buffer::spare_capacity(&mut events), None).unwrap();
        for event in &events {
            let Event { data, .. } = *event;
            if let Ok(at) = usize::try_from(data.u64())
                && at < connections.len()
            {
                let is_closed = connections[at]
                    .as_mut()
                    .is_some_and(|connection| connection.answer(answer).is_none());
                if is_closed {
                    connections[at] = None;
                }
            } else if let Ok((stream, _)) = listener.accept() {
                stream.set_nonblocking(true).unwrap();
                stream.set_nodelay(true).unwrap();
                let interest = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
                let name = EventData::new_u64(connections.len() as u64);
                epoll::add(&epoll, &stream, name, interest).unwrap();
                connections.push(Some(Connection { stream, sent: None }));
            }
        }
    }
}

impl Connection {
    /// Answers until it would block; `None` when the connection is closed.
    fn answer(&mut self, answer: &Answer) -> Option<()> {
        loop {
            let Some(sent) = &mut self.sent else {
                // wrk sends each request in one piece.
                match self.stream.read(&mut [0; 4096]) {
                    Ok(0) => return None,
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Some(()),
                    Err(_) => return None,
                }
                send(&self.stream, answer.head.as_bytes(), SendFlags::MORE).ok()?;
                self.sent = Some(0);
                continue;
            };
            if *sent == answer.size {
                self.sent = None;
                continue;
            }
            let left = usize::try_from(answer.size - *sent).ok()?;
            match sendfile(&self.stream, &answer.file, Some(sent), left) {
                Err(Errno::AGAIN) => return Some(()),
                sent => sent.ok()?,
            };
        }
    }
}
