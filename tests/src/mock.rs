//! A scripted repository. Each path has a list of replies, one per request. The mock records the requests, and fails
//! the test if a request is not in the script.

mod connection;
mod reply;

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use connection::{Connection, Request};
pub use reply::Reply;

#[derive(Debug)]
pub struct Mock {
    address: SocketAddr,
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    once: BTreeMap<String, VecDeque<Reply>>,
    always: BTreeMap<String, Reply>,
    requests: Vec<Request>,
    unexpected: Vec<String>,
    /// Body bytes by path.
    bytes_sent: BTreeMap<String, Arc<AtomicUsize>>,
    /// Replies may remain unused.
    is_lenient: bool,
    is_over: bool,
}

impl Script {
    /// Records a request and returns its reply.
    fn take(&mut self, request: &Request) -> Reply {
        let path = &request.target;
        self.requests.push(request.clone());
        let once = self.once.get_mut(path).and_then(VecDeque::pop_front);
        once.or_else(|| self.always.get(path).cloned())
            .unwrap_or_else(|| {
                self.unexpected.push(path.clone());
                Reply::new(418, "unexpected request")
            })
    }

    fn counter(&mut self, path: &str) -> Arc<AtomicUsize> {
        Arc::clone(self.bytes_sent.entry(path.to_owned()).or_default())
    }
}

impl Mock {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let script = Arc::new(Mutex::new(Script::default()));
        let shared = Arc::clone(&script);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if lock(&shared).is_over {
                    return;
                }
                let script = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &script));
            }
        });
        Self { address, script }
    }

    /// A mock that accepts unused replies in its script.
    pub fn lenient() -> Self {
        let mock = Self::start();
        lock(&mock.script).is_lenient = true;
        mock
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Adds a reply to the next request of `path`. A query is part of the path.
    pub fn once(&self, path: &str, reply: Reply) -> &Self {
        let mut script = lock(&self.script);
        let replies = script.once.entry(path.to_owned()).or_default();
        replies.push_back(reply);
        self
    }

    /// Sets the reply to every request of `path` without a [`Mock::once`].
    pub fn always(&self, path: &str, reply: Reply) -> &Self {
        lock(&self.script).always.insert(path.to_owned(), reply);
        self
    }

    pub fn requests(&self, path: &str) -> Vec<Request> {
        let script = lock(&self.script);
        let of_path = script.requests.iter().filter(|it| it.target == path);
        of_path.cloned().collect()
    }

    /// The number of body bytes sent for `path`.
    pub fn bytes_sent(&self, path: &str) -> usize {
        lock(&self.script).counter(path).load(Ordering::Relaxed)
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        lock(&self.script).is_over = true;
        // Wakes the accepting thread, which then closes the port.
        let _ = TcpStream::connect(self.address);
        if std::thread::panicking() {
            return;
        }
        let script = lock(&self.script);
        assert!(
            script.unexpected.is_empty(),
            "requests that are not in the script: {:?}",
            script.unexpected
        );
        let unused: Vec<&String> = script
            .once
            .iter()
            .filter(|(_, replies)| !replies.is_empty() && !script.is_lenient)
            .map(|(path, _)| path)
            .collect();
        assert!(
            unused.is_empty(),
            "replies of the script that no request used: {unused:?}"
        );
    }
}

fn lock(script: &Mutex<Script>) -> MutexGuard<'_, Script> {
    script.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: TcpStream, script: &Mutex<Script>) {
    let mut connection = Connection::new(stream);
    while let Some(request) = connection.read_request() {
        let (reply, counter) = {
            let mut script = lock(script);
            (script.take(&request), script.counter(&request.target))
        };
        connection.count_bytes(counter);
        // After the lock is released, because a reply may stall.
        reply.send(&request, &mut connection);
    }
}
