//! The part of a release's config that the platform reads when it deploys the release.
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `IMAGE` | image of the app's containers | `platformer/app-base` |
//! | `VOLUMES` | `NAME:/PATH`, several separated by blanks | none |
//! | `RELEASE_COMMAND` | command that runs once before traffic | none |
//! | `DRAIN_PERIOD`, `GRACE_PERIOD` | as in bootstrap | 5s, 8s |
//! | `ON_CHANGE` | anything but `ignore`: containers follow the channel, not the release's number | `ignore` |

mod volume;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use repository_api::config::{self, Config};
use repository_api::release::{ReleaseDocument, Statement};
use repository_api::{AppName, Reference, ReleaseNumber, VersionName, units};

use crate::environment::Environment;
use crate::replica_set::ReplicaSet;
use crate::repository::Repository;
pub(crate) use volume::Volume;

/// Covers the second until the load balancer notices, and most slow requests.
const DEFAULT_DRAIN: Duration = Duration::from_secs(5);
/// The default of bootstrap.
const DEFAULT_GRACE: Duration = Duration::from_secs(8);
const DEFAULT_IMAGE: &str = "platformer/app-base";

#[derive(Debug, Clone)]
pub(crate) struct ReleaseSpec {
    pub(crate) app: AppName,
    pub(crate) release: ReleaseNumber,
    pub(crate) version: VersionName,
    pub(crate) image: String,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) release_command: Option<String>,
    pub(crate) drain: Duration,
    pub(crate) grace: Duration,
    /// Whether containers follow the environment's channel, so that they notice changes while they run.
    pub(crate) follows_channel: bool,
}

/// The config of a release, with all layers merged.
pub(crate) fn merged_config(
    document: &ReleaseDocument,
) -> anyhow::Result<BTreeMap<String, String>> {
    let parsed = document
        .config
        .iter()
        .map(|layer| {
            config::parse(layer.content.as_bytes())
                .with_context(|| format!("layer {} of the config", layer.layer))
        })
        .collect::<anyhow::Result<Vec<Config>>>()?;
    Ok(config::merge(&parsed))
}

impl ReleaseSpec {
    pub(crate) fn load(
        repository: &Repository,
        environment: Environment,
        app: &AppName,
        release: ReleaseNumber,
    ) -> anyhow::Result<Self> {
        let document = repository.release(app, &Reference::Release(release))?;
        let mut spec = Self::read(app, &document)?;
        // Images of the platform come from the registry that the environment uses.
        if spec.image.starts_with("platformer/") {
            spec.image = environment.image(&spec.image)?;
        }
        Ok(spec)
    }

    /// The spec of the release that runs or, if none does, of the release that the environment's channel names.
    pub(crate) fn current(
        environment: Environment,
        app: &AppName,
        live: Option<&ReplicaSet>,
    ) -> anyhow::Result<Self> {
        let repository = Repository::of(environment)?;
        let release: Option<ReleaseNumber> = match live {
            Some(live) => Some(live.release.parse()?),
            None => repository.channel(app, environment.channel())?,
        };
        let release = release.with_context(|| {
            format!(
                "{app} was never deployed to {}: run platformer deploy {app}@VERSION",
                environment.name()
            )
        })?;
        Self::load(&repository, environment, app, release)
    }

    fn read(app: &AppName, document: &ReleaseDocument) -> anyhow::Result<Self> {
        let statement = Statement::from_text(&document.statement)
            .context("failed to read the repository's release document")?;
        let release = statement
            .release
            .and_then(ReleaseNumber::new)
            .context("the repository's release document has no release number")?;
        let config = merged_config(document)?;
        ensure!(
            config.contains_key("STARTUP_COMMAND"),
            "{app} has no STARTUP_COMMAND: run platformer config set {app} 'STARTUP_COMMAND=./{app}'"
        );
        if let Some(port) = config.get("PORT").filter(|port| *port != "8080") {
            bail!(
                "the config of {app} sets PORT to {port:?}, but the load balancer connects to port 8080: remove PORT with platformer config edit {app}"
            );
        }
        let period = |key: &str, default| {
            config.get(key).map_or(Ok(default), |text| {
                units::duration(text).with_context(|| format!("{key} in the config of {app}"))
            })
        };
        Ok(Self {
            app: app.clone(),
            release,
            version: statement.version,
            image: checked_image(config.get("IMAGE").map_or(DEFAULT_IMAGE, String::as_str))?,
            volumes: volume::parse_list(config.get("VOLUMES").map_or("", String::as_str))?,
            release_command: config.get("RELEASE_COMMAND").cloned(),
            drain: period("DRAIN_PERIOD", DEFAULT_DRAIN)?,
            grace: period("GRACE_PERIOD", DEFAULT_GRACE)?,
            follows_channel: config
                .get("ON_CHANGE")
                .is_some_and(|on_change| on_change != "ignore"),
        })
    }

    #[cfg(test)]
    pub(crate) fn from_config(config: &str) -> anyhow::Result<Self> {
        let statement = r#"{"app":"bakery","release":7,"version":"1.0.0","artefacts":[]}"#;
        let document = serde_json::json!({
            "statement": statement,
            "config": [{ "layer": "app", "content": config }],
        });
        Self::read(&"bakery".parse()?, &serde_json::from_value(document)?)
    }
}

/// Accepts the name of an image, and nothing that docker would read as an option.
fn checked_image(name: &str) -> anyhow::Result<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/:@-".contains(&byte);
    ensure!(
        name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(is_plain),
        "IMAGE is {name:?}, which isn't the name of an image: write a name such as platformer/app-base:jre"
    );
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_config_that_cannot_run_is_refused_before_anything_changes() {
        let error = |config| ReleaseSpec::from_config(config).unwrap_err().to_string();
        assert!(error("A=b\n").contains("config set bakery"));
        assert!(error("STARTUP_COMMAND=./x\nPORT=9000\n").contains("connects to port 8080"));
        assert!(error("STARTUP_COMMAND=./x\nVOLUMES=/data\n").contains("NAME:/PATH"));
        assert!(error("STARTUP_COMMAND=./x\nVOLUMES=secrets:/s\n").contains("secrets"));
        assert!(error("STARTUP_COMMAND=./x\nVOLUMES='a:/x/$HOME'\n").contains("NAME:/PATH"));
        assert!(error("STARTUP_COMMAND=./x\nVOLUMES=a:/run/secrets\n").contains("NAME:/PATH"));
        assert!(error("STARTUP_COMMAND=./x\nIMAGE=--user=0\n").contains("name of an image"));
    }
}
