//! Probes of the app over the network.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::environment::Environment;
use crate::exit::Failure;

/// Timeout of a probe, shorter than the 5 s after which the engine kills the images' HEALTHCHECK.
pub(super) const TIMEOUT: Duration = Duration::from_secs(4);

/// Timeout for the body of a failed request.
const BODY_TIMEOUT: Duration = Duration::from_millis(500);

/// Maximum number of bytes that are read of an answer.
const ANSWER: usize = 4096;

fn port(environment: &Environment) -> Result<u16, Failure> {
    let port = environment
        .get("PORT")
        .and_then(OsStr::to_str)
        .unwrap_or("8080");
    port.parse()
        .map_err(|_| Failure::unhealthy(format!("PORT isn't a port number: {port:?}")))
}

/// Connects to the app's port.
pub(super) fn connect(environment: &Environment) -> Result<TcpStream, Failure> {
    let port = port(environment)?;
    let connect = |address: SocketAddr| TcpStream::connect_timeout(&address, TIMEOUT);
    connect((Ipv4Addr::LOCALHOST, port).into())
        .or_else(|error| connect((Ipv6Addr::LOCALHOST, port).into()).map_err(|_| error))
        .map_err(|error| {
            Failure::unhealthy(format!(
                "the app does not accept connections on port {port}; make it listen on $PORT"
            ))
            .because(error)
        })
}

/// Expects 2xx or 3xx from a path.
pub(super) fn get(environment: &Environment, path: &str) -> Result<(), Failure> {
    if path
        .bytes()
        .any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control())
    {
        return Err(Failure::unhealthy(
            "the path in HEALTHCHECK contains a blank: write %20",
        ));
    }
    let mut connection = connect(environment)?;
    let port = port(environment)?;
    let failed = |error: std::io::Error| {
        Failure::unhealthy(format!("GET :{port}{path} → no answer")).because(error)
    };
    connection.set_read_timeout(Some(TIMEOUT)).map_err(failed)?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bootstrap-healthcheck\r\nConnection: close\r\n\r\n"
    );
    connection.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 512];
    while !answer.contains(&b'\n') && answer.len() < ANSWER {
        match connection.read(&mut chunk).map_err(failed)? {
            0 => break,
            read => answer.extend_from_slice(&chunk[..read]),
        }
    }
    let line = String::from_utf8_lossy(&answer).into_owned();
    let line = line.lines().next().unwrap_or_default();
    let status = line
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split_whitespace().nth(1))
        .filter(|status| status.len() == 3);
    let Some(status) = status else {
        return Err(Failure::unhealthy(format!(
            "GET :{port}{path} → {:?}, which isn't HTTP",
            shown(line)
        )));
    };
    if status.starts_with(['2', '3']) {
        return Ok(());
    }
    // The beginning of the body can name the reason.
    let _ = connection.set_read_timeout(Some(BODY_TIMEOUT));
    while answer.len() < ANSWER {
        match connection.read(&mut chunk) {
            Ok(0) | Err(_) => break,
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
        }
    }
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let reason = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| shown(body))
        .filter(|reason| !reason.is_empty());
    Err(Failure::unhealthy(match reason {
        Some(reason) => format!("GET :{port}{path} → {status} {reason:?}"),
        None => format!("GET :{port}{path} → {status}"),
    }))
}

/// The first line of a text, cut and printable.
fn shown(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or_default()
        .trim()
        .chars()
        .filter(|character| !character.is_control())
        .take(80)
        .collect()
}
