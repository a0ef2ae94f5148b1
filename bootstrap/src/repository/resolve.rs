//! Resolves host names by the system's resolver.

use std::net::SocketAddr;
use std::path::Path;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

#[derive(Debug)]
pub(super) struct Resolver;

#[derive(Debug, thiserror::Error)]
#[error("failed to resolve {host}{hint}")]
pub(super) struct Unresolved {
    host: String,
    hint: &'static str,
    source: std::io::Error,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            // reqwest sets the port.
            let found = tokio::net::lookup_host((host.as_str(), 0))
                .await
                .map(std::iter::Iterator::collect::<Vec<SocketAddr>>);
            match found {
                Ok(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Err(source) => Err(Unresolved {
                    host,
                    hint: hint(),
                    source,
                }
                .into()),
            }
        })
    }
}

/// Docker resolves the names of containers only on user-defined networks.
fn hint() -> &'static str {
    let docker = Path::new("/.dockerenv").exists();
    let embedded =
        std::fs::read_to_string("/etc/resolv.conf").is_ok_and(|text| text.contains("127.0.0.11"));
    if docker && !embedded {
        " (Docker's default bridge does not resolve container names: run docker network create NAME, and start both containers with --network NAME)"
    } else if docker {
        " (put its container on the same network, with that name or --network-alias)"
    } else {
        ""
    }
}
