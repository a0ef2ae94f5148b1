//! The log: to standard error, one line an event, as text or JSON.

use tracing_subscriber::fmt;

use crate::settings::Settings;

pub(crate) fn start(settings: &Settings) {
    let builder = fmt()
        .with_max_level(settings.log_level)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    if settings.log_json {
        builder.json().flatten_event(true).init();
    } else {
        builder.with_target(false).without_time().init();
    }
}
