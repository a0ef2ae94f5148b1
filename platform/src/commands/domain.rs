//! `platformer domain add APP DOMAIN [--certificates DIR]`: another host name of an app, with HTTPS if there is a
//! certificate. nginx reloads its settings in place.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;

use crate::engine;
use crate::environment::{self, Environment};
use crate::output::{json, table};
use crate::shell::CommandLine;
use crate::step::{Step, apply_all};

const DIRECTORY: &str = "/var/lib/loadbalancer";
/// The names that ACME clients use.
const FILES: [&str; 2] = ["fullchain.pem", "privkey.pem"];
/// Replaces a file in one step, and makes it private.
const WRITE: &str = "umask 077 && mkdir -p \"${1%/*}\" && cat > \"$1.new\" && mv \"$1.new\" \"$1\"";

pub(crate) fn add(
    environment: Environment,
    app: &str,
    domain: &str,
    certificates: Option<&Path>,
) -> anyhow::Result<()> {
    let app = environment::app_name(app)?;
    let domain = checked(domain)?;
    let container = environment.container("loadbalancer")?;
    let stem = file_stem(&domain);
    let write = |path: String| {
        CommandLine::docker(["exec", "-i", &container, "sh", "-c", WRITE, "sh"])
            .arg(format!("{DIRECTORY}/{path}"))
    };
    let mut lines = Vec::new();
    if let Some(directory) = certificates {
        let [chain, key] = read_pair(directory)?;
        let directory = format!("certificates/{stem}");
        lines.push(write(format!("{directory}/fullchain.pem")).stdin_secret(chain));
        lines.push(write(format!("{directory}/privkey.pem")).stdin_secret(key));
        let map = format!("{domain} {stem};\n");
        lines.push(write(format!("{directory}.map")).stdin_text(map));
    }
    let map = format!("{domain} {app};\n");
    lines.push(write(format!("domains/{stem}.map")).stdin_text(map));
    let shell = environment.shell;
    let mut steps: Vec<Step> = lines
        .into_iter()
        .map(|line| Step::command(shell, line))
        .collect();
    // Files that nginx refuses would stop it at its next start.
    let undo = vec![Step::command(shell, delete(&container, &stem))];
    let check = Step::command(shell, nginx(&container, &["-t", "-q"]));
    steps.push(check.or_undo(undo).context(format!(
        "nginx refuses the settings, so {domain} isn't added"
    )));
    steps.push(reload(environment, &container));
    let https = certificates.map_or("", |_| ", over HTTPS too");
    steps.push(Step::report(format!(
        "{domain} serves {app}{https}; point its DNS record at this machine"
    )));
    steps.extend(other_nodes(environment)?);
    apply_all(steps, shell)
}

pub(crate) fn remove(environment: Environment, domain: &str) -> anyhow::Result<()> {
    let domain = checked(domain)?;
    let container = environment.container("loadbalancer")?;
    let stem = file_stem(&domain);
    let map = format!("{DIRECTORY}/domains/{stem}.map");
    let exists = CommandLine::docker(["exec", &container, "test", "-e", &map]);
    ensure!(
        exists.probe()?.is_success(),
        "{domain} isn't a domain of any app: platformer domain list lists the domains"
    );
    let shell = environment.shell;
    let mut steps = vec![
        Step::command(shell, delete(&container, &stem)),
        reload(environment, &container),
        Step::report(format!("{domain} is removed")),
    ];
    steps.extend(other_nodes(environment)?);
    apply_all(steps, shell)
}

fn delete(container: &str, stem: &str) -> CommandLine {
    CommandLine::docker(["exec", container, "rm", "-rf"])
        .arg(format!("{DIRECTORY}/domains/{stem}.map"))
        .arg(format!("{DIRECTORY}/certificates/{stem}.map"))
        .arg(format!("{DIRECTORY}/certificates/{stem}"))
}

fn nginx(container: &str, arguments: &[&str]) -> CommandLine {
    CommandLine::docker(["exec", container, "nginx"]).args(arguments.iter().copied())
}

/// nginx applies new settings without closing connections with requests in flight.
fn reload(environment: Environment, container: &str) -> Step {
    Step::command(environment.shell, nginx(container, &["-s", "reload"]))
}

/// Tells users of several nodes that each load balancer has domains of its own.
fn other_nodes(environment: Environment) -> anyhow::Result<Option<Step>> {
    let nodes = engine::of(environment).load_balancers()?;
    Ok((nodes > 1).then(|| {
        Step::report(format!(
            "{nodes} nodes have a load balancer, each with its own domains: repeat this command on the others, or with DOCKER_HOST"
        ))
    }))
}

