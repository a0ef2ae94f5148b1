//! `platformer domain add APP DOMAIN [--certificates DIR]`: another name for an app, with HTTPS where there is a
//! certificate. The load balancer reloads in place.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use rustls::crypto::ring;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;

use crate::environment::{self, Environment, Kind};
use crate::say::{json, say, table};
use crate::shell::Line;

const DIRECTORY: &str = "/var/lib/loadbalancer";
/// As ACME clients name them.
const FILES: [&str; 2] = ["fullchain.pem", "privkey.pem"];
/// Takes a file's place at once, and nobody else reads it.
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
    let shell = environment.shell;
    let write = |path: String, line: fn(Line, Vec<u8>) -> Line, content: Vec<u8>| {
        let command = Line::docker(["exec", "-i", &container, "sh", "-c", WRITE, "sh"])
            .and([format!("{DIRECTORY}/{path}")]);
        shell.act(&line(command, content))
    };
    if let Some(directory) = certificates {
        let [chain, key] = read_pair(directory)?;
        let stored = stored(&domain);
        write(
            format!("certificates/{stored}/fullchain.pem"),
            Line::secret,
            chain,
        )?;
        write(
            format!("certificates/{stored}/privkey.pem"),
            Line::secret,
            key,
        )?;
        let map = format!("{domain} {stored};\n").into_bytes();
        write(format!("certificates/{stored}.map"), Line::text, map)?;
    }
    let map = format!("{domain} {app};\n").into_bytes();
    write(format!("domains/{}.map", stored(&domain)), Line::text, map)?;
    if let Err(error) = reload(environment, &container) {
        // Left there it would stop the load balancer at its next start.
        take_away(environment, &container, &stored(&domain))?;
        return Err(error.context(format!("{domain} was not added")));
    }
    if !shell.dry_run {
        say(&format!(
            "{domain} is {app}{}; point its DNS record at this machine",
            if certificates.is_some() {
                ", over HTTPS too"
            } else {
                ""
            }
        ));
    }
    Ok(())
}

pub(crate) fn remove(environment: Environment, domain: &str) -> anyhow::Result<()> {
    let domain = checked(domain)?;
    let container = environment.container("loadbalancer")?;
    let stored = stored(&domain);
    let map = format!("{DIRECTORY}/domains/{stored}.map");
    let list = environment.shell.ask(&Line::docker([
        "exec",
        &container,
        "sh",
        "-c",
        &format!("ls {DIRECTORY}/domains/*.map 2>/dev/null; true"),
    ]))?;
    if !list.lines().any(|known| known == map) {
        bail!("{domain} was not added: platformer domain list tells which were");
    }
    take_away(environment, &container, &stored)?;
    reload(environment, &container)
}

fn take_away(environment: Environment, container: &str, stored: &str) -> anyhow::Result<()> {
    environment.shell.act(
        &Line::docker(["exec", container, "rm", "-rf"])
            .and([format!("{DIRECTORY}/domains/{stored}.map")])
            .and([format!("{DIRECTORY}/certificates/{stored}.map")])
            .and([format!("{DIRECTORY}/certificates/{stored}")]),
    )?;
    Ok(())
}

/// The answer of `domain list --json`.
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
    let printed = environment
        .shell
        .ask(&Line::docker(["exec", &container, "sh", "-c", &both]))?;
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

/// nginx takes the new settings in place: connections that are open stay so.
fn reload(environment: Environment, container: &str) -> anyhow::Result<()> {
    let shell = environment.shell;
    shell.act(&Line::docker(["exec", container, "nginx", "-t", "-q"]))?;
    shell.act(&Line::docker(["exec", container, "nginx", "-s", "reload"]))?;
    if environment.kind == Kind::Production && !shell.dry_run {
        let line = Line::docker([
            "service",
            "ps",
            "--quiet",
            "--filter",
            "desired-state=running",
        ])
        .and([format!("{}_loadbalancer", environment.name())]);
        let nodes = shell.ask(&line)?.lines().count();
        if nodes > 1 {
            say(&format!(
                "{nodes} nodes have a load balancer, each with domains of its own: do the same on the others (docker -H, or there)"
            ));
        }
    }
    Ok(())
}

/// A host name, or one with `*` in front, in lower case.
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
        "{domain:?} is no host name: write one such as www.example.org or *.example.org"
    );
    ensure!(
        !name.ends_with(".localhost"),
        "names under localhost are the apps' own: {domain} needs no adding"
    );
    Ok(lower)
}

/// What its files are called.
fn stored(domain: &str) -> String {
    domain.replace('*', "_")
}

/// Certificate and key, which belong to each other.
fn read_pair(directory: &Path) -> anyhow::Result<[Vec<u8>; 2]> {
    let [chain, key] = FILES.map(|file| {
        let path = directory.join(file);
        fs::read(&path).with_context(|| {
            format!("failed to read {}: a directory of certificates holds fullchain.pem and privkey.pem", path.display())
        })
    });
    let (chain, key) = (chain?, key?);
    let certificates = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .context("fullchain.pem is not PEM")?;
    ensure!(
        !certificates.is_empty(),
        "fullchain.pem holds no certificate"
    );
    let private =
        PrivateKeyDer::from_pem_slice(&key).context("privkey.pem holds no private key")?;
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
        assert_eq!(stored(&checked("*.example.org").unwrap()), "_.example.org");
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
