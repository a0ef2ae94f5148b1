//! A repository that answers from a script: per path a list of replies, one a request. It records
//! what it was asked, and fails the test on a request that nobody expected.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A reply, and how it goes wrong.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Honour `Range` and `If-Range` as a good server does.
    ranges: bool,
    /// Honour `If-None-Match`, and `Prefer: wait` by waiting for another [`Mock::always`].
    watched: bool,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Close after so many bytes of the body.
    Close(usize),
    /// The same with a reset.
    Reset(usize),
    /// Say and do nothing more after so many bytes.
    Stall(usize),
}

impl Reply {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
            ranges: false,
            watched: false,
            fault: Fault::None,
        }
    }

    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, body)
    }

    /// A file of a good server, with a strong entity tag.
    pub fn file(body: impl Into<Vec<u8>>, etag: &str) -> Self {
        let mut reply = Self::ok(body)
            .header("ETag", etag)
            .header("Accept-Ranges", "bytes");
        reply.ranges = true;
        reply
    }

    pub fn problem(status: u16, detail: &str) -> Self {
        let body = serde_json::json!({ "title": "a problem", "status": status, "detail": detail });
        Self::new(status, body.to_string()).header("Content-Type", "application/problem+json")
    }

    /// 404 as a plain file server says it.
    pub fn absent() -> Self {
        Self::new(404, "<html>not found</html>").header("Content-Type", "text/html")
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A document that can be watched for changes, as a good server does it.
    #[must_use]
    pub fn watched(mut self, etag: &str) -> Self {
        self.watched = true;
        self.header("ETag", etag)
    }

    fn etag(&self) -> Option<&str> {
        let found = self.headers.iter().find(|(name, _)| name == "ETag");
        found.map(|(_, value)| value.as_str())
    }

    #[must_use]
    pub fn closed_after(mut self, bytes: usize) -> Self {
        self.fault = Fault::Close(bytes);
        self
    }

    #[must_use]
    pub fn reset_after(mut self, bytes: usize) -> Self {
        self.fault = Fault::Reset(bytes);
        self
    }

    #[must_use]
    pub fn stalled_after(mut self, bytes: usize) -> Self {
        self.fault = Fault::Stall(bytes);
        self
    }
}

/// What was asked.
#[derive(Debug, Clone)]
pub struct Request {
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub at: Instant,
}

#[derive(Debug, Default)]
struct State {
    script: BTreeMap<String, VecDeque<Reply>>,
    always: BTreeMap<String, Reply>,
    requests: Vec<Request>,
    unexpected: Vec<String>,
    /// What the script says and nobody asked for is no mistake.
    lenient: bool,
    /// Nobody listens any more.
    gone: bool,
    /// Bytes of bodies that went out, by path.
    sent: BTreeMap<String, usize>,
}

#[derive(Debug)]
pub struct Mock {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Mock {
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if shared.lock().unwrap().gone {
                    return;
                }
                let state = Arc::clone(&shared);
                std::thread::spawn(move || serve(&connection, &state));
            }
        });
        Self { address, state }
    }

    /// One whose script need not be used up.
    pub fn lenient() -> Self {
        let mock = Self::start();
        mock.state.lock().unwrap().lenient = true;
        mock
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request of `path` is answered so. A path with a query stands for just that query.
    pub fn once(&self, path: &str, reply: Reply) -> &Self {
        self.state
            .lock()
            .unwrap()
            .script
            .entry(path.to_owned())
            .or_default()
            .push_back(reply);
        self
    }

    /// Every request of `path` that no [`Mock::once`] is left for.
    pub fn always(&self, path: &str, reply: Reply) -> &Self {
        self.state
            .lock()
            .unwrap()
            .always
            .insert(path.to_owned(), reply);
        self
    }

    pub fn requests(&self, path: &str) -> Vec<Request> {
        self.state
            .lock()
            .unwrap()
            .requests
            .iter()
            .filter(|request| request.target == path)
            .cloned()
            .collect()
    }

    pub fn bytes_sent(&self, path: &str) -> usize {
        self.state
            .lock()
            .unwrap()
            .sent
            .get(path)
            .copied()
            .unwrap_or_default()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.lock() {
            state.gone = true;
        }
        // Wakes the thread that accepts; with it the port is closed.
        let _ = TcpStream::connect(self.address);
        if std::thread::panicking() {
            return;
        }
        let state = self.state.lock().unwrap();
        assert!(
            state.unexpected.is_empty(),
            "nobody expected {:?}",
            state.unexpected
        );
        let left: Vec<&String> = state
            .script
            .iter()
            .filter(|(_, left)| !left.is_empty() && !state.lenient)
            .map(|(path, _)| path)
            .collect();
        assert!(
            left.is_empty(),
            "nobody asked for {left:?} as often as the script says"
        );
    }
}

