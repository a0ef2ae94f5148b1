//! Client of an environment's repository. The repository publishes no port, so each request is a curl in the toolbox.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use repository_api::problem::Problem;
use repository_api::release::ReleaseDocument;
use repository_api::{AppName, Digest, Reference, ReleaseNumber};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use crate::environment::Environment;
use crate::shell::CommandLine;
use crate::step::Step;

pub(crate) const URL: &str = "http://repository.platform";
/// Makes curl print the status on a line below the body.
const STATUS: [&str; 2] = ["--write-out", "\\n%{http_code}"];

#[derive(Debug)]
pub(crate) struct Repository {
    environment: Environment,
    toolbox: String,
}

/// An entry of a channel's history.
#[derive(Debug, Deserialize)]
pub(crate) struct Promotion {
    pub(crate) at: String,
    pub(crate) by: String,
    #[serde(rename = "to")]
    pub(crate) release: String,
}

#[derive(Debug, Deserialize)]
struct History {
    history: Vec<Promotion>,
}

#[derive(Debug, Deserialize)]
struct Apps {
    apps: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Release {
    #[serde(rename = "release")]
    pub(crate) number: String,
    pub(crate) version: String,
    pub(crate) created: String,
    pub(crate) by: String,
    /// The channels that point at the release.
    pub(crate) channels: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Releases {
    releases: Vec<Release>,
}

#[derive(Debug, Deserialize)]
struct Channel {
    release: String,
}

/// The repository's own limit for an upload.
const UPLOAD: Duration = Duration::from_hours(24);

fn digest(file: &Path) -> io::Result<Digest> {
    let (mut file, mut hasher) = (File::open(file)?, Sha256::new());
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Digest::new(hasher.finalize().into())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

impl Repository {
    pub(crate) fn of(environment: Environment) -> anyhow::Result<Self> {
        let toolbox = environment.container("toolbox")?;
        Ok(Self {
            environment,
            toolbox,
        })
    }

    fn curl<'a>(&self, arguments: impl IntoIterator<Item = &'a str>, path: &str) -> CommandLine {
        CommandLine::docker(["exec", "-i", &self.toolbox, "curl-repository"])
            .args(STATUS)
            .args(arguments)
            .arg(format!("{URL}{path}"))
    }

    /// The body of a `GET`; `None` for a 404.
    pub(crate) fn text(&self, path: &str, accept: &str) -> anyhow::Result<Option<String>> {
        let accept = format!("Accept: {accept}");
        let printed = self
            .curl(["--header", &accept], path)
            .read()
            .with_context(|| {
                format!(
                    "the repository of {} does not answer",
                    self.environment.name()
                )
            })?;
        match split_status(&printed) {
            (body, "200") => Ok(Some(body.to_owned())),
            (_, "404") => Ok(None),
            (body, status) => Err(refusal(body, status)),
        }
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        self.text(path, "application/json")?
            .map(|text| {
                serde_json::from_str(&text)
                    .with_context(|| format!("failed to read the answer to GET {path}"))
            })
            .transpose()
    }

    /// A `PUT` whose result is the body of the answer.
    fn put(&self, line: CommandLine) -> Step<String> {
        let shell = self.environment.shell;
        Step::new(line.to_string(), move || {
            let printed = shell.execute(&line)?;
            match split_status(&printed) {
                (body, "200" | "201" | "204") => Ok(body.trim().to_owned()),
                (body, status) => Err(refusal(body, status)),
            }
        })
    }

    /// Uploads a file with its digest: if the upload is cut short, curl in the toolbox takes the rest for the whole,
    /// and the digest lets the repository refuse it.
    pub(crate) fn put_file(&self, path: &str, file: &Path) -> anyhow::Result<Step<String>> {
        let digest = digest(file).with_context(|| format!("failed to read {}", file.display()))?;
        let header = format!("X-Checksum-Sha256: {digest}");
        let line = self.curl(["--header", &header, "--upload-file", "-"], path);
        Ok(self.put(line.stdin_file(file).timeout(UPLOAD)))
    }

    pub(crate) fn put_text(&self, path: &str, text: &str) -> Step<String> {
        let line = self.curl(["--upload-file", "-"], path);
        self.put(line.stdin_text(text))
    }

    /// All apps with a published version.
    pub(crate) fn apps(&self) -> anyhow::Result<Vec<String>> {
        Ok(self
            .json::<Apps>("/artefacts/?limit=1000")?
            .map_or_else(Vec::new, |listed| listed.apps))
    }

    /// The fifty newest releases, newest first.
    pub(crate) fn releases(&self, app: &AppName) -> anyhow::Result<Vec<Release>> {
        Ok(self
            .json::<Releases>(&format!("/releases/{app}/?limit=50"))?
            .map_or_else(Vec::new, |listed| listed.releases))
    }

    /// The release that a channel points at.
    pub(crate) fn channel(
        &self,
        app: &AppName,
        channel: &str,
    ) -> anyhow::Result<Option<ReleaseNumber>> {
        self.json::<Channel>(&format!("/channels/{app}/{channel}"))?
            .map(|channel| Ok(channel.release.parse()?))
            .transpose()
    }

    /// Points a channel at a release, or at a new release of a version. The result is that release.
    pub(crate) fn promote(
        &self,
        app: &AppName,
        channel: &str,
        target: &str,
    ) -> Step<ReleaseNumber> {
        let path = format!("/channels/{app}/{channel}");
        self.put_text(&path, target).then(move |answer| {
            answer
                .split_whitespace()
                .find_map(|word| word.parse().ok())
                .ok_or_else(|| anyhow!("the answer to PUT {path} names no release"))
        })
    }

    /// The history of a channel, newest first.
    pub(crate) fn history(&self, app: &AppName, channel: &str) -> anyhow::Result<Vec<Promotion>> {
        Ok(self
            .json::<History>(&format!("/channels/{app}/{channel}/history?limit=1000"))?
            .map_or_else(Vec::new, |history| history.history))
    }

    /// The release document, with the config of this environment.
    pub(crate) fn release(
        &self,
        app: &AppName,
        reference: &Reference,
    ) -> anyhow::Result<ReleaseDocument> {
        let reference = match reference {
            Reference::Latest => "latest".to_owned(),
            Reference::Version(version) => version.to_string(),
            Reference::Release(release) => release.to_string(),
            Reference::Channel(channel) => channel.to_string(),
        };
        let path = format!(
            "/releases/{app}/{reference}?environment={}",
            self.environment.layer()
        );
        match self.json(&path)? {
            Some(document) => Ok(document),
            None => bail!(
                "{app}@{reference} does not exist: publish a version with platformer publish {app} PATH VERSION, or list the releases with platformer releases {app}"
            ),
        }
    }
}

fn split_status(printed: &str) -> (&str, &str) {
    printed.rsplit_once('\n').unwrap_or(("", printed))
}

/// The server's own explanation of a refused request.
fn refusal(body: &str, status: &str) -> anyhow::Error {
    match serde_json::from_str::<Problem>(body) {
        Ok(Problem {
            detail, excerpt, ..
        }) if !detail.is_empty() => match excerpt {
            Some(excerpt) => anyhow!("{detail}\n{excerpt}"),
            None => anyhow!("{detail}"),
        },
        _ => anyhow!("the repository answered with status {status}"),
    }
}
