//! The grammar of each name, as checks whose errors say what to write instead.

/// A refused name, with the reason and the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NameError(String);

impl NameError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A refused name in a message: quoted, printable and short.
pub(super) fn shown(text: &str) -> String {
    let short: String = text.chars().take(80).collect();
    format!("{short:?}")
}

pub(super) fn is_all(text: &str, allowed: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.as_bytes().iter().copied().all(allowed)
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn is_file_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._+-".contains(&byte)
}

pub(super) fn has_release_form(text: &str) -> bool {
    text.strip_prefix('r').is_some_and(|digits| {
        !digits.starts_with('0') && is_all(digits, |byte| byte.is_ascii_digit())
    })
}

pub(super) fn check_app(text: &str) -> Result<(), NameError> {
    let fits = is_all(text, is_label_byte)
        && text.len() <= 63
        && !text.starts_with('-')
        && !text.ends_with('-');
    if fits {
        return Ok(());
    }
    Err(NameError::new(format!(
        "{} isn't an app name: use 1 to 63 of a-z, 0-9 and -, without - at either end",
        shown(text)
    )))
}

/// `kind` is a noun with its article.
fn check_label(text: &str, kind: &str) -> Result<(), NameError> {
    let fits = is_all(text, is_label_byte)
        && text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_lowercase());
    if !fits {
        return Err(NameError::new(format!(
            "{} isn't {kind} name: use 1 to 63 of a-z, 0-9 and -, beginning with a letter",
            shown(text)
        )));
    }
    if has_release_form(text) {
        return Err(NameError::new(format!(
            "{} isn't {kind} name: it has the form of a release; choose another name",
            shown(text)
        )));
    }
    Ok(())
}

pub(super) fn check_channel(text: &str) -> Result<(), NameError> {
    check_label(text, "a channel")?;
    if text == "latest" {
        return Err(NameError::new(
            "\"latest\" isn't a channel name: the repository computes latest from the versions; choose another name, such as stable",
        ));
    }
    Ok(())
}

pub(super) fn check_environment(text: &str) -> Result<(), NameError> {
    check_label(text, "an environment")?;
    if text == "app" || text == "default" {
        return Err(NameError::new(format!(
            "{} isn't an environment name: every app has a config layer of that name; choose another name",
            shown(text)
        )));
    }
    Ok(())
}

pub(super) fn check_version(text: &str) -> Result<(), NameError> {
    let fits = is_all(text, is_file_byte)
        && text.len() <= 128
        && text.starts_with(|c: char| c.is_ascii_digit());
    if fits {
        return Ok(());
    }
    if let Some(rest) = text.strip_prefix(['v', 'V'])
        && check_version(rest).is_ok()
    {
        return Err(NameError::new(format!(
            "{} isn't a version: a version begins with a digit; write {rest}",
            shown(text)
        )));
    }
    if (7..=64).contains(&text.len()) && is_all(text, |byte| byte.is_ascii_hexdigit()) {
        return Err(NameError::new(format!(
            "{} isn't a version: commit ids have no order; put a number before it, as in 1.0.0+{text}",
            shown(text)
        )));
    }
    Err(NameError::new(format!(
        "{} isn't a version: begin with a digit and use up to 128 of A-Z, a-z, 0-9, . _ + and -, as in 1.0.0",
        shown(text)
    )))
}

pub(super) fn check_file(text: &str) -> Result<(), NameError> {
    let fits = is_all(text, is_file_byte)
        && text.len() <= 255
        && text.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !fits {
        return Err(NameError::new(format!(
            "{} isn't a file name: begin with a letter or digit and use up to 255 of A-Z, a-z, 0-9, . _ + and -",
            shown(text)
        )));
    }
    if text == "yanked" {
        return Err(NameError::new(
            "\"yanked\" isn't a file name: its path shows whether the version is yanked; choose another name",
        ));
    }
    if let Some(ending) = [".sha256", ".minisig"]
        .into_iter()
        .find(|ending| text.ends_with(ending))
    {
        return Err(NameError::new(format!(
            "{} isn't an artefact: {ending} is the ending of a sidecar; choose another name",
            shown(text)
        )));
    }
    Ok(())
}
