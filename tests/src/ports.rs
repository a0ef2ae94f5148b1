//! Free ports, for programs that can't bind port 0.
//!
//! The ports lie below the kernel's ephemeral range, so the kernel doesn't assign one of them to another process before
//! the program binds it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// The ephemeral range begins at 32768 (`net.ipv4.ip_local_port_range`).
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// Returns a loopback address with a free port, a different one each time.
///
/// # Panics
///
/// Panics if all ports are in use.
pub fn free() -> SocketAddr {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let length = RANGE.end - RANGE.start;
    let next = NEXT.get_or_init(|| {
        // Concurrent test runs begin at different ports.
        let begin = std::process::id().wrapping_mul(97) % u32::from(length);
        AtomicU16::new(u16::try_from(begin).expect("it is less than the length"))
    });
    (0..length)
        .map(|_| RANGE.start + next.fetch_add(1, Ordering::Relaxed) % length)
        // Probes all addresses, because some programs listen on all of them.
        .find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .expect("a free port")
}
