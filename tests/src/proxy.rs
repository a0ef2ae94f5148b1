//! Runs nginx or `HAProxy` with the configurations of the documentation: as a proxy (docs/proxies.md), as a load
//! balancer (docs/loadbalancer.md) and as a cache (docs/past-one-machine.md).
//!
//! The harness binds the port and passes the socket as standard input, so no other process can take the port.

use std::fmt;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::http;
use crate::run::{self, Running};
use crate::skip::{require_program, starts, without};

/// A replacement in the documented configuration: the old text, which must exist, and the new text.
pub type Change<'a> = (&'a str, &'a str);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Haproxy,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

impl Kind {
    pub const ALL: [Self; 2] = [Self::Nginx, Self::Haproxy];

    fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    /// Skips the current test if the proxy is not installed.
    pub fn require(self) {
        let (program, package) = (self.program(), self.package());
        require_program(program, package);
    }

    /// Returns the installed proxies, and reports that the test runs in part if one is missing.
    pub fn installed() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|kind| {
            let is_installed = starts(kind.program());
            if !is_installed {
                let (program, package) = (kind.program(), kind.package());
                without(&format!("{program} (install {package})"));
            }
            is_installed
        })
    }

    fn package(self) -> &'static str {
        match self {
            Self::Nginx => "nginx-light",
            Self::Haproxy => "haproxy",
        }
    }

    /// Returns the configuration in a page of the documentation.
    fn documented(self, page: &str) -> String {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let page = fs::read_to_string(docs.join(page)).expect("the page exists");
        let begin = format!("```{self}\n");
        let (_, block) = page.split_once(&begin).expect("a block for it");
        let (block, _) = block.split_once("```").expect("the end of the block");
        block.to_owned()
    }
}

/// Stops when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    pub address: SocketAddr,
    process: Option<Running>,
    _home: TempDir,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // SIGTERM, because the workers of a killed nginx keep running.
        if let Some(process) = self.process.take() {
            process.signal(libc::SIGTERM);
            process.wait();
        }
    }
}

impl Proxy {
    /// Starts a proxy of `repository`, with the documented configuration and `changes`.
    pub fn start(kind: Kind, repository: SocketAddr, changes: &[Change<'_>]) -> Self {
        let upstream = repository.to_string();
        let changes = [changes, &[("127.0.0.1:8080", &upstream)]].concat();
        let proxy = Self::launch(kind, "proxies.md", &changes);
        // The socket accepts connections already. An answer shows that the proxy has started.
        let answer = http::try_request(proxy.address, "GET", "/healthz", &[], b"");
        let status = answer.map(|answer| answer.status);
        assert_eq!(status, Some(200), "{kind}: {}", proxy.log());
        proxy
    }

    /// Starts nginx as a cache of `repository`.
    pub fn cache(repository: SocketAddr, changes: &[Change<'_>]) -> Self {
        let upstream = repository.to_string();
        let changes = [changes, &[("127.0.0.1:8080", &upstream)]].concat();
        let proxy = Self::launch(Kind::Nginx, "past-one-machine.md", &changes);
        let answer = http::try_request(proxy.address, "GET", "/healthz", &[], b"");
        assert_eq!(
            answer.map(|answer| answer.status),
            Some(200),
            "{}",
            proxy.log()
        );
        proxy
    }

    /// Starts `HAProxy` as a load balancer of apps, which it finds through the name server `dns`. All apps listen on `port`.
    pub fn load_balancer(dns: SocketAddr, port: u16) -> Self {
        let (dns, port) = (dns.to_string(), format!(".apps.platform:{port}"));
        let changes = [
            ("127.0.0.11:53", dns.as_str()),
            (".apps.platform:8080", &port),
        ];
        Self::launch(Kind::Haproxy, "loadbalancer.md", &changes)
    }

    fn launch(kind: Kind, page: &str, changes: &[Change<'_>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut command = Command::new(kind.program());
        let (from, to) = match kind {
            Kind::Nginx => {
                command.args(["-e", "stderr", "-c", "conf", "-p"]);
                command.arg(home.path());
                // nginx passes sockets to its successor in this variable.
                command.env("NGINX", "0;");
                ("listen 80;", format!("listen {address};"))
            }
            Kind::Haproxy => {
                command.arg("-db").arg("-f").arg(home.path().join("conf"));
                ("bind :80", "bind fd@0".to_owned())
            }
        };
        let mut text = kind.documented(page);
        for (from, to) in changes.iter().chain(&[(from, to.as_str())]) {
            assert!(text.contains(from), "{from} in\n{text}");
            text = text.replace(from, to);
        }
        fs::write(home.path().join("conf"), complete(kind, &text))
            .expect("the directory is writable");
        let process = run::spawn_with_input(&mut command, OwnedFd::from(listener).into());
        Self {
            address,
            process: Some(process),
            _home: home,
        }
    }

    pub fn log(&self) -> String {
        let process = self.process.as_ref();
        process.map(Running::stderr_so_far).unwrap_or_default()
    }
}

/// Adds the settings that a distribution's main configuration contains. A single worker makes all requests share the
/// connections to the repository.
fn complete(kind: Kind, text: &str) -> String {
    match kind {
        Kind::Nginx => format!(
            "daemon off; user root; worker_processes 1; pid pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
access_log off;
client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
{text}}}
"
        ),
        Kind::Haproxy => format!("global\n    nbthread 1\n\n{text}"),
    }
}
