//! A name server for one name with changing addresses. It implements the part of RFC 1035 that proxies use.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};

const A: u16 = 1;
const NO_ERROR: u8 = 0;
const NO_SUCH_NAME: u8 = 3;
/// The TTL of Docker's DNS. A client that honours it asks again after ten minutes.
const TTL_S: u32 = 600;

#[derive(Debug, Clone)]
struct Answers {
    name: String,
    addresses: Vec<Ipv4Addr>,
    is_silent: bool,
}

/// Runs until the process ends.
#[derive(Debug)]
pub struct Dns {
    pub address: SocketAddr,
    answers: Arc<Mutex<Answers>>,
}

impl Dns {
    /// Serves `name`, which has no address yet.
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

    /// Sets the addresses of the name. Without addresses, the name doesn't exist.
    pub fn set(&self, addresses: &[Ipv4Addr]) {
        self.answers.lock().unwrap().addresses = addresses.to_vec();
    }

    /// Sets whether the server ignores queries.
    pub fn silent(&self, is_silent: bool) {
        self.answers.lock().unwrap().is_silent = is_silent;
    }
}

/// `None` if the query is to be ignored or malformed.
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
    // Flags: response, recursion desired and available.
    answer.extend([0x81, 0x80 | code]);
    for number in [1, count, 0, 0] {
        answer.extend(number.to_be_bytes());
    }
    answer.extend(question);
    for address in addresses {
        // A pointer to the name in the question, type A, class IN.
        answer.extend([0xc0, 12, 0, 1, 0, 1]);
        answer.extend(TTL_S.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

/// Parses the name at the start of a question. Returns the name and its encoded length.
fn name(bytes: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut offset = 0;
    loop {
        let length = usize::from(*bytes.get(offset)?);
        offset += 1;
        if length == 0 {
            return Some((labels.join("."), offset));
        }
        labels.push(String::from_utf8_lossy(bytes.get(offset..offset + length)?).into_owned());
        offset += length;
    }
}
