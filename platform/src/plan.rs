//! What a release asks of the platform: the keys of its config that are read at a deploy.
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `IMAGE` | the image that it runs on | `platformer/app-base` |
//! | `VOLUMES` | `NAME:/PATH`, several with blanks between | none |
//! | `RELEASE_COMMAND` | run once before traffic | none |
//! | `DRAIN_PERIOD`, `GRACE_PERIOD` | as in bootstrap | 5s, 8s |
//! | `ON_CHANGE` | not `ignore`: it runs by its channel, and not by the release's number | `ignore` |

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use repository_api::config::{self, Config};
use repository_api::release::{ReleaseDocument, Statement};
use repository_api::{AppName, ReleaseNumber, VersionName, units};
use serde_json::json;

use crate::environment::Environment;

/// Until the load balancer has noticed (1 s), and a slow request has its answer.
const DRAIN: Duration = Duration::from_secs(5);
/// bootstrap's own.
const GRACE: Duration = Duration::from_secs(8);
/// For the engine to notice that all has ended.
const MOMENT: Duration = Duration::from_secs(2);
const IMAGE: &str = "platformer/app-base";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Volume {
    name: String,
    path: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) app: AppName,
    pub(crate) release: ReleaseNumber,
    pub(crate) version: VersionName,
    pub(crate) image: String,
    pub(crate) volumes: Vec<Volume>,
    pub(crate) release_command: Option<String>,
    drain: Duration,
    grace: Duration,
    /// Whether it runs by its channel, because it wants to be told of what changes there.
    pub(crate) follows: bool,
}

