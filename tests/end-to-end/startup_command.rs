//! `STARTUP_COMMAND` is split into the same words as by `dash`.

use std::cell::Cell;
use std::process::Command;

use platformer_tests::fixture::{App, Bootstrap};
use platformer_tests::mock::Mock;
use platformer_tests::skip::skip;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

const VARIABLES: [(&str, &str); 4] = [
    ("A", "one"),
    ("B", " two  words "),
    ("EMPTY", ""),
    ("STAR", "*"),
];

/// Returns the words of `dash`. Globbing is off, because bootstrap does not expand globs either.
fn dash(text: &str) -> Option<String> {
    let script = format!("set -f; set -- {text}\nfor word; do printf 'arg %s\\n' \"$word\"; done");
    let output = Command::new("dash")
        .args(["-c", &script])
        .envs(VARIABLES)
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn accepted_commands_are_split_as_by_dash() {
    if dash("a").is_none() {
        skip("dash is not installed (install dash)");
    }
    let mock = Mock::start();
    App::probe("").publish(&mock);
    let mut bootstrap = Bootstrap::of(&mock);
    for (name, value) in VARIABLES {
        bootstrap = bootstrap.env(name, value);
    }
    let piece = prop::sample::select(vec![
        "a",
        "b=c",
        "-x",
        "--",
        "/p",
        " ",
        " ",
        "\t",
        "'q q'",
        "\"d d\"",
        "''",
        "\"\"",
        "$A",
        "${A}",
        "\"$B\"",
        "$B",
        "$EMPTY",
        "\"$EMPTY\"",
        "$STAR",
        "\\ ",
        "\\$",
        "\\\\",
        "\"\\$A\"",
        "\"\\n\"",
        "'$A'",
        "~",
        "x~y",
        ":",
        "%",
        "!",
        "{a,b}",
        "]",
        "#",
        "x#y",
        "'",
        "\"",
        "$",
        ";",
        "*",
        "\\\n",
    ]);
    let texts = prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    let accepted = Cell::new(0_u32);
    let mut runner = TestRunner::new(Config {
        cases: 500,
        failure_persistence: None,
        ..Config::default()
    });
    runner
        .run(&texts, |text| {
            let started = bootstrap.run_with(
                "BOOTSTRAP_STARTUP_COMMAND",
                &format!("bin/probe show {text}"),
            );
            if started.code == 0 {
                accepted.set(accepted.get() + 1);
                // Compares the whole text, because a word may contain a line feed.
                let words = started
                    .stdout
                    .split_once("\narg show\n")
                    .and_then(|(_, rest)| Some(rest.split_once("cwd ")?.0.to_owned()));
                prop_assert_eq!(words, dash(&text), "{:?}", text);
            } else {
                prop_assert_eq!(started.code, 78, "{:?}: {}", text, started.stderr);
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    assert!(
        accepted.get() > 50,
        "only {} were accepted: the test says too little",
        accepted.get()
    );
}
