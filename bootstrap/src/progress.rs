//! Progress of a download: a bar on a terminal, otherwise a line every few seconds.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use repository_api::units::show_size;

/// Interval of lines.
const INTERVAL: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Progress {
    file: String,
    total: Option<u64>,
    bar: Option<ProgressBar>,
    last_line: Instant,
}

impl Progress {
    pub(crate) fn new(file: &str, total: Option<u64>, json: bool) -> Self {
        let bar = (!json && std::io::stderr().is_terminal()).then(|| {
            let bar = total.map_or_else(ProgressBar::no_length, ProgressBar::new);
            let style = ProgressStyle::with_template(
                "bootstrap: {msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}",
            );
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.with_message(file.to_owned())
        });
        Self {
            file: file.to_owned(),
            total,
            bar,
            last_line: Instant::now(),
        }
    }

    pub(crate) fn at(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(bytes);
        } else if self.last_line.elapsed() >= INTERVAL {
            self.last_line = Instant::now();
            let of = self
                .total
                .map(|total| format!(" of {}", show_size(total)))
                .unwrap_or_default();
            tracing::info!(
                stage = "fetch",
                bytes,
                "fetching {}: {}{of}",
                self.file,
                show_size(bytes)
            );
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
