//! Adds HTTPS with a self-signed certificate to a plain HTTP server.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;

#[derive(Debug)]
pub struct Tls {
    pub port: u16,
    /// The certificate in PEM format.
    pub certificate: String,
}

impl Tls {
    /// Uses a certificate for `localhost`.
    pub fn in_front_of(backend: SocketAddr) -> Self {
        Self::named("localhost", backend)
    }

    /// Uses a certificate for `name`, which may be an address.
    pub fn named(name: &str, backend: SocketAddr) -> Self {
        let issued = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        let key = PrivateKeyDer::try_from(issued.signing_key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .expect("a matching key");
        let config = Arc::new(config);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let config = Arc::clone(&config);
                std::thread::spawn(move || forward(connection, config, backend));
            }
        });
        Self {
            port,
            certificate: issued.cert.pem(),
        }
    }
}

/// Forwards one request per connection.
fn forward(connection: TcpStream, config: Arc<ServerConfig>, backend: SocketAddr) {
    let Ok(session) = ServerConnection::new(config) else {
        return;
    };
    let mut client = StreamOwned::new(session, connection);
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    let mut length = None;
    while length.is_none_or(|length| request.len() < length) {
        match client.read(&mut chunk) {
            Ok(read) if read > 0 => request.extend_from_slice(&chunk[..read]),
            _ => return,
        }
        length = length.or_else(|| request_length(&request));
    }
    let Ok(mut server) = TcpStream::connect(backend) else {
        return;
    };
    let mut answer = Vec::new();
    let _ = server.write_all(&request);
    // Half-closing makes the backend close the connection after its response.
    let _ = server.shutdown(Shutdown::Write);
    let _ = server.read_to_end(&mut answer);
    let _ = client.write_all(&answer);
    client.conn.send_close_notify();
    let _ = client.flush();
}

/// Returns the length of a request with its body, or `None` while its head is incomplete.
fn request_length(request: &[u8]) -> Option<usize> {
    let head = request.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    Some(head + length.unwrap_or(0))
}
