//! `platformer doctor`: checks this machine's prerequisites, and says how to install what is missing.

use std::net::{Ipv4Addr, TcpListener, ToSocketAddrs as _};
use std::path::Path;

use anyhow::bail;

use super::up;
use crate::images;
use crate::output::table;
use crate::shell::{CommandLine, Outcome};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Training does not work without it.
    Required,
    Optional,
}

struct Check {
    name: &'static str,
    need: Need,
    /// The state of a prerequisite, or what to do if it is missing.
    result: Result<String, String>,
}

pub(crate) fn run() -> anyhow::Result<()> {
    let checks = [
        engine(),
        compose(),
        swarm(),
        images(),
        port(),
        localhost(),
        ipvs(),
    ];
    let rows: Vec<Vec<String>> = checks
        .iter()
        .map(|check| {
            let (mark, text) = match (&check.result, check.need) {
                (Ok(state), _) => ("ok", state),
                (Err(advice), Need::Required) => ("MISSING", advice),
                (Err(advice), Need::Optional) => ("no", advice),
            };
            vec![check.name.to_owned(), mark.to_owned(), text.clone()]
        })
        .collect();
    table(&["CHECK", "", ""], &rows);
    let missing = checks
        .iter()
        .filter(|check| check.need == Need::Required && check.result.is_err())
        .count();
    if missing > 0 {
        bail!(
            "{missing} prerequisites of training are missing: install them, then run platformer doctor again"
        );
    }
    Ok(())
}

/// The output of a command, or the reason why there is none.
fn probe(line: &CommandLine) -> Result<String, String> {
    match line.probe() {
        Ok(Outcome::Success(output)) => Ok(output),
        Ok(Outcome::Failure(message)) => Err(message),
        Err(error) => Err(format!("{error:#}")),
    }
}

fn engine() -> Check {
    let outcome = probe(&CommandLine::docker([
        "version",
        "--format",
        "{{.Server.Version}}",
    ]));
    Check {
        name: "Docker engine",
        need: Need::Required,
        result: outcome.map_err(|error| {
            format!("install Docker Engine 20.10 or later and start it ({error})")
        }),
    }
}

fn compose() -> Check {
    let outcome = match probe(&CommandLine::docker(["compose", "version", "--short"])) {
        Ok(version) => Ok(format!("docker compose {version}")),
        Err(_) => match probe(&CommandLine::new(["docker-compose", "version", "--short"])) {
            Ok(version) => Ok(format!("docker-compose {version}")),
            Err(_) => Err(
                "training runs on Compose: install docker-compose-plugin, or docker-compose 1.29"
                    .to_owned(),
            ),
        },
    };
    Check {
        name: "Compose",
        need: Need::Required,
        result: outcome,
    }
}

fn swarm() -> Check {
    let state = probe(&CommandLine::docker([
        "info",
        "--format",
        "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}",
    ]));
    Check {
        name: "Swarm manager",
        need: Need::Optional,
        result: match state.as_deref() {
            Ok("active true") => Ok("production can be deployed from here".to_owned()),
            Ok("active false") => Err(
                "this node is a worker: run platformer on a manager to deploy to production"
                    .to_owned(),
            ),
            _ => Err("for production: docker swarm init".to_owned()),
        },
    }
}

fn images() -> Check {
    let mut missing = Vec::new();
    for tag in images::tags() {
        let inspect = CommandLine::docker(["image", "inspect", "--format", "{{.Id}}", tag]);
        if probe(&inspect).is_err() {
            missing.push(tag);
        }
    }
    Check {
        name: "Images",
        need: Need::Required,
        result: if missing.is_empty() {
            Ok(format!("{} of them", images::tags().count()))
        } else {
            Err(format!(
                "run platformer images, or cargo images in a checkout, to build {}",
                missing.join(", ")
            ))
        },
    }
}

fn port() -> Check {
    let ours = CommandLine::docker([
        "ps",
        "--quiet",
        "--filter",
        "label=platform.part=loadbalancer",
    ]);
    let is_ours = probe(&ours).is_ok_and(|ids| !ids.is_empty());
    let number = up::port("HTTP_PORT", 8080).unwrap_or(8080);
    let outcome = match TcpListener::bind((Ipv4Addr::UNSPECIFIED, number)) {
        Ok(_) => Ok(format!("{number} is free")),
        Err(_) if is_ours => Ok(format!("{number} is used by the load balancer")),
        Err(error) => Err(format!(
            "{number} is in use ({error}): stop the program that uses it, or run HTTP_PORT=8090 platformer up"
        )),
    };
    Check {
        name: "HTTP_PORT",
        need: Need::Required,
        result: outcome,
    }
}

/// Browsers and curl resolve `*.localhost` by themselves; other programs ask the system.
fn localhost() -> Check {
    let is_loopback = ("hello-world.localhost", 80)
        .to_socket_addrs()
        .is_ok_and(|mut found| found.any(|address| address.ip().is_loopback()));
    Check {
        name: "*.localhost",
        need: Need::Optional,
        result: if is_loopback {
            Ok("resolves to this machine".to_owned())
        } else {
            Err(
                "browsers and curl resolve it by themselves; for other programs, install libnss-myhostname"
                    .to_owned(),
            )
        },
    }
}

/// Swarm's virtual addresses need IPVS. The platform does not use them.
fn ipvs() -> Check {
    let is_loaded =
        Path::new("/proc/net/ip_vs").exists() || Path::new("/sys/module/ip_vs").exists();
    Check {
        name: "IPVS",
        need: Need::Optional,
        result: if is_loaded {
            Ok("loaded, but not used".to_owned())
        } else {
            Err("not loaded, and not needed: production uses dnsrr and host ports".to_owned())
        },
    }
}