/// What a release's config says, merged.
pub(crate) fn merged(document: &ReleaseDocument) -> anyhow::Result<BTreeMap<String, String>> {
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

impl Plan {
    pub(crate) fn read(app: &AppName, document: &ReleaseDocument) -> anyhow::Result<Self> {
        let statement = Statement::from_text(&document.statement)
            .context("the repository's release document is not readable")?;
        let release = statement
            .release
            .and_then(ReleaseNumber::new)
            .context("only a release can be deployed")?;
        let config = merged(document)?;
        ensure!(
            config.contains_key("STARTUP_COMMAND"),
            "{app} has no STARTUP_COMMAND: platformer config set {app} 'STARTUP_COMMAND=./{app}'"
        );
        if let Some(port) = config.get("PORT").filter(|port| *port != "8080") {
            bail!(
                "the config of {app} sets PORT to {port:?}, and the load balancer asks port 8080: platformer config edit {app}"
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
            image: image(config.get("IMAGE").map_or(IMAGE, String::as_str))?,
            volumes: volumes(config.get("VOLUMES").map_or("", String::as_str))?,
            release_command: config.get("RELEASE_COMMAND").cloned(),
            drain: period("DRAIN_PERIOD", DRAIN)?,
            grace: period("GRACE_PERIOD", GRACE)?,
            follows: config
                .get("ON_CHANGE")
                .is_some_and(|on_change| on_change != "ignore"),
        })
    }

    /// The image by its full name: the platform's own are where all of them are.
    pub(crate) fn on(mut self, environment: Environment) -> anyhow::Result<Self> {
        if self.image.starts_with("platformer/") {
            self.image = environment.image(&self.image)?;
        }
        Ok(self)
    }

    /// What `bootstrap` is told to start.
    pub(crate) fn reference(&self, environment: Environment) -> String {
        if self.follows {
            environment.channel().to_owned()
        } else {
            self.release.to_string()
        }
    }

    /// The variables of `app.yml` and its overlays. A deploy may take as long as `patience`.
    pub(crate) fn variables(
        &self,
        environment: Environment,
        colour: &str,
        replicas: usize,
        patience: Duration,
    ) -> Vec<(&'static str, String)> {
        let seconds = |duration: Duration| format!("{}s", duration.as_secs_f64().ceil());
        let mut variables = vec![
            ("PLATFORM_NAME", environment.name().to_owned()),
            ("ENVIRONMENT", environment.layer().to_owned()),
            ("APP", self.app.to_string()),
            ("REF", self.reference(environment)),
            ("RELEASE", self.release.to_string()),
            ("COLOUR", colour.to_owned()),
            ("IMAGE", self.image.clone()),
            ("REPLICAS", replicas.to_string()),
            ("DRAIN_PERIOD", seconds(self.drain)),
            ("GRACE_PERIOD", seconds(self.grace)),
            (
                "STOP_GRACE_PERIOD",
                seconds(self.drain + self.grace + MOMENT),
            ),
            ("START_PERIOD", seconds(patience)),
        ];
        if self.follows {
            variables.push(("CHANGE_DEBOUNCE", seconds(patience + self.drain)));
        }
        variables
    }

    /// The volumes, as `--mount` takes them.
    pub(crate) fn mounts(&self, environment: Environment) -> Vec<String> {
        self.volumes
            .iter()
            .map(|volume| {
                format!(
                    "type=volume,source={},target={}",
                    self.stored(environment, volume),
                    volume.path
                )
            })
            .collect()
    }

    /// What the engine calls its volumes.
    pub(crate) fn volumes(&self, environment: Environment) -> Vec<String> {
        self.volumes
            .iter()
            .map(|volume| self.stored(environment, volume))
            .collect()
    }

    /// What the engine calls a volume.
    fn stored(&self, environment: Environment, volume: &Volume) -> String {
        format!("{}_{}_{}", environment.name(), self.app, volume.name)
    }

    /// What cannot be said with variables: volumes, and Swarm's secrets (source and name of each).
    pub(crate) fn overlay(
        &self,
        environment: Environment,
        secrets: &BTreeMap<String, String>,
    ) -> Option<String> {
        if self.volumes.is_empty() && secrets.is_empty() {
            return None;
        }
        let mounts: Vec<_> = self
            .volumes
            .iter()
            .map(|volume| format!("{}:{}", volume.name, volume.path))
            .collect();
        let named: BTreeMap<_, _> = self
            .volumes
            .iter()
            .map(|volume| {
                let labels = json!({ "platform.environment": environment.name() });
                let stored = self.stored(environment, volume);
                (&volume.name, json!({ "name": stored, "labels": labels }))
            })
            .collect();
        let given: Vec<_> = secrets
            .keys()
            .map(|name| {
                json!({ "source": name, "target": name, "uid": "10001", "gid": "10001", "mode": 0o400 })
            })
            .collect();
        let sources: BTreeMap<_, _> = secrets
            .iter()
            .map(|(name, stored)| (name, json!({ "external": true, "name": stored })))
            .collect();
        let mut app = json!({});
        let mut all = json!({ "version": "3.8" });
        if !mounts.is_empty() {
            app["volumes"] = json!(mounts);
            all["volumes"] = json!(named);
        }
        if !given.is_empty() {
            app["secrets"] = json!(given);
            all["secrets"] = json!(sources);
        }
        all["services"] = json!({ "app": app });
        Some(format!("{all:#}\n"))
    }
}

/// A name of an image, and nothing that docker would take for an option.
fn image(name: &str) -> anyhow::Result<String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/:@-".contains(&byte);
    ensure!(
        name.starts_with(|first: char| first.is_ascii_alphanumeric()) && name.bytes().all(is_plain),
        "IMAGE is {name:?}, which is no name of an image: write one such as platformer/app-base:jre"
    );
    Ok(name.to_owned())
}

/// Directories that are bootstrap's, the engine's or the image's own.
const TAKEN: [&str; 12] = [
    "/app", "/bin", "/dev", "/etc", "/lib", "/proc", "/run", "/sbin", "/sys", "/tmp", "/usr", "/",
];

/// Where a volume may lie. Compose would read a `$` as a variable of whoever deploys.
fn is_path(path: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    path.starts_with('/')
        && path.bytes().all(is_plain)
        && !path.split('/').any(|part| part == "..")
        && !TAKEN.iter().any(|taken| {
            path == *taken || (*taken != "/" && path.starts_with(&format!("{taken}/")))
        })
}

