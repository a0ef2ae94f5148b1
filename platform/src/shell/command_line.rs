//! A program with its arguments, variables, input and time-out. Its `Display` is what a user would type.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// For commands that return at once.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
/// For commands that pull images, start services or upload files.
pub(crate) const SLOW: Duration = Duration::from_mins(15);
/// For commands that stop containers, which may use their whole drain and grace periods.
pub(crate) const STOP: Duration = Duration::from_hours(1);

#[derive(Debug, Clone, Default)]
pub(super) enum Input {
    #[default]
    Nothing,
    File(PathBuf),
    Text(Vec<u8>),
    /// Never printed.
    Secret(Vec<u8>),
}

#[derive(Debug, Clone)]
pub(crate) struct CommandLine {
    pub(super) variables: Vec<(String, String)>,
    pub(super) words: Vec<String>,
    pub(super) input: Input,
    pub(super) timeout: Duration,
}

impl CommandLine {
    pub(crate) fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self {
            variables: Vec::new(),
            words: words.into_iter().map(Into::into).collect(),
            input: Input::Nothing,
            timeout: DEFAULT_TIMEOUT,
        }
    }

    /// `docker ARGUMENTS`
    pub(crate) fn docker<W: Into<String>>(arguments: impl IntoIterator<Item = W>) -> Self {
        Self::new(["docker"]).args(arguments)
    }

    pub(crate) fn args<W: Into<String>>(mut self, words: impl IntoIterator<Item = W>) -> Self {
        self.words.extend(words.into_iter().map(Into::into));
        self
    }

    pub(crate) fn arg(self, word: impl Into<String>) -> Self {
        self.args([word])
    }

    /// `--filter label=KEY=VALUE`, for `docker ps`, `docker service ls` and their like.
    pub(crate) fn filter_label(self, key: &str, value: impl fmt::Display) -> Self {
        self.args(["--filter", &format!("label={key}={value}")])
    }

    pub(crate) fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn envs<'a>(
        self,
        pairs: impl IntoIterator<Item = &'a (&'static str, String)>,
    ) -> Self {
        pairs
            .into_iter()
            .fold(self, |line, (name, value)| line.env(name, value.clone()))
    }

    pub(crate) fn stdin_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.input = Input::File(path.into());
        self
    }

    pub(crate) fn stdin_text(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Text(text.into());
        self
    }

    pub(crate) fn stdin_secret(mut self, text: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Secret(text.into());
        self
    }

    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(super) fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }
}

impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{name}={} ", quoted(value))?;
        }
        for (index, word) in self.words.iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}", quoted(word))?;
        }
        match &self.input {
            Input::Nothing => Ok(()),
            Input::File(path) => write!(f, " < {}", quoted(&path.to_string_lossy())),
            Input::Secret(_) => f.write_str(" < /dev/stdin  # the secret value"),
            Input::Text(text) => {
                let text = String::from_utf8_lossy(text);
                write!(f, " <<'END'\n{}\nEND", text.trim_end_matches('\n'))
            }
        }
    }
}

/// A word, in quotes where a shell needs them.
fn quoted(word: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@,+%^".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return Cow::Borrowed(word);
    }
    Cow::Owned(format!("'{}'", word.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_displays_as_a_shell_command() {
        let line = CommandLine::docker(["exec", "-i", "it's"])
            .arg("a b")
            .env("APP", "hello-world")
            .stdin_text("r41");
        assert_eq!(
            line.to_string(),
            "APP=hello-world docker exec -i 'it'\\''s' 'a b' <<'END'\nr41\nEND"
        );
    }

    #[test]
    fn a_secret_is_never_displayed() {
        let line = CommandLine::docker(["secret", "create", "x", "-"]).stdin_secret("hunter2");
        assert!(!line.to_string().contains("hunter2"));
    }
}
