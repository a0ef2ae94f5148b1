//! S3 stores on this machine: the server of moto, which starts quickly, and a proxy that injects faults.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::http;
use crate::moto::Moto;
use crate::ports;
use crate::run::eventually;

/// An S3 store with a bucket named `bucket`.
#[derive(Debug)]
pub struct S3 {
    pub address: SocketAddr,
    pub access_key: String,
    pub secret_key: String,
    process: Option<Child>,
}

impl S3 {
    /// Starts the server of moto. Skips the current test if moto is not installed.
    pub fn moto() -> Self {
        let address = ports::free();
        let mut store = Self::at(address, "access", "secret");
        store.process = Some(Moto::find().serve(address));
        eventually("moto accepts connections", || {
            TcpStream::connect(address).is_ok()
        });
        assert_eq!(http::put(address, "/bucket", b"").status, 200);
        store
    }

    pub(crate) fn at(address: SocketAddr, access_key: &str, secret_key: &str) -> Self {
        Self {
            address,
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            process: None,
        }
    }

    /// Returns the same store at another address.
    #[must_use]
    pub fn at_address(&self, address: SocketAddr) -> Self {
        Self::at(address, &self.access_key, &self.secret_key)
    }

    /// Creates `bucket`, and `versioned`, which keeps old versions of objects.
    pub(crate) fn create_buckets(&self) {
        let script = format!(
            "import boto3
s3 = boto3.client('s3', endpoint_url='http://{}', aws_access_key_id='{}', aws_secret_access_key='{}', region_name='us-east-1')
for bucket in ('bucket', 'versioned'): s3.create_bucket(Bucket=bucket)
s3.put_bucket_versioning(Bucket='versioned', VersioningConfiguration={{'Status': 'Enabled'}})
",
            self.address, self.access_key, self.secret_key
        );
        let output = Command::new("python3")
            .args(["-c", &script])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Returns the settings of a repository on `bucket`.
    pub fn environment(&self, prefix: &str) -> Vec<(OsString, OsString)> {
        self.environment_with_bucket("bucket", prefix)
    }

    /// Returns the settings of a repository on another bucket.
    pub fn environment_with_bucket(&self, bucket: &str, prefix: &str) -> Vec<(OsString, OsString)> {
        [
            ("REPOSITORY_STORAGE", format!("s3://{bucket}/{prefix}")),
            ("AWS_ENDPOINT", format!("http://{}", self.address)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", self.access_key.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key.clone()),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A request that the proxy received.
#[derive(Debug)]
pub struct Request {
    /// The request line and the headers.
    pub head: String,
}

impl Request {
    pub fn is_conditional(&self) -> bool {
        self.head
            .to_ascii_lowercase()
            .contains("\r\nif-none-match:")
    }
}

/// What the proxy does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Forwards the request without its condition, like a store that ignores conditions.
    IgnoreCondition,
    /// Forwards the request and drops the answer.
    DropAnswer,
    /// Drops the request.
    DropRequest,
    /// Changes the last byte of the answer.
    CorruptAnswer,
    /// Answers 503, like a store under too much load.
    Busy,
}

/// Starts a proxy to a store. `choose_fault` decides what happens to each request.
pub fn proxy(
    store: SocketAddr,
    choose_fault: impl Fn(&Request) -> Fault + Send + Sync + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let choose_fault = Arc::new(choose_fault);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let choose_fault = Arc::clone(&choose_fault);
            thread::spawn(move || forward(connection, store, choose_fault.as_ref()));
        }
    });
    address
}

fn forward(
    mut client: TcpStream,
    store: SocketAddr,
    choose_fault: &impl Fn(&Request) -> Fault,
) -> Option<()> {
    client.set_read_timeout(Some(Duration::from_mins(1))).ok()?;
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        match client.read(&mut chunk).ok()? {
            0 => return None,
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length: usize = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    while bytes.len() < end + length {
        match client.read(&mut chunk).ok()? {
            0 => return None,
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    let body = &bytes[end..];
    let request = Request { head };
    let fault = choose_fault(&request);
    match fault {
        Fault::DropRequest => return None,
        Fault::Busy => {
            let answer = "HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            return client.write_all(answer.as_bytes()).ok();
        }
        Fault::None | Fault::IgnoreCondition | Fault::DropAnswer | Fault::CorruptAnswer => {}
    }
    // One request per connection.
    let mut lines: Vec<&str> = request.head.trim_end().split("\r\n").collect();
    lines.retain(|line| {
        let name = line.split(':').next().unwrap_or_default();
        !(name.eq_ignore_ascii_case("connection")
            || fault == Fault::IgnoreCondition && name.eq_ignore_ascii_case("if-none-match"))
    });
    let head = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
    let mut upstream = TcpStream::connect(store).ok()?;
    upstream.write_all(head.as_bytes()).ok()?;
    upstream.write_all(body).ok()?;
    if matches!(fault, Fault::None | Fault::IgnoreCondition) {
        // Streams the answer.
        return std::io::copy(&mut upstream, &mut client).ok().map(drop);
    }
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer).ok()?;
    if fault == Fault::DropAnswer {
        return None;
    }
    if let (Fault::CorruptAnswer, Some(last)) = (fault, answer.last_mut()) {
        *last ^= 1;
    }
    client.write_all(&answer).ok()
}