fn volumes(text: &str) -> anyhow::Result<Vec<Volume>> {
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    text.split([' ', ',', '\n'])
        .filter(|word| !word.is_empty())
        .map(|word| {
            let (name, path) = word
                .split_once(':')
                .filter(|(name, path)| is_name(name) && is_path(path))
                .with_context(|| {
                    format!("VOLUMES has {word:?}: write NAME:/PATH, a name of a-z, 0-9 and -, and a path such as /var/lib/app")
                })?;
            ensure!(
                name != "secrets",
                "VOLUMES has a volume called secrets, which is what platformer secret set writes: give it another name"
            );
            Ok(Volume {
                name: name.to_owned(),
                path: path.to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::environment::Kind;
    use crate::shell::Shell;

    fn plan(config: &str) -> anyhow::Result<Plan> {
        let statement = r#"{"app":"bakery","release":7,"version":"1.0.0","artefacts":[]}"#;
        let document = json!({
            "statement": statement,
            "config": [{ "layer": "app", "content": config }],
        });
        Plan::read(
            &"bakery".parse().unwrap(),
            &serde_json::from_value(document).unwrap(),
        )
    }

    const TRAINING: Environment = Environment {
        kind: Kind::Training,
        shell: Shell {
            dry_run: false,
            verbose: false,
        },
    };

    #[test]
    fn periods_add_up_to_what_the_engine_waits() {
        let plan = plan("STARTUP_COMMAND=./x\nDRAIN_PERIOD=500ms\nGRACE_PERIOD=20s\n").unwrap();
        let variables = plan.variables(TRAINING, "blue", 2, Duration::from_secs(30));
        let value = |name| {
            variables
                .iter()
                .find(|(known, _)| *known == name)
                .unwrap()
                .1
                .as_str()
        };
        assert_eq!(value("DRAIN_PERIOD"), "1s");
        assert_eq!(value("STOP_GRACE_PERIOD"), "23s");
        assert_eq!(value("REF"), "r7");
        assert_eq!(value("RELEASE"), "r7");
    }

    #[test]
    fn who_wants_to_be_told_runs_by_the_channel() {
        let plan = plan("STARTUP_COMMAND=./x\nON_CHANGE=exit\n").unwrap();
        assert_eq!(plan.reference(TRAINING), "training");
    }

    #[test]
    fn what_cannot_run_is_told_before_anything_is_done() {
        let error = |config| plan(config).unwrap_err().to_string();
        assert!(error("A=b\n").contains("config set bakery"));
        assert!(error("STARTUP_COMMAND=./x\nPORT=9000\n").contains("asks port 8080"));
        assert!(error("STARTUP_COMMAND=./x\nVOLUMES=/data\n").contains("NAME:/PATH"));
        assert!(error("STARTUP_COMMAND=./x\nVOLUMES=secrets:/s\n").contains("secrets"));
        assert!(error("STARTUP_COMMAND=./x\nVOLUMES='a:/x/$HOME'\n").contains("NAME:/PATH"));
        assert!(error("STARTUP_COMMAND=./x\nVOLUMES=a:/run/secrets\n").contains("NAME:/PATH"));
        assert!(error("STARTUP_COMMAND=./x\nIMAGE=--user=0\n").contains("no name of an image"));
    }

    #[test]
    fn volumes_bear_the_name_of_environment_and_app() {
        let plan = plan("STARTUP_COMMAND=./x\nVOLUMES='data:/var/lib/app logs:/logs'\n").unwrap();
        let overlay: serde_json::Value =
            serde_json::from_str(&plan.overlay(TRAINING, &BTreeMap::new()).unwrap()).unwrap();
        assert_eq!(overlay["volumes"]["data"]["name"], "training_bakery_data");
        assert_eq!(overlay["services"]["app"]["volumes"][1], "logs:/logs");
    }
}
