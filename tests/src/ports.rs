//! Ports for programs that have to be told one.
//!
//! They lie below those that the kernel gives to whoever asks for any, so that nobody is given one of them between its
//! choice and its use, however long a program takes to start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// The kernel's begin at 32768 (`net.ipv4.ip_local_port_range`).
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// An address of this machine that nobody listens on, and that is told only once a run.
///
/// # Panics
///
/// Where all of them are in use.
pub fn free() -> SocketAddr {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let length = RANGE.end - RANGE.start;
    let next = NEXT.get_or_init(|| {
        // Another run at the same time begins elsewhere.
        let begin = std::process::id().wrapping_mul(97) % u32::from(length);
        AtomicU16::new(u16::try_from(begin).expect("it is less than the length"))
    });
    (0..length)
        .map(|_| RANGE.start + next.fetch_add(1, Ordering::Relaxed) % length)
        // Everywhere, because some listen on all addresses.
        .find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .expect("a free port")
}
