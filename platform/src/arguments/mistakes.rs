//! Advice for mistakes that the parser would only call unexpected.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The command that the user probably meant; `None` if the parser's own message is better.
pub(super) fn advice(words: &[OsString], error: &clap::Error) -> Option<String> {
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let Some(ContextValue::String(unexpected)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let (command, separator, form) = [("deploy", '@', "APP@REF"), ("scale", '=', "APP=N")]
        .into_iter()
        .find(|(command, ..)| words.contains(command))?;
    // The two halves, written as two words.
    let place = words.windows(3).find(|window| {
        window[0] == command && !window[1].contains(separator) && window[2] == unexpected
    })?;
    let app = place[1];
    Some(format!(
        "{command} takes {form}. Did you mean `platformer {command} {app}{separator}{unexpected}`?"
    ))
}