/// The output of `domain list --json`.
#[derive(Debug, Serialize)]
struct Domains {
    domains: Vec<Entry>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Entry {
    domain: String,
    app: String,
    /// Whether the load balancer has a certificate for the domain.
    https: bool,
}

pub(crate) fn list(environment: Environment, as_json: bool) -> anyhow::Result<()> {
    let container = environment.container("loadbalancer")?;
    let both = format!(
        "cat {DIRECTORY}/domains/*.map 2>/dev/null; echo; cat {DIRECTORY}/certificates/*.map 2>/dev/null; true"
    );
    let printed = CommandLine::docker(["exec", &container, "sh", "-c", &both]).read()?;
    let domains = parse_maps(&printed);
    if as_json {
        return json(&Domains { domains });
    }
    let rows: Vec<Vec<String>> = domains
        .into_iter()
        .map(|Entry { domain, app, https }| {
            vec![domain, app, if https { "yes" } else { "no" }.to_owned()]
        })
        .collect();
    table(&["DOMAIN", "APP", "HTTPS"], &rows);
    Ok(())
}

/// Reads nginx's map of domains, an empty line, and the map of certificates.
fn parse_maps(printed: &str) -> Vec<Entry> {
    let (domains, certificates) = printed.split_once("\n\n").unwrap_or((printed, ""));
    let has_certificate = |domain: &str| {
        certificates
            .lines()
            .any(|line| line.split(' ').next() == Some(domain))
    };
    domains
        .lines()
        .filter_map(|line| line.trim_end_matches(';').split_once(' '))
        .map(|(domain, app)| Entry {
            domain: domain.to_owned(),
            app: app.to_owned(),
            https: has_certificate(domain),
        })
        .collect()
}

/// Checks a host name or a wildcard such as `*.example.org`, and returns it in lower case.
fn checked(domain: &str) -> anyhow::Result<String> {
    let lower = domain.trim_end_matches('.').to_ascii_lowercase();
    let name = lower.strip_prefix("*.").unwrap_or(&lower);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    ensure!(
        name.len() <= 253 && name.contains('.') && name.split('.').all(is_label),
        "{domain:?} isn't a host name: write a name such as www.example.org or *.example.org"
    );
    ensure!(
        !name.ends_with(".localhost"),
        "every app has its name under localhost already: you needn't add {domain}"
    );
    Ok(lower)
}

/// The name of a domain's files, without their endings.
fn file_stem(domain: &str) -> String {
    domain.replace('*', "_")
}

/// Reads a certificate and its key, and checks that they belong together.
fn read_pair(directory: &Path) -> anyhow::Result<[Vec<u8>; 2]> {
    let [chain, key] = FILES.map(|file| {
        let path = directory.join(file);
        fs::read(&path).with_context(|| {
            format!(
                "failed to read {}: the directory must contain fullchain.pem and privkey.pem",
                path.display()
            )
        })
    });
    let (chain, key) = (chain?, key?);
    let certificates = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .context("fullchain.pem is not PEM")?;
    ensure!(
        !certificates.is_empty(),
        "fullchain.pem contains no certificate"
    );
    let private =
        PrivateKeyDer::from_pem_slice(&key).context("privkey.pem contains no private key")?;
    CertifiedKey::from_der(certificates, private, &ring::default_provider())
        .context("privkey.pem is not the key of the first certificate in fullchain.pem")?;
    Ok([chain, key])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::json;

    use super::*;

    #[test]
    fn the_json_has_its_documented_fields() {
        let printed = "www.example.org hello-world;\n*.example.net bakery;\n\nwww.example.org www.example.org;\n";
        let domains = parse_maps(printed);
        assert_eq!(
            serde_json::to_value(Domains { domains }).unwrap(),
            json!({ "domains": [
                { "domain": "www.example.org", "app": "hello-world", "https": true },
                { "domain": "*.example.net", "app": "bakery", "https": false },
            ] })
        );
        assert_eq!(parse_maps(""), []);
    }

    #[test]
    fn only_host_names_become_files_and_settings() {
        assert_eq!(checked("WWW.Example.org.").unwrap(), "www.example.org");
        assert_eq!(
            file_stem(&checked("*.example.org").unwrap()),
            "_.example.org"
        );
        for bad in [
            "",
            "example",
            "a b.org",
            "x;y.org",
            "../x.org",
            "a..b",
            "hello.localhost",
            "a_b.org",
            "*.*.org",
        ] {
            assert!(checked(bad).is_err(), "{bad}");
        }
    }
}
