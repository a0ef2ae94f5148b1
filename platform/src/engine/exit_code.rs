//! Exit codes of containers, as an error message explains them.
//!
//! Codes of bootstrap are those of the contract, section 6.

/// Whether bootstrap would end with this code again. After 69, a repository may come back.
pub(super) fn is_permanent(code: i32) -> bool {
    matches!(code, 64..=68 | 70..=78 | 126 | 127)
}

/// `exited with code 65 (artefact damaged or refused)`
pub(super) fn describe(code: i32) -> String {
    let meaning = match code {
        64 => "usage error or bad setting",
        65 => "artefact damaged or refused",
        66 => "no such app, version or release",
        69 => "repository not reached",
        73 => "cannot write to the app's directory",
        76 => "the answer does not come from a repository",
        77 => "not allowed",
        78 => "bad config",
        126 => "command cannot be executed",
        127 => "command not found",
        137 => "killed",
        _ => "the app's own exit code",
    };
    format!("exited with code {code} ({meaning})")
}
