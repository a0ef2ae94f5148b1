//! The settings of the app, read from the environment.
//!
//! An error names the variable and never its value, because an address may contain a password.

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
    pub(crate) pictures: Location,
    /// Number of comments shown per picture.
    pub(crate) comments_shown: usize,
    /// App, release and host name, for `X-Platform-App`.
    pub(crate) identity: HeaderValue,
}

/// Where the pictures are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    Bucket { bucket: String, prefix: String },
    Directory(PathBuf),
}

#[derive(Debug, thiserror::Error)]
#[error("{name} is invalid: expected {expected}")]
pub(crate) struct SettingsError {
    name: &'static str,
    expected: &'static str,
}

/// An empty variable counts as unset.
pub(crate) fn read(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Settings, SettingsError> {
    let variables: HashMap<String, String> = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let text = |name: &str| variables.get(name).map(String::as_str);
    let invalid = |name, expected| SettingsError { name, expected };

    let port = text("PORT").unwrap_or("8080").parse();
    let redis = Url::parse(text("REDIS_URL").unwrap_or(DEFAULT_REDIS));
    let comments_shown = text("COMMENTS_SHOWN").unwrap_or("20").parse();
    let pictures = text("PICTURES").and_then(location);
    let release = text("PLATFORM_RELEASE")
        .or_else(|| text("PLATFORM_VERSION"))
        .unwrap_or("unreleased");
    let app = text("PLATFORM_APP").unwrap_or("moments");
    let host = text("HOSTNAME").unwrap_or("localhost");
    Ok(Settings {
        port: port.map_err(|_| invalid("PORT", "a port number"))?,
        redis: redis
            .ok()
            .filter(|url| url.scheme() == "redis" && url.has_host())
            .ok_or_else(|| invalid("REDIS_URL", "redis://HOST:PORT/"))?,
        pictures: pictures.ok_or_else(|| {
            let expected = "s3://BUCKET/PREFIX or file:///DIRECTORY";
            invalid("PICTURES", expected)
        })?,
        comments_shown: comments_shown
            .ok()
            .filter(|shown| (1..=1000).contains(shown))
            .ok_or_else(|| invalid("COMMENTS_SHOWN", "a number from 1 to 1000"))?,
        identity: HeaderValue::from_str(&format!("{app} {release} {host}"))
            .map_err(|_| invalid("HOSTNAME", "printable ASCII"))?,
    })
}

fn location(text: &str) -> Option<Location> {
    if let Some(path) = text.strip_prefix("file://") {
        return path
            .starts_with('/')
            .then(|| Location::Directory(PathBuf::from(path)));
    }
    let rest = text.strip_prefix("s3://")?;
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    (!bucket.is_empty()).then(|| Location::Bucket {
        bucket: bucket.to_owned(),
        prefix: prefix.trim_matches('/').to_owned(),
    })
}

impl Settings {
    /// Returns the settings that are safe to publish: no keys, and addresses without passwords.
    pub(crate) fn parameters(&self) -> String {
        let mut redis = self.redis.clone();
        // Neither call fails for an address that has a host.
        let _ = redis.set_username("");
        let _ = redis.set_password(None);
        redis.set_query(None);
        let pictures = match &self.pictures {
            Location::Bucket { bucket, prefix } => format!("s3://{bucket}/{prefix}"),
            Location::Directory(path) => format!("file://{}", path.display()),
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

    fn settings(pairs: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let required = [("PICTURES", "file:///tmp/p")];
        read(
            required
                .iter()
                .chain(pairs)
                .map(|(name, value)| (name.into(), value.into())),
        )
    }

    #[test]
    fn unset_variables_have_defaults() {
        let settings = settings(&[("COMMENTS_SHOWN", "")]).unwrap();
        assert_eq!(
            settings.parameters(),
            "COMMENTS_SHOWN=20\nPICTURES=file:///tmp/p\nREDIS_URL=redis://redis.platform:6379/\n"
        );
        assert_eq!(settings.identity, "moments unreleased localhost");
        assert_eq!(settings.port, 8080);
    }

    #[test]
    fn parameters_contain_no_password() {
        let settings = settings(&[
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
    fn an_error_names_the_variable_but_not_its_value() {
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
            let error = settings(&[(name, value)]).unwrap_err().to_string();
            assert!(error.starts_with(name), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
