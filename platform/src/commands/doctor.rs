//! `platformer doctor`: what this machine has, what it lacks, and what to do about it.

use std::net::{Ipv4Addr, TcpListener, ToSocketAddrs as _};
use std::path::Path;

use anyhow::bail;

use super::up;
use crate::images;
use crate::output::table;
use crate::shell::{CommandLine, Outcome, Shell};

/// What an environment cannot do without, and what makes it nicer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    Needed,
    /// Without it something is missing that not everybody needs.
    Useful,
}

struct Finding {
    what: &'static str,
    weight: Weight,
    /// What was found, or what to do.
    outcome: Result<String, String>,
}

pub(crate) fn run(_shell: Shell) -> anyhow::Result<()> {
    let findings = [
        engine(),
        compose(),
        swarm(),
        built(),
        port(),
        localhost(),
        ipvs(),
    ];
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|finding| {
            let (mark, text) = match (&finding.outcome, finding.weight) {
                (Ok(found), _) => ("ok", found),
                (Err(advice), Weight::Needed) => ("MISSING", advice),
                (Err(advice), Weight::Useful) => ("no", advice),
            };
            vec![finding.what.to_owned(), mark.to_owned(), text.clone()]
        })
        .collect();
    table(&["WHAT", "", ""], &rows);
    let missing = findings
        .iter()
        .filter(|finding| finding.weight == Weight::Needed && finding.outcome.is_err())
        .count();
    if missing > 0 {
        bail!("{missing} of what training needs is missing");
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

fn engine() -> Finding {
    let outcome = probe(&CommandLine::docker([
        "version",
        "--format",
        "{{.Server.Version}}",
    ]));
    Finding {
        what: "Docker engine",
        weight: Weight::Needed,
        outcome: outcome
            .map_err(|said| format!("install Docker Engine 20.10 or later and start it ({said})")),
    }
}

fn compose() -> Finding {
    let outcome = match probe(&CommandLine::docker(["compose", "version", "--short"])) {
        Ok(version) => Ok(format!("docker compose {version}")),
        Err(_) => match probe(&CommandLine::new(["docker-compose", "version", "--short"])) {
            Ok(version) => Ok(format!("docker-compose {version}")),
            Err(_) => Err(
                "install docker-compose-plugin, or docker-compose 1.29: training is made by it"
                    .to_owned(),
            ),
        },
    };
    Finding {
        what: "Compose",
        weight: Weight::Needed,
        outcome,
    }
}

fn swarm() -> Finding {
    let state = probe(&CommandLine::docker([
        "info",
        "--format",
        "{{.Swarm.LocalNodeState}} {{.Swarm.ControlAvailable}}",
    ]));
    Finding {
        what: "Swarm manager",
        weight: Weight::Useful,
        outcome: match state.as_deref() {
            Ok("active true") => Ok("production can be deployed from here".to_owned()),
            Ok("active false") => {
                Err("this node is a worker: production is deployed from a manager".to_owned())
            }
            _ => Err("for production: docker swarm init".to_owned()),
        },
    }
}

fn built() -> Finding {
    let mut missing = Vec::new();
    for tag in images::tags() {
        let inspect = CommandLine::docker(["image", "inspect", "--format", "{{.Id}}", tag]);
        if probe(&inspect).is_err() {
            missing.push(tag);
        }
    }
    Finding {
        what: "Images",
        weight: Weight::Needed,
        outcome: if missing.is_empty() {
            Ok(format!("{} of them", images::tags().count()))
        } else {
            Err(format!("platformer images builds {}", missing.join(", ")))
        },
    }
}

/// Free, or the load balancer's.
fn port() -> Finding {
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
        Err(_) if is_ours => Ok(format!("{number} is the load balancer's")),
        Err(error) => Err(format!(
            "{number} is in use ({error}): end what uses it, or HTTP_PORT=8090 platformer up"
        )),
    };
    Finding {
        what: "HTTP_PORT",
        weight: Weight::Needed,
        outcome,
    }
}

/// Browsers and curl know it by themselves; other programs ask the system.
fn localhost() -> Finding {
    let is_loopback = ("hello-world.localhost", 80)
        .to_socket_addrs()
        .is_ok_and(|mut found| found.any(|address| address.ip().is_loopback()));
    Finding {
        what: "*.localhost",
        weight: Weight::Useful,
        outcome: if is_loopback {
            Ok("is this machine".to_owned())
        } else {
            Err(
                "browsers and curl know it all the same; other programs need libnss-myhostname"
                    .to_owned(),
            )
        },
    }
}

/// What Swarm's virtual addresses need, and ours do not.
fn ipvs() -> Finding {
    let is_there = Path::new("/proc/net/ip_vs").exists() || Path::new("/sys/module/ip_vs").exists();
    Finding {
        what: "IPVS",
        weight: Weight::Useful,
        outcome: if is_there {
            Ok("there; not used".to_owned())
        } else {
            Err("not loaded; production does without (endpoint_mode: dnsrr, host ports)".to_owned())
        },
    }
}
