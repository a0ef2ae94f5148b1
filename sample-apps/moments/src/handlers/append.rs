//! The steps that the handlers that write share.

use crate::app::App;
use crate::log::RedisLog;
use crate::refusal::Refusal;
use crate::services::reason;
use crate::wall::Content;

/// Returns the log for appending, or 503 while a service is unusable.
pub(super) fn writer(app: &App) -> Result<RedisLog, Refusal> {
    if let Some(reason) = app.services.waiting_for() {
        return Err(Refusal::unavailable(format!("retry soon: {reason}")));
    }
    let writer = app.writer.borrow().clone();
    writer.ok_or_else(|| Refusal::unavailable("retry soon"))
}

pub(super) async fn append(writer: &RedisLog, content: &Content) -> Result<(), Refusal> {
    writer.append(content).await.map_err(|error| {
        tracing::warn!(reason = reason(&error), "failed to append to the log");
        Refusal::unavailable("this may or may not be saved: look at the wall before you retry")
    })
}

/// Strips surrounding white space and control characters. `None` if the text has more than `limit` characters.
pub(super) fn clean(text: &str, limit: usize) -> Option<String> {
    let text: String = text
        .trim()
        .chars()
        .filter(|character| !character.is_control() || *character == '\n')
        .collect();
    (text.chars().count() <= limit).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn texts_are_cleaned_and_limited() {
        assert_eq!(clean(" a\tb\u{0}\r\nc \n", 4).as_deref(), Some("ab\nc"));
        assert_eq!(clean("ähm", 3).as_deref(), Some("ähm"));
        assert_eq!(clean("ähmm", 3), None);
        assert_eq!(clean(" \n", 3).as_deref(), Some(""));
    }
}
