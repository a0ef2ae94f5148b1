//! What the config says, read from the environment.
//!
//! An error names the variable and never shows its value: an address may hold a password.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;

use http::HeaderValue;
use url::Url;

const DEFAULT_REDIS: &str = "redis://redis.platform:6379/";

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) port: u16,
    pub(crate) redis: Url,
    pub(crate) pictures: Place,
    /// Of each picture, the newest.
    pub(crate) comments_shown: usize,
    /// App, release and host name, for `X-Platform-App`.
    pub(crate) who: HeaderValue,
}

/// Where pictures are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Bucket { bucket: String, prefix: String },
    Directory(PathBuf),
}

#[derive(Debug, thiserror::Error)]
#[error("{name} is not usable: {expected}")]
pub(crate) struct SettingsError {
    name: &'static str,
    expected: &'static str,
}

/// Reads what this app knows; an empty variable counts as unset.
pub(crate) fn read(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Settings, SettingsError> {
    let variables: HashMap<String, String> = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let text = |name: &str| variables.get(name).map(String::as_str);
    let unusable = |name, expected| SettingsError { name, expected };

    let port = text("PORT").unwrap_or("8080").parse();
    let redis = Url::parse(text("REDIS_URL").unwrap_or(DEFAULT_REDIS));
    let comments_shown = text("COMMENTS_SHOWN").unwrap_or("20").parse();
    let pictures = text("PICTURES").and_then(place);
    let release = text("PLATFORM_RELEASE")
        .or_else(|| text("PLATFORM_VERSION"))
        .unwrap_or("unreleased");
    let app = text("PLATFORM_APP").unwrap_or("moments");
    let host = text("HOSTNAME").unwrap_or("localhost");
    Ok(Settings {
        port: port.map_err(|_| unusable("PORT", "a port number is expected"))?,
        redis: redis
            .ok()
            .filter(|url| url.scheme() == "redis" && url.has_host())
            .ok_or_else(|| unusable("REDIS_URL", "redis://HOST:PORT/ is expected"))?,
        pictures: pictures.ok_or_else(|| {
            let expected = "s3://BUCKET/PREFIX is expected, or file:///DIRECTORY";
            unusable("PICTURES", expected)
        })?,
        comments_shown: comments_shown
            .ok()
            .filter(|shown| (1..=1000).contains(shown))
            .ok_or_else(|| unusable("COMMENTS_SHOWN", "a number from 1 to 1000 is expected"))?,
        who: HeaderValue::from_str(&format!("{app} {release} {host}"))
            .map_err(|_| unusable("HOSTNAME", "printable ASCII is expected"))?,
    })
}

fn place(text: &str) -> Option<Place> {
    if let Some(path) = text.strip_prefix("file://") {
        return path
            .starts_with('/')
            .then(|| Place::Directory(PathBuf::from(path)));
    }
    let rest = text.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    (!bucket.is_empty()).then(|| Place::Bucket {
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
    })
}

impl Settings {
    /// What anybody may see: no key is among it, and no password in an address.
    pub(crate) fn parameters(&self) -> String {
        let mut redis = self.redis.clone();
        // Neither fails for an address that has a host.
        let _ = redis.set_username("");
        let _ = redis.set_password(None);
        redis.set_query(None);
        let pictures = match &self.pictures {
            Place::Bucket { bucket, prefix } => format!("s3://{bucket}/{prefix}"),
            Place::Directory(path) => format!("file://{}", path.display()),
        };
        format!(
            "COMMENTS_SHOWN={}\nPICTURES={pictures}\nREDIS_URL={redis}\n",
            self.comments_shown
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let all = [("PICTURES", "file:///tmp/p")];
        read(
            all.iter()
                .chain(pairs)
                .map(|(name, value)| (name.into(), value.into())),
        )
    }

    #[test]
    fn what_is_not_said_has_a_default() {
        let settings = of(&[("COMMENTS_SHOWN", "")]).unwrap();
        assert_eq!(
            settings.parameters(),
            "COMMENTS_SHOWN=20\nPICTURES=file:///tmp/p\nREDIS_URL=redis://redis.platform:6379/\n"
        );
        assert_eq!(settings.who, "moments unreleased localhost");
        assert_eq!(settings.port, 8080);
    }

    #[test]
    fn nobody_is_shown_a_password() {
        let settings = of(&[
            (
                "REDIS_URL",
                "redis://someone:canary@redis.example/1?canary=1",
            ),
            ("PICTURES", "s3://bucket/a/b/"),
        ]);
        let shown = settings.unwrap().parameters();
        assert!(
            shown.contains("REDIS_URL=redis://redis.example/1\n"),
            "{shown}"
        );
        assert!(shown.contains("PICTURES=s3://bucket/a/b\n"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn an_error_names_the_variable_and_not_its_value() {
        for (name, value) in [
            ("PORT", "canary"),
            ("REDIS_URL", "http://canary/"),
            ("REDIS_URL", "redis:canary"),
            ("COMMENTS_SHOWN", "0"),
            ("COMMENTS_SHOWN", "-1"),
            ("COMMENTS_SHOWN", "1001"),
            ("PICTURES", "canary"),
            ("PICTURES", "s3:///canary"),
            ("PICTURES", "file://canary"),
            ("HOSTNAME", "can\nary"),
        ] {
            let error = of(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