fn serve(connection: &TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(connection);
    while let Some(request) = read_request(&mut reader) {
        let reply = {
            let mut state = state.lock().unwrap();
            let path = request.target.clone();
            state.requests.push(request.clone());
            let scripted = state.script.get_mut(&path).and_then(VecDeque::pop_front);
            if let Some(reply) = scripted.or_else(|| state.always.get(&path).cloned()) {
                reply
            } else {
                state.unexpected.push(path);
                Reply::new(418, "nobody expected this request")
            }
        };
        let reply = if reply.watched {
            watch(&request, reply, state)
        } else {
            reply
        };
        if !answer(connection, &request, reply, state) {
            return;
        }
    }
}

/// The long poll.
fn watch(request: &Request, mut reply: Reply, state: &Mutex<State>) -> Reply {
    let known = request.headers.get("if-none-match").map(String::as_str);
    let wait = request
        .headers
        .get("prefer")
        .and_then(|prefer| prefer.strip_prefix("wait=")?.parse().ok());
    let deadline = Instant::now() + Duration::from_secs(wait.unwrap_or(0));
    while known == reply.etag() {
        if Instant::now() >= deadline {
            let mut unchanged = Reply::new(304, "");
            if let Some(wait) = wait {
                unchanged = unchanged.header("Preference-Applied", &format!("wait={wait}"));
            }
            return unchanged;
        }
        std::thread::sleep(Duration::from_millis(5));
        if let Some(current) = state.lock().unwrap().always.get(&request.target) {
            reply = current.clone();
        }
    }
    reply
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let target = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Request {
        target,
        headers,
        at: Instant::now(),
    })
}

/// Whether the connection may be used again.
fn answer(
    mut connection: &TcpStream,
    request: &Request,
    mut reply: Reply,
    state: &Mutex<State>,
) -> bool {
    if reply.ranges {
        apply_range(request, &mut reply);
    }
    let mut head = format!("HTTP/1.1 {} X\r\n", reply.status);
    if !reply
        .headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-length"))
    {
        head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let bytes = match reply.fault {
        Fault::None => reply.body.len(),
        Fault::Close(bytes) | Fault::Reset(bytes) | Fault::Stall(bytes) => {
            bytes.min(reply.body.len())
        }
    };
    *state
        .lock()
        .unwrap()
        .sent
        .entry(request.target.clone())
        .or_default() += bytes;
    if connection
        .write_all(&[head.as_bytes(), &reply.body[..bytes]].concat())
        .is_err()
    {
        return false;
    }
    match reply.fault {
        Fault::None => true,
        Fault::Close(_) => false,
        Fault::Reset(_) => {
            // What was written must have left before the reset discards it.
            std::thread::sleep(Duration::from_millis(50));
            reset(connection);
            false
        }
        Fault::Stall(_) => {
            std::thread::sleep(Duration::from_secs(30));
            false
        }
    }
}

fn apply_range(request: &Request, reply: &mut Reply) {
    let first = request.headers.get("range").and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse::<usize>()
            .ok()
    });
    let etag = reply.etag().map(str::to_owned);
    let current = request
        .headers
        .get("if-range")
        .is_none_or(|tag| Some(tag) == etag.as_ref());
    let (Some(first), true) = (first, current) else {
        return;
    };
    let total = reply.body.len();
    if first >= total {
        reply.status = 416;
        reply.body.clear();
        return;
    }
    reply.status = 206;
    reply.headers.push((
        "Content-Range".to_owned(),
        format!("bytes {first}-{}/{total}", total - 1),
    ));
    reply.body.drain(..first);
}

#[expect(
    unsafe_code,
    reason = "SO_LINGER of zero is the only way to close with a reset"
)]
fn reset(connection: &TcpStream) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    let size = libc::socklen_t::try_from(size_of::<libc::linger>()).expect("a small struct");
    // SAFETY: the descriptor is open, and the pointer and size are those of `linger`.
    unsafe {
        libc::setsockopt(
            connection.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size,
        );
    }
    let _ = connection.shutdown(std::net::Shutdown::Read);
}
