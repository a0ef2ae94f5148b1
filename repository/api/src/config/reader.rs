//! The characters of a config file, each with its place.

use super::error::{ConfigError, Reason};
use super::file::MAX_FILE_BYTES;

/// A place in a file, from line 1 and column 1.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Position {
    const START: Self = Self { line: 1, column: 1 };

    pub(super) fn error(self, reason: Reason) -> ConfigError {
        ConfigError {
            line: self.line,
            column: self.column,
            reason,
        }
    }

    /// The place right after `text`.
    fn after(text: &str) -> Self {
        let line = text.matches('\n').count() + 1;
        let last = text.rsplit('\n').next().unwrap_or_default();
        Self {
            line,
            column: last.chars().count() + 1,
        }
    }
}

pub(super) struct Reader {
    characters: Vec<char>,
    next: usize,
    pub(super) position: Position,
}

impl Reader {
    /// Checks size, UTF-8, NUL and line ends; skips a byte-order mark.
    pub(super) fn new(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Position::START.error(Reason::FileTooLarge));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            Position::after(&valid).error(Reason::NotUtf8)
        })?;
        if let Some(at) = text.find('\0') {
            return Err(Position::after(&text[..at]).error(Reason::Nul));
        }
        let text = text
            .strip_prefix('\u{feff}')
            .unwrap_or(text)
            .replace("\r\n", "\n");
        if let Some(at) = text.find('\r') {
            return Err(Position::after(&text[..at]).error(Reason::LoneCarriageReturn));
        }
        Ok(Self {
            characters: text.chars().collect(),
            next: 0,
            position: Position::START,
        })
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    fn peek_at(&self, ahead: usize) -> Option<char> {
        self.characters.get(self.next + ahead).copied()
    }

    /// The next character, and the position after it.
    pub(super) fn take(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.next += 1;
        if character == '\n' {
            self.position = Position {
                line: self.position.line + 1,
                column: 1,
            };
        } else {
            self.position.column += 1;
        }
        Some(character)
    }

    /// Skips a backslash and a line end.
    fn take_joined_line(&mut self) -> bool {
        let joined = self.peek() == Some('\\') && self.peek_at(1) == Some('\n');
        if joined {
            self.take();
            self.take();
        }
        joined
    }

    /// Skips blanks, and lines joined by a backslash. Returns whether there were blanks.
    pub(super) fn skip_blanks(&mut self) -> bool {
        let mut blanks = false;
        loop {
            if matches!(self.peek(), Some(' ' | '\t')) {
                self.take();
                blanks = true;
            } else if !self.take_joined_line() {
                return blanks;
            }
        }
    }

    pub(super) fn skip_comment(&mut self) {
        while self.peek().is_some_and(|character| character != '\n') {
            self.take();
        }
    }
}
