//! The judge of the config grammar is `dash`: for every file that is accepted both give the same map.

use std::collections::BTreeMap;
use std::process::Command;

use platformer_tests::skip::skip;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use repository_api::config;

/// What `dash` assigns: `None` where it fails. Only names that the file can have set are kept.
fn dash(text: &str) -> Option<BTreeMap<String, String>> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("f"), text).expect("a file");
    // The file may set PATH; the shell must find env all the same.
    let env = ["/usr/bin/env", "/bin/env"]
        .into_iter()
        .find(|path| std::path::Path::new(path).exists())?;
    let output = Command::new("dash")
        .args(["-c", &format!("set -a; . ./f; exec {env} -0")])
        .current_dir(directory.path())
        .env_clear()
        .output()
        .expect("dash starts");
    output.status.success().then(|| {
        String::from_utf8_lossy(&output.stdout)
            .split_terminator('\0')
            .filter_map(|pair| pair.split_once('='))
            .filter(|(name, _)| !matches!(*name, "PWD" | "OLDPWD" | "_"))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    })
}

fn ours(text: &str) -> Option<BTreeMap<String, String>> {
    config::parse(text.as_bytes())
        .ok()
        .map(|parsed| config::merge([&parsed]))
}

fn has_dash() -> bool {
    Command::new("dash")
        .args(["-c", "true"])
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn every_accepted_file_means_to_dash_what_it_means_to_us() {
    if !has_dash() {
        skip("dash is not installed (install dash)");
    }
    // Text made of what has a meaning in the grammar, and of lines that are nearly right.
    let piece = prop::sample::select(vec![
        "A",
        "B=",
        "C_1=x",
        "export ",
        "export\t",
        "=",
        " ",
        "\t",
        "\n",
        "\n\n",
        "#",
        " # note\n",
        "'",
        "\"",
        "\\",
        "\\\n",
        "\\\\",
        "$",
        "`",
        "~",
        ":",
        ":~",
        "a",
        "ä",
        "*",
        "?",
        "[a]",
        "{b,c}",
        ";",
        "&",
        "|",
        "(",
        ")",
        "<",
        ">",
        "!",
        "%",
        "^",
        "0",
        "'q q'",
        "\"d d\"",
        "\"\\$\"",
        "\"\\n\"",
        "A='",
        "B=\"",
        "D=1\n",
        "E='two\nlines'\n",
        "\u{a0}",
        "\u{85}",
        "\x0b",
        "\x0c",
        "-",
        "+=",
    ]);
    let text = prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat());
    let line = (
        "(export )?[A-D]{1,2}",
        "=",
        "([a-z :=#~%*?]|'[^'\r\0]{0,5}'|\"[a-z $~:]{0,5}\"|\\\\.){0,5}",
        "( #.{0,4})?\n",
    )
        .prop_map(|(name, equals, value, end)| format!("{name}{equals}{value}{end}"));
    let lines = prop::collection::vec(line, 1..4).prop_map(|lines| lines.concat());
    let files =
        prop_oneof![text, lines].prop_filter("LF files only", |text| !text.contains(['\r', '\0']));
    let mut accepted = 0_u32;
    let mut runner = TestRunner::new(Config {
        cases: 4000,
        failure_persistence: None,
        ..Config::default()
    });
    let accepted_cell = std::cell::Cell::new(0_u32);
    runner
        .run(&files, |text| {
            if let Some(ours) = ours(&text) {
                accepted_cell.set(accepted_cell.get() + 1);
                prop_assert_eq!(Some(ours), dash(&text), "{:?}", text);
            }
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    accepted += accepted_cell.get();
    assert!(
        accepted > 500,
        "only {accepted} of the files were accepted: the test says too little"
    );
}

#[test]
fn what_dash_would_execute_or_expand_is_rejected() {
    for text in [
        "A=$B\n",
        "A=\"$B\"\n",
        "A=`id`\n",
        "A=$(id)\n",
        "A=~\n",
        "A=x:~\n",
        "A=1;B=2\n",
        "A=1 id\n",
        "A=1 B=2\n",
        "A=1&\n",
        "A=<x\n",
        "A=(1 2)\n",
        "A\n",
        "A =1\n",
        "A='x\n",
        "A=\"x\n",
        "export A\n",
        "if true; then A=1; fi\n",
        "A+=1\n",
        ". ./x\n",
    ] {
        assert_eq!(ours(text), None, "{text:?}");
    }
}

#[test]
fn what_dash_assigns_plainly_is_accepted() {
    if !has_dash() {
        skip("dash is not installed (install dash)");
    }
    for text in [
        "",
        "\n",
        "# only a comment",
        "A=",
        "A=1",
        "  A=1  ",
        "\tA=1\t# note\n",
        "A=a=b\n",
        "A=a#b\n",
        "A=#b\n",
        "A=a\\ b\n",
        "A='a b'\"c d\"e\n",
        "A=\"\\\"\\\\\\$\\`\\n\"\n",
        "A=a\\\nb\n",
        "\\\nA=1\n",
        "A=1 \\\n\nB=2\n",
        "A=1 \\\n# note\nB=2\n",
        "export A=1\nexport\tB=2\n",
        "A=*\nexport B=*\n",
        "A=[a-z]?\n",
        "A={a,b}\n",
        "A=a~b\n",
        "A='~':\\~\n",
        "A=!x\n",
        "A=1\nA=2\n",
        "A='multi\nline' # note\n",
        "if=1\n",
        "A=ä€\n",
        "A=%s^x\n",
        "A=a:b:c\n",
    ] {
        let ours = ours(text);
        assert!(ours.is_some(), "{text:?} is accepted");
        assert_eq!(ours, dash(text), "{text:?}");
    }
}
