//! A repository in a container.

use std::net::{SocketAddr, TcpStream};

use super::{Container, Network, Sample};
use crate::http;
use crate::run::eventually;

/// A repository on a network of its own, named `repository.platform`, with open writes.
#[derive(Debug)]
pub struct Repository {
    // Declared first, because the network can be removed only after the container.
    pub container: Container,
    pub network: Network,
}

impl Repository {
    /// Starts a repository and publishes the sample apps.
    pub fn with(apps: &[&str]) -> Self {
        let network = Network::new();
        let container = Container::run(&[
            "--network",
            &network.0,
            "--network-alias",
            "repository.platform",
            "--publish",
            "127.0.0.1::80",
            "--env",
            "REPOSITORY_ANONYMOUS_WRITES=true",
            "platformer/repository",
        ]);
        let address = container.port("80");
        eventually("the repository is ready", || {
            TcpStream::connect(address).is_ok() && container.logs().contains("is ready")
        });
        let repository = Self { container, network };
        for app in apps {
            repository.publish(app);
        }
        repository
    }

    /// Returns the current address. It changes when the container restarts.
    pub fn address(&self) -> SocketAddr {
        self.container.port("80")
    }

    fn publish(&self, app: &str) {
        let Sample {
            version,
            archive,
            config,
        } = Sample::packed(app);
        let path = format!("/artefacts/{app}/{version}/{app}-{version}.tar.gz");
        self.put(&path, &archive);
        self.put(&format!("/config/{app}/{app}.config"), config.as_bytes());
    }

    /// Sends a PUT and asserts that it creates something.
    pub fn put(&self, path: &str, body: &[u8]) {
        let answer = http::put(self.address(), path, body);
        assert_eq!(answer.status, 201, "PUT {path}: {}", answer.text());
    }
}
