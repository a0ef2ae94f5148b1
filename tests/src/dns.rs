//! A name server for one name, whose addresses can change: as much of RFC 1035 as a resolver of proxies asks for.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

const A: u16 = 1;
const NO_ERROR: u8 = 0;
const NO_SUCH_NAME: u8 = 3;
/// What Docker's own server gives: who believes it asks again after ten minutes.
const LIFETIME: u32 = 600;

#[derive(Debug, Clone)]
struct Answers {
    name: String,
    addresses: Vec<Ipv4Addr>,
    is_silent: bool,
}

/// It goes on for as long as the process does.
#[derive(Debug)]
pub struct Dns {
    pub address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
}

impl Dns {
    /// Knows `name`, which has no address yet.
    pub fn start(name: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let address = socket.local_addr().expect("an address");
        let answers = Arc::new(Mutex::new(Answers {
            name: name.to_owned(),
            addresses: Vec::new(),
            is_silent: false,
        }));
        let shared = Arc::clone(&answers);
        std::thread::spawn(move || {
            let mut query = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut query) {
                let answers = shared.lock().unwrap().clone();
                if let Some(answer) = answer(&query[..length], &answers) {
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        Self { address, answers }
    }

    /// From now on the name has these addresses; without any there is no such name.
    pub fn set(&self, addresses: &[Ipv4Addr]) {
        self.answers.lock().unwrap().addresses = addresses.to_vec();
    }

    /// Whether questions remain without an answer.
    pub fn silent(&self, is_silent: bool) {
        self.answers.lock().unwrap().is_silent = is_silent;
    }
}

/// `None` where there is nothing to say.
fn answer(query: &[u8], answers: &Answers) -> Option<Vec<u8>> {
    if answers.is_silent {
        return None;
    }
    let (head, rest) = query.split_at_checked(12)?;
    let (name, length) = name(rest)?;
    let kind = u16::from_be_bytes(rest.get(length..length + 2)?.try_into().ok()?);
    let question = rest.get(..length + 4)?;
    let is_known = name.eq_ignore_ascii_case(&answers.name) && !answers.addresses.is_empty();
    let addresses: &[Ipv4Addr] = if is_known && kind == A {
        &answers.addresses
    } else {
        &[]
    };
    let code = if is_known { NO_ERROR } else { NO_SUCH_NAME };
    let count = u16::try_from(addresses.len()).ok()?;
    let mut answer = Vec::new();
    answer.extend(&head[..2]);
    // A response, recursion wanted and available.
    answer.extend([0x81, 0x80 | code]);
    for number in [1, count, 0, 0] {
        answer.extend(number.to_be_bytes());
    }
    answer.extend(question);
    for address in addresses {
        // The name of the question, class IN.
        answer.extend([0xc0, 12, 0, 1, 0, 1]);
        answer.extend(LIFETIME.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// The name that a question begins with, and the length that it has there.
fn name(bytes: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = 0;
    loop {
        let length = usize::from(*bytes.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(bytes.get(at..at + length)?).into_owned());
        at += length;
    }
}
