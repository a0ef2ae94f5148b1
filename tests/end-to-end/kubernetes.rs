//! The Kubernetes manifests are valid and secure, and their periods are consistent.

mod steps;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use platformer_tests::skip::{find_program, skip};
use serde_json::{Value, json};

fn manifests() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../platform/kubernetes");
    let entries = fs::read_dir(directory).unwrap();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    found.sort();
    assert_eq!(found.len(), 5);
    found
}

fn objects(manifest: &Path) -> Vec<Value> {
    let text = fs::read_to_string(manifest).unwrap();
    serde_saphyr::from_multiple(&text)
        .unwrap_or_else(|error| panic!("{}: {error}", manifest.display()))
}

/// Returns the pod template of each deployment, with the name of its file.
fn pods() -> Vec<(String, Value)> {
    let mut pods = Vec::new();
    for manifest in manifests() {
        let file = manifest.file_name().unwrap().to_string_lossy().into_owned();
        for object in objects(&manifest) {
            if object["kind"] == "Deployment" {
                pods.push((file.clone(), object["spec"]["template"]["spec"].clone()));
            }
        }
    }
    assert_eq!(pods.len(), 3);
    pods
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
fn the_manifests_match_the_published_schemas() {
    let program = find_program("kubernetes-validate").unwrap_or_else(|| {
        skip("kubernetes-validate is not installed (pip install kubernetes-validate)")
    });
    let validate = |manifest: &Path| {
        let output = Command::new(&program)
            .arg("--strict")
            .arg(manifest)
            .output()
            .unwrap();
        let text = [output.stdout.as_slice(), &output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    };
    let mut accepted = 0;
    for manifest in manifests() {
        let (is_valid, output) = validate(&manifest);
        assert!(is_valid, "{output}");
        let passed = output.matches(" passed for resource ").count();
        assert_eq!(passed, objects(&manifest).len(), "{output}");
        accepted += passed;
    }
    assert!(accepted > 15, "{accepted} objects");

    // The validator finds an unknown field, a wrong type and a missing field.
    let home = tempfile::tempdir().unwrap();
    let good = fs::read_to_string(&manifests()[1]).unwrap();
    for (from, to) in [
        (
            "readOnlyRootFilesystem: true",
            "readOnlyRootFileSystem: true",
        ),
        ("maxUnavailable: 0", "maxUnavailable: [0]"),
        (
            "  selector:\n    matchLabels:\n      app.kubernetes.io/name: hello-world\n  strategy",
            "  strategy",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let broken = home.path().join("broken.yaml");
        fs::write(&broken, good.replace(from, to)).unwrap();
        let (is_valid, output) = validate(&broken);
        assert!(!is_valid, "{to} was accepted: {output}");
    }
}

#[test]
fn every_pod_runs_without_privileges() {
    for (file, pod) in pods() {
        assert_eq!(pod["automountServiceAccountToken"], false, "{file}");
        assert_eq!(pod["enableServiceLinks"], false, "{file}");
        for shared in ["hostNetwork", "hostPID", "hostIPC"] {
            assert!(pod[shared].is_null(), "{file}: {shared}");
        }
        let user = &pod["securityContext"];
        assert_eq!(user["runAsNonRoot"], true, "{file}");
        assert_eq!(user["runAsUser"], 10001, "{file}");
        assert_eq!(user["seccompProfile"]["type"], "RuntimeDefault", "{file}");
        for volume in list(&pod["volumes"]) {
            let is_bounded = !volume["emptyDir"]["sizeLimit"].is_null();
            // Mode 0440 and fsGroup make the secret readable for the user of the pod.
            let is_secret = volume["secret"]["defaultMode"] == 0o440 && user["fsGroup"] == 10001;
            assert!(is_bounded || is_secret, "{file}: {volume}");
        }
        let containers = [list(&pod["initContainers"]), list(&pod["containers"])].concat();
        for container in containers {
            assert_eq!(
                container["securityContext"],
                json!({
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                }),
                "{file}"
            );
            assert!(container["resources"]["requests"]["cpu"].is_string());
            assert!(container["resources"]["limits"]["memory"].is_string());
            let image = container["image"].as_str().unwrap();
            let (_, tag) = image.split_once(':').expect("a tag");
            assert_ne!(tag, "latest", "{file}");
        }
    }
}

/// Parses a duration such as `30s` or `5m`.
fn seconds(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let number: u64 = number.parse().unwrap();
    match unit {
        "s" => number,
        "m" => number * 60,
        other => panic!("{other}"),
    }
}

#[test]
fn the_periods_are_consistent() {
    for (file, pod) in pods() {
        let container = &pod["containers"][0];
        let variable = |name: &str| {
            let found = list(&container["env"])
                .iter()
                .find(|variable| variable["name"] == name);
            found.map(|variable| seconds(variable["value"].as_str().unwrap()))
        };
        let hook = &container["lifecycle"]["preStop"];
        let command = list(&hook["exec"]["command"]);
        let before = hook["sleep"]["seconds"]
            .as_u64()
            .or_else(|| command.last().map(|word| seconds(word.as_str().unwrap())));
        let drain = variable("BOOTSTRAP_DRAIN_PERIOD");
        assert!(
            before.is_some() != drain.is_some(),
            "{file}: exactly one drain period"
        );
        // The default of bootstrap.
        let grace = variable("REPOSITORY_GRACE_PERIOD").unwrap_or(8);
        let needed = before.or(drain).unwrap() + grace;
        let allowed = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(allowed >= needed + 5, "{file}: {allowed} for {needed}");

        let probe = &container["startupProbe"];
        let startup_limit =
            probe["periodSeconds"].as_u64().unwrap() * probe["failureThreshold"].as_u64().unwrap();
        let deadline = variable("BOOTSTRAP_DEADLINE").unwrap_or(60);
        assert!(startup_limit >= deadline + 20, "{file}: {startup_limit}");
        for probe in ["readinessProbe", "livenessProbe"] {
            assert!(container[probe].is_object(), "{file}: {probe}");
        }
        let (live, ready) = (&container["livenessProbe"], &container["readinessProbe"]);
        assert_ne!(live["httpGet"]["path"], ready["httpGet"]["path"], "{file}");
    }
    for manifest in manifests() {
        for object in objects(&manifest) {
            if object["kind"] == "Deployment" {
                let rolling = &object["spec"]["strategy"]["rollingUpdate"];
                assert_eq!(*rolling, json!({ "maxUnavailable": 0, "maxSurge": 1 }));
                assert!(object["spec"]["replicas"].as_u64() >= Some(2));
            }
        }
    }
}
