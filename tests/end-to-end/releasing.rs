//! Config, releases and channels over HTTP.

use platformer_tests::server::Server;
use serde_json::json;

fn server() -> (tempfile::TempDir, Server) {
    let storage = tempfile::tempdir().unwrap();
    let server = Server::start(storage.path());
    server.publish("/artefacts/hello/1.0.0/hello-1.0.0.tar.gz", "one");
    server.publish("/artefacts/hello/2.0.0/hello-2.0.0.tar.gz", "two");
    (storage, server)
}

const CONFIG: &str = "/config/hello/hello.config";
const STABLE: &str = "/channels/hello/stable";

#[test]
fn each_write_of_a_layer_makes_a_generation() {
    let (_storage, server) = server();
    assert_eq!(server.get(CONFIG).status, 404);
    let first = server.put(CONFIG, "# a comment\r\nA='x y'\n");
    assert_eq!((first.status, first.header("etag")), (201, Some("\"g1\"")));
    assert_eq!(server.put(CONFIG, "# a comment\r\nA='x y'\n").status, 200);
    assert_eq!(
        server.get(CONFIG).text(),
        "# a comment\r\nA='x y'\n",
        "as it was written"
    );
    let second = server.put(CONFIG, "A=2\nA=3\n");
    assert_eq!(
        (second.status, second.header("etag")),
        (201, Some("\"g2\""))
    );
    assert!(
        second
            .text()
            .contains("warning: A is assigned on line 1 and again on line 2"),
        "{}",
        second.text()
    );
    assert_eq!(
        server.get(&format!("{CONFIG}?generation=1")).text(),
        "# a comment\r\nA='x y'\n"
    );
    assert_eq!(server.get(&format!("{CONFIG}?generation=3")).status, 404);
    assert_eq!(server.get(&format!("{CONFIG}?generation=x")).status, 400);
}

#[test]
fn writes_can_be_conditional() {
    let (_storage, server) = server();
    let put = |name: &str, value: &str, body: &str| {
        server
            .request("PUT", CONFIG, &[(name, value)], body.as_bytes())
            .status
    };
    assert_eq!(put("If-Match", "\"g1\"", "A=1\n"), 412);
    assert_eq!(put("If-None-Match", "*", "A=1\n"), 201);
    assert_eq!(put("If-None-Match", "*", "A=2\n"), 412);
    assert_eq!(put("If-Match", "\"g1\"", "A=2\n"), 201);
    assert_eq!(put("If-Match", "\"g1\"", "A=3\n"), 412);
}

#[test]
fn the_refusal_of_a_bad_config_has_a_position_and_no_value() {
    let (_storage, server) = server();
    let response = server.put(CONFIG, "A=1\nB=hunter2$x\n");
    assert_eq!(response.status, 422);
    assert!(
        response
            .detail()
            .contains("line 2, column 10: a $ that a shell would expand"),
        "{}",
        response.detail()
    );
    assert!(!response.text().contains("hunter2"));
    let excerpt = &response.json()["excerpt"];
    assert_eq!(*excerpt, "B=·········\n         ^");
    assert_eq!(server.get(CONFIG).status, 404);
    assert_eq!(server.put(CONFIG, vec![b'#'; (1 << 20) + 1]).status, 413);
    for path in [
        "/config/hello/hello.txt",
        "/config/hello/r1.config",
        "/config/hello/default.config",
        "/config/_default/other.config",
        "/config/Hello/Hello.config",
    ] {
        assert_eq!(server.put(path, "A=1\n").status, 400, "{path}");
    }
}

