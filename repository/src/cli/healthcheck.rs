//! `repository healthcheck`: asks the server on this machine whether it is ready, for images without curl.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustls::StreamOwned;

use super::settings;
use crate::http::tls;

const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Unhealthy {
    #[error("nothing listens on {0}")]
    Closed(SocketAddr, #[source] io::Error),
    #[error("{address} answered {found:?} to GET /readyz, expected 200")]
    NotReady { address: SocketAddr, found: String },
}

pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let (settings, _) = settings::read(std::env::vars_os())?;
    let mut address = settings.server.listen;
    let is_encrypted = settings.server.tls.is_some();
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let status = tokio::task::spawn_blocking(move || ask(address, is_encrypted))
        .await?
        .map_err(|error| Unhealthy::Closed(address, error))?;
    if status.starts_with("HTTP/1.1 200") {
        return Ok(());
    }
    Err(Unhealthy::NotReady {
        address,
        found: status,
    }
    .into())
}

const REQUEST: &[u8] = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

fn ask(address: SocketAddr, is_encrypted: bool) -> io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, TIMEOUT)?;
    connection.set_read_timeout(Some(TIMEOUT))?;
    if !is_encrypted {
        return exchange(&mut connection);
    }
    let session = tls::connect_to_localhost().map_err(io::Error::other)?;
    exchange(&mut StreamOwned::new(session, connection))
}

/// The first line of the answer, or the part of it that arrives in time.
fn exchange(connection: &mut (impl Read + Write)) -> io::Result<String> {
    connection.write_all(REQUEST)?;
    let mut line = Vec::new();
    let deadline = Instant::now() + TIMEOUT;
    while line.len() < 100 && Instant::now() < deadline {
        let mut byte = [0];
        if connection.read(&mut byte)? == 0 || byte == *b"\r" {
            break;
        }
        line.extend(byte);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}
