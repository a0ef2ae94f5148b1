//! HTTPS in front of a plain server, with a certificate for `localhost` that nobody knows.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;

#[derive(Debug)]
pub struct Tls {
    pub port: u16,
    /// The certificate, as PEM: whoever trusts it can connect.
    pub certificate: String,
}

impl Tls {
    pub fn in_front_of(backend: SocketAddr) -> Self {
        let issued =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
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

/// One request at a time: the head in, the answer out, until one side has enough.
fn forward(connection: TcpStream, config: Arc<ServerConfig>, backend: SocketAddr) {
    let Ok(session) = ServerConnection::new(config) else {
        return;
    };
    let mut client = StreamOwned::new(session, connection);
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    while !request.ends_with(b"\r\n\r\n") {
        match client.read(&mut chunk) {
            Ok(read) if read > 0 => request.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
    let Ok(mut server) = TcpStream::connect(backend) else {
        return;
    };
    // The backend keeps its connection; a short silence is the end of its answer.
    let _ = server.set_read_timeout(Some(Duration::from_millis(300)));
    let mut answer = Vec::new();
    let _ = server.write_all(&request);
    let _ = server.read_to_end(&mut answer);
    let _ = client.write_all(&answer);
    client.conn.send_close_notify();
    let _ = client.flush();
}