/// The server accepts the config, and warns about names that look like secrets.
#[test]
fn names_that_look_like_secrets_cause_a_warning() {
    let (_storage, server) = server();
    let config = "DB_PASSWORD=hunter2\nDB_PASSWORD_FILE=/run/secrets/DB_PASSWORD\nPASSWORD=\n\
                  DATABASE_URL=postgres://app:hunter3@database/app\nHOME_URL=https://app@example.org/\n";
    let answer = server.put(CONFIG, config);
    assert_eq!(answer.status, 201);
    let text = answer.text();
    let warnings: Vec<&str> = text
        .lines()
        .filter(|line| line.starts_with("warning: "))
        .collect();
    assert_eq!(warnings.len(), 2, "{text}");
    assert!(warnings[0].starts_with("warning: line 1: DB_PASSWORD looks like a secret"));
    assert!(warnings[1].starts_with("warning: line 4: DATABASE_URL looks like a secret"));
    assert!(text.contains("BOOTSTRAP_SECRETS_DIR") && !text.contains("hunter"));
}

#[test]
fn the_answer_for_a_new_environment_lists_the_existing_ones() {
    let (_storage, server) = server();
    assert!(
        server
            .put("/config/hello/production.config", "A=1\n")
            .text()
            .contains("existing environments: none")
    );
    assert!(
        server
            .put("/config/hello/prodution.config", "A=1\n")
            .text()
            .contains("existing environments: production\n")
    );
    assert!(
        !server
            .put("/config/hello/production.config", "A=2\n")
            .text()
            .contains("new environment")
    );
}

#[test]
fn layers_merge() {
    let (_storage, server) = server();
    assert_eq!(server.get("/config/hello/").status, 404);
    server.publish(
        "/config/_default/_default.config",
        "A=default\nB=default\nC=default\n",
    );
    server.publish(CONFIG, "B=app\nC=app\n");
    server.publish("/config/hello/production.config", "C='it'\\''s'\n");
    assert_eq!(
        server.get("/config/hello/").text(),
        "A=default\nB=app\nC=app\n"
    );
    assert_eq!(
        server.get("/config/hello/?environment=production").text(),
        "A=default\nB=app\nC='it'\\''s'\n"
    );
    let etag = server
        .get("/config/hello/")
        .header("etag")
        .unwrap()
        .to_owned();
    assert_eq!(
        server
            .request("GET", "/config/hello/", &[("If-None-Match", &etag)], b"")
            .status,
        304
    );
    assert_eq!(
        server.get("/config/_default/_default.config").text(),
        "A=default\nB=default\nC=default\n"
    );
}

