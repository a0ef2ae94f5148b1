//! The manifests: what the published schemas say of them, and what is promised of every pod.

mod steps;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use platformer_tests::skip::{find_program, skip};
use platformer_tests::test;
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

/// Each pod that the manifests ask for, with the name of its file.
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
fn the_published_schemas_accept_them() {
    let program = find_program("kubernetes-validate").unwrap_or_else(|| {
        skip("kubernetes-validate is not installed (pip install kubernetes-validate)")
    });
    let verdict = |manifest: &Path| {
        let output = Command::new(&program)
            .arg("--strict")
            .arg(manifest)
            .output()
            .unwrap();
        let said = [output.stdout.as_slice(), &output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        )
    };
    let mut accepted = 0;
    for manifest in manifests() {
        let (fine, said) = verdict(&manifest);
        assert!(fine, "{said}");
        let passed = said.matches(" passed for resource ").count();
        assert_eq!(passed, objects(&manifest).len(), "{said}");
        accepted += passed;
    }
    assert!(accepted > 15, "{accepted} objects");

    // The check can fail: at a name that is no field, at a value of another type, at a field that lacks.
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
        let (fine, said) = verdict(&broken);
        assert!(!fine, "{to} was accepted: {said}");
    }
}

#[test]
fn every_pod_is_locked_down() {
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
            // 0440, readable by the group that the pod's own user is in.
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

/// Seconds, as the manifests write them in variables and commands.
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
fn the_periods_fit_each_other() {
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
        assert!(before.is_some() != drain.is_some(), "{file}: one drain");
        // bootstrap's own default.
        let grace = variable("REPOSITORY_GRACE_PERIOD").unwrap_or(8);
        let needed = before.or(drain).unwrap() + grace;
        let allowed = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(allowed >= needed + 5, "{file}: {allowed} for {needed}");

        let probe = &container["startupProbe"];
        let patience =
            probe["periodSeconds"].as_u64().unwrap() * probe["failureThreshold"].as_u64().unwrap();
        let deadline = variable("BOOTSTRAP_DEADLINE").unwrap_or(60);
        assert!(patience >= deadline + 20, "{file}: {patience}");
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
