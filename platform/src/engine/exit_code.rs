//! Exit codes of containers, as an error message explains them.

use repository_api::exit::Exit;

/// Whether every start of the same release ends with this code.
pub(super) fn is_permanent(code: i32) -> bool {
    Exit::of_start(code).is_some_and(|exit| !exit.is_transient())
}

/// `exited with code 65 (artefact damaged or refused)`
pub(super) fn describe(code: i32) -> String {
    let meaning = match Exit::of_start(code) {
        Some(exit) => exit.meaning().to_owned(),
        None if code > 128 => format!("stopped by signal {}", code - 128),
        None => "the app's own exit code".to_owned(),
    };
    format!("exited with code {code} ({meaning})")
}
