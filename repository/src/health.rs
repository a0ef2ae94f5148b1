//! `repository healthcheck`: asks the server on this machine whether it is ready, for images
//! without curl.

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::settings;

const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
pub(crate) enum Unhealthy {
    #[error("nothing listens on {0}")]
    Closed(SocketAddr, #[source] std::io::Error),
    #[error("{address} answered {found:?} to GET /readyz, expected 200")]
    NotReady { address: SocketAddr, found: String },
}

pub(crate) async fn check() -> Result<(), Box<dyn Error>> {
    let (settings, _) = settings::read(std::env::vars_os())?;
    let mut address = settings.listen;
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    let status = tokio::task::spawn_blocking(move || ask(address))
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

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut connection = TcpStream::connect_timeout(&address, PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection
        .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
