//! The state of the services that the app depends on.

use std::error::Error;

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    Redis,
    Pictures,
}

/// Why each service is unusable; `None` if it is usable.
#[derive(Debug, Clone)]
struct State {
    redis: Option<String>,
    pictures: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Services(watch::Sender<State>);

impl Services {
    pub(crate) fn new() -> Self {
        let unknown = || Some("not connected yet".to_owned());
        Self(watch::Sender::new(State {
            redis: unknown(),
            pictures: unknown(),
        }))
    }

    /// Records the state of a service. Logs a change and notifies the windows.
    pub(crate) fn set(&self, service: Service, reason: Option<String>) {
        self.0.send_if_modified(|state| {
            let (name, current) = match service {
                Service::Redis => ("redis", &mut state.redis),
                Service::Pictures => ("pictures", &mut state.pictures),
            };
            if *current == reason {
                return false;
            }
            if let Some(reason) = &reason {
                tracing::warn!(service = name, reason, "waiting");
            } else {
                tracing::info!(service = name, "ready");
            }
            *current = reason;
            true
        });
    }

    /// Returns, in one line, which services are unusable and why; `None` if all are usable.
    pub(crate) fn waiting_for(&self) -> Option<String> {
        line(&self.0.borrow())
    }

    pub(crate) fn watch(&self) -> Changes {
        Changes(self.0.subscribe())
    }
}

#[derive(Debug)]
pub(crate) struct Changes(watch::Receiver<State>);

impl Changes {
    /// Waits for a change, and returns what [`Services::waiting_for`] does.
    pub(crate) async fn changed(&mut self) -> Option<String> {
        if self.0.changed().await.is_err() {
            // The sender lives as long as the app.
            std::future::pending::<()>().await;
        }
        line(&self.0.borrow_and_update())
    }
}

fn line(state: &State) -> Option<String> {
    let reasons: Vec<String> = [("redis", &state.redis), ("pictures", &state.pictures)]
        .into_iter()
        .filter_map(|(name, reason)| Some(format!("{name}: {}", reason.as_ref()?)))
        .collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Returns the root cause of an error in a few words. The errors above it may contain addresses and passwords.
pub(crate) fn reason(error: &(dyn Error + 'static)) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    let text = deepest.to_string();
    let text = text.lines().next().unwrap_or_default();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars().take(120);
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn waiting_for_lists_the_unusable_services() {
        let services = Services::new();
        services.set(Service::Pictures, None);
        services.set(Service::Redis, Some("connection refused".into()));
        assert_eq!(services.waiting_for().unwrap(), "redis: connection refused");
        services.set(Service::Pictures, Some("timed out".into()));
        let both = "redis: connection refused; pictures: timed out";
        assert_eq!(services.waiting_for().unwrap(), both);
        services.set(Service::Redis, None);
        services.set(Service::Pictures, None);
        assert_eq!(services.waiting_for(), None);
    }

    #[test]
    fn a_reason_is_the_root_cause_without_the_address() {
        #[derive(Debug, thiserror::Error)]
        #[error("request failed: http://someone:canary@host/")]
        struct RequestFailed(#[source] io::Error);
        for refused in [
            io::Error::from(io::ErrorKind::ConnectionRefused),
            io::Error::from_raw_os_error(111),
            io::Error::other(io::Error::from_raw_os_error(111)),
        ] {
            assert_eq!(reason(&RequestFailed(refused)), "connection refused");
        }
        assert_eq!(reason(&io::Error::other("unknown host")), "unknown host");
    }
}
