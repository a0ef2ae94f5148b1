//! The real repository, on its own port.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use crate::binaries;
use crate::http::{self, Response};
use crate::run::{self, Exit, Running};
use crate::s3::S3;

#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    process: Option<Running>,
    /// Removed when the server is dropped.
    _cache: TempDir,
}

impl Server {
    /// Starts on an empty directory, which is removed when it is dropped.
    pub fn fresh() -> (TempDir, Self) {
        let storage = tempfile::tempdir().expect("a temporary directory");
        let server = Self::start(storage.path());
        (storage, server)
    }

    pub fn start(storage: &Path) -> Self {
        Self::start_with(storage, &[])
    }

    pub fn start_with(storage: &Path, settings: &[(&str, &str)]) -> Self {
        let storage = format!("file://{}", storage.display());
        let environment = [("REPOSITORY_STORAGE".into(), storage.into())];
        Self::start_in(environment.into(), settings)
    }

    /// Starts on an S3 store.
    pub fn start_on(store: &S3, prefix: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_in(store.environment(prefix), settings)
    }

    fn start_in(mut environment: Vec<(OsString, OsString)>, settings: &[(&str, &str)]) -> Self {
        let cache = tempfile::tempdir().expect("a temporary directory");
        environment.push(("REPOSITORY_LISTEN".into(), "127.0.0.1:0".into()));
        environment.push(("REPOSITORY_CACHE".into(), cache.path().into()));
        environment.extend(
            settings
                .iter()
                .map(|(name, value)| (format!("REPOSITORY_{name}").into(), (*value).into())),
        );
        let process = run::spawn::<&str>(&binaries::repository(), &[], &environment);
        let line = process.wait_for_stderr("repository is ready");
        let address = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("address=")?.parse().ok())
            .unwrap_or_else(|| panic!("an address in {line}"));
        Self {
            address,
            process: Some(process),
            _cache: cache,
        }
    }

    pub fn process(&self) -> &Running {
        self.process.as_ref().expect("a running server")
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(mut self) -> Exit {
        let process = self.process.take().expect("a running server");
        process.signal(libc::SIGTERM);
        process.wait()
    }

    /// Waits for the end of a server that has received SIGTERM.
    pub fn wait(mut self) -> Exit {
        self.process.take().expect("a running server").wait()
    }

    /// Sends SIGKILL, like a crash.
    pub fn kill(mut self) {
        let process = self.process.take().expect("a running server");
        process.signal(libc::SIGKILL);
        process.wait();
    }

    pub fn get(&self, path: &str) -> Response {
        http::get(self.address, path)
    }

    pub fn put(&self, path: &str, body: impl AsRef<[u8]>) -> Response {
        http::put(self.address, path, body.as_ref())
    }

    pub fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        http::request(self.address, method, path, headers, body)
    }

    /// Publishes and asserts success.
    pub fn publish(&self, path: &str, body: impl AsRef<[u8]>) {
        let response = self.put(path, body);
        assert!(
            matches!(response.status, 200 | 201),
            "PUT {path}: {} {}",
            response.status,
            response.text()
        );
    }
}