#[test]
fn a_channel_points_at_a_release_and_keeps_its_history() {
    let (_storage, server) = server();
    server.publish(CONFIG, "A=1\n");
    let first = server.put(STABLE, "1.0.0");
    assert_eq!((first.status, first.text().as_str()), (201, "r1\n"));
    let same = server.put(STABLE, "1.0.0\n");
    assert_eq!((same.status, same.text().as_str()), (200, "r1\n"));
    server.publish(CONFIG, "A=2\n");
    assert_eq!(
        server.put(STABLE, "1.0.0").text(),
        "r2\n",
        "the same version with newer config"
    );
    assert_eq!(server.put(STABLE, "2.0.0").text(), "r3\n");
    assert_eq!(
        server.put(STABLE, "r1").text(),
        "r1\n",
        "back, config included"
    );
    assert_eq!(
        server.put("/channels/hello/production", "r3").text(),
        "r3\n"
    );
    assert_eq!(server.get(STABLE).text(), "r1\n");
    let json = server
        .request("GET", STABLE, &[("Accept", "application/json")], b"")
        .json();
    assert_eq!(
        (&json["release"], &json["version"]),
        (&json!("r1"), &json!("1.0.0"))
    );
    let history = server.get(&format!("{STABLE}/history")).json();
    let moves: Vec<_> = history["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["from"].clone(), entry["to"].clone()))
        .collect();
    assert_eq!(
        moves,
        [
            (json!("r3"), json!("r1")),
            (json!("r2"), json!("r3")),
            (json!("r1"), json!("r2")),
            (json!(null), json!("r1"))
        ]
    );
    let releases = server.get("/releases/hello/").json();
    let list: Vec<_> = releases["releases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["release"].clone())
        .collect();
    assert_eq!(list, ["r3", "r2", "r1"]);
    assert_eq!(releases["releases"][2]["channels"], json!(["stable"]));

    let document = server.get("/releases/hello/stable").json();
    let statement: serde_json::Value =
        serde_json::from_str(document["statement"].as_str().unwrap()).unwrap();
    assert_eq!(
        (
            &statement["release"],
            &statement["version"],
            &statement["config"][0]["generation"]
        ),
        (&json!(1), &json!("1.0.0"), &json!(1))
    );
    assert_eq!(document["config"][0]["content"], "A=1\n");
    assert_eq!(
        server.get("/releases/hello/r1?statement").text(),
        document["statement"].as_str().unwrap()
    );
    let etag = server
        .get("/releases/hello/stable")
        .header("etag")
        .unwrap()
        .to_owned();
    assert_eq!(
        server
            .request(
                "GET",
                "/releases/hello/stable",
                &[("If-None-Match", &etag)],
                b""
            )
            .status,
        304
    );
}

#[test]
fn a_refused_release_has_a_reason() {
    let (_storage, server) = server();
    let put = |channel: &str, body: &str| {
        let response = server.put(&format!("/channels/hello/{channel}"), body);
        (response.status, response.detail())
    };
    for (channel, body, status, text) in [
        ("stable", "3.0.0", 422, "has no version 3.0.0"),
        ("stable", "r9", 422, "has no release r9"),
        ("stable", "v1.0.0", 422, "write 1.0.0"),
        ("stable", "latest", 422, "neither a version nor a release"),
        ("stable", "", 422, "neither a version nor a release"),
        ("latest", "1.0.0", 400, "computes latest from the versions"),
        ("r7", "1.0.0", 400, "form of a release"),
    ] {
        let (found, detail) = put(channel, body);
        assert!(
            found == status && detail.contains(text),
            "{channel} {body}: {found} {detail}"
        );
    }
    assert_eq!(server.put("/channels/nobody/stable", "1.0.0").status, 404);
    assert!(
        server
            .get("/releases/hello/beta")
            .detail()
            .contains("has no channel beta")
    );
    assert_eq!(server.get("/releases/hello/r1").status, 404);
    let moved = server.request(
        "PUT",
        "/channels/hello/stable",
        &[("If-Match", "\"m1\"")],
        b"1.0.0",
    );
    assert_eq!(moved.status, 412);
}

#[test]
fn a_released_version_is_sealed() {
    let (_storage, server) = server();
    server.publish("/artefacts/hello/1.0.0/second.txt", "before");
    server.publish("/channels/hello/stable", "1.0.0");
    let late = server.put("/artefacts/hello/1.0.0/third.txt", "after");
    assert_eq!(late.status, 409);
    assert!(late.detail().contains("is sealed"));
    assert_eq!(
        server
            .put("/artefacts/hello/1.0.0/second.txt", "before")
            .status,
        200,
        "the same bytes again"
    );
    assert_eq!(
        server
            .put("/artefacts/hello/1.0.0/second.txt", "other")
            .status,
        409
    );
    assert_eq!(server.get("/artefacts/hello/1.0.0/third.txt").status, 404);
}

#[test]
fn the_difference_of_two_releases_lists_changes_by_name() {
    let (_storage, server) = server();
    server.publish(CONFIG, "KEPT=1\nCHANGED=hunter1\nGONE=1\n");
    server.publish("/channels/hello/stable", "1.0.0");
    server.publish(CONFIG, "KEPT=1\nCHANGED=hunter2\nADDED=1\n");
    server.publish("/channels/hello/stable", "2.0.0");
    let response = server.get("/releases/hello/r1...r2");
    let differences = response.json();
    assert_eq!(differences["version"], json!(["1.0.0", "2.0.0"]));
    assert_eq!(differences["files"].as_array().unwrap().len(), 2);
    let layer = &differences["config"][0];
    assert_eq!((&layer["from"], &layer["to"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&layer["added"], &layer["removed"], &layer["changed"]),
        (&json!(["ADDED"]), &json!(["GONE"]), &json!(["CHANGED"]))
    );
    assert!(!response.text().contains("hunter"));
}
