//! Conformance of the server: schemathesis checks `/openapi.json`, and redbot checks answers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use platformer_tests::server::Server;
use platformer_tests::skip::{find_program, skip};
use serde_json::Value;

const TOKEN: &str = "an-admin-token-for-one-test-alone";

/// Finds a Python program, or skips the current test.
fn program(name: &str) -> PathBuf {
    find_program(name)
        .unwrap_or_else(|| skip(&format!("{name} is not installed (pip install {name})")))
}

fn fill(server: &Server, headers: &[(&str, &str)]) {
    // Large enough for a partial response.
    let artefact = "0123456789\n".repeat(10_000);
    for (path, body) in [
        (
            "/artefacts/hello-world/1.0.0/hello-world-1.0.0.tar.gz",
            artefact.as_str(),
        ),
        ("/config/hello-world/hello-world.config", "A=1\n"),
        ("/channels/hello-world/stable", "1.0.0"),
    ] {
        let answer = server.request("PUT", path, headers, body.as_bytes());
        assert_eq!(answer.status, 201, "{path}: {}", answer.text());
    }
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
fn the_api_matches_its_description() {
    let schemathesis = program("schemathesis");
    let home = tempfile::tempdir().unwrap();
    let token = home.path().join("token");
    std::fs::write(&token, TOKEN).unwrap();
    let settings = [("ADMIN_TOKEN_FILE", token.to_str().unwrap())];
    let server = Server::start_with(&home.path().join("store"), &settings);
    let authorization = format!("Bearer {TOKEN}");
    fill(&server, &[("Authorization", &authorization)]);
    let config =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("end-to-end/described/schemathesis.toml");
    let output = Command::new(schemathesis)
        .arg("--config-file")
        .arg(config)
        .arg("run")
        .arg(format!("http://{}/openapi.json", server.address))
        .args(["--header", &format!("Authorization: {authorization}")])
        // These answers do not end.
        .args(["--exclude-path", "/events"])
        .args(["--phases", "examples,coverage,fuzzing"])
        .args(["--max-examples", "50", "--seed", "1", "--workers", "1"])
        .current_dir(home.path())
        .output()
        .unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("27 selected / 28 total"), "{said}");
    server.stop().expect(0);
}

#[test]
fn answers_follow_the_http_standards() {
    let redbot = program("redbot");
    let (_storage, server) = Server::fresh();
    fill(&server, &[]);
    for path in [
        "/artefacts/",
        "/artefacts/hello-world/",
        "/artefacts/hello-world/1.0.0/",
        "/artefacts/hello-world/1.0.0/hello-world-1.0.0.tar.gz",
        "/artefacts/hello-world/1.0.0/hello-world-1.0.0.tar.gz.sha256",
        "/config/hello-world/",
        "/config/hello-world/hello-world.config",
        "/config/hello-world/hello-world.config/history",
        "/channels/hello-world/",
        "/channels/hello-world/stable",
        "/channels/hello-world/stable/history",
        "/releases/hello-world/",
        "/releases/hello-world/stable",
        "/files/hello-world/hello-world.tgz",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/",
    ] {
        let output = Command::new(&redbot)
            .args(["-o", "har"])
            .arg(format!("http://{}{path}", server.address))
            .output()
            .unwrap();
        let har: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{path}: {error}: {}", text(&output)));
        let entries = har["log"]["entries"].as_array().unwrap();
        let notes = entries
            .iter()
            .filter_map(|entry| entry["_red_messages"].as_array());
        let notes: Vec<&Value> = notes.flatten().collect();
        assert!(
            notes.iter().any(|note| note["level"] == "GOOD"),
            "{path}: {har}"
        );
        let faults: Vec<&&Value> = notes
            .iter()
            .filter(|note| note["level"] == "WARN" || note["level"] == "BAD")
            // `public` matters for requests with a token: without it, a shared cache does not store their answers.
            .filter(|note| note["note_id"] != "STORE_PUBLIC_UNNECESSARY")
            .collect();
        assert!(faults.is_empty(), "{path}: {faults:#?}");
    }
}
