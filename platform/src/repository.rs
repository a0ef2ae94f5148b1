//! The repository of an environment. It has no port outside, so each request is a curl in the toolbox.

use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use repository_api::problem::Problem;
use repository_api::release::ReleaseDocument;
use repository_api::{AppName, Reference, ReleaseNumber};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::environment::Environment;
use crate::shell::Line;

const URL: &str = "http://repository.platform";

#[derive(Debug)]
pub(crate) struct Repository {
    environment: Environment,
    toolbox: String,
}

/// A move of a channel; histories have the newest first.
#[derive(Debug, Deserialize)]
pub(crate) struct Move {
    pub(crate) at: String,
    pub(crate) by: String,
    pub(crate) to: String,
}

#[derive(Debug, Deserialize)]
struct History {
    history: Vec<Move>,
}

#[derive(Debug, Deserialize)]
struct Apps {
    apps: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Listed {
    #[serde(rename = "release")]
    pub(crate) number: String,
    pub(crate) version: String,
    pub(crate) created: String,
    pub(crate) by: String,
    /// Those that point to it.
    pub(crate) channels: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Releases {
    releases: Vec<Listed>,
}

/// What a channel's JSON says of where it points.
#[derive(Debug, Deserialize)]
struct Pointer {
    release: String,
}

impl Repository {
    pub(crate) fn of(environment: Environment) -> anyhow::Result<Self> {
        let toolbox = environment.container("toolbox")?;
        Ok(Self {
            environment,
            toolbox,
        })
    }

    fn curl(&self, words: &[&str], path: &str) -> Line {
        Line::docker(["exec", "-i"])
            .and([self.toolbox.as_str(), "curl-repository"])
            .and(words.iter().copied())
            .and([format!("{URL}{path}")])
    }

    /// The body; `None` where there is nothing.
    pub(crate) fn text(&self, path: &str, accept: &str) -> anyhow::Result<Option<String>> {
        let accept = format!("Accept: {accept}");
        let line = self.curl(
            &["--write-out", "\\n%{http_code}", "--header", &accept],
            path,
        );
        let printed = self.environment.shell.ask(&line).with_context(|| {
            format!(
                "the repository of {} does not answer",
                self.environment.name()
            )
        })?;
        let (body, status) = printed.rsplit_once('\n').unwrap_or(("", &printed));
        match status {
            "200" => Ok(Some(body.to_owned())),
            "404" => Ok(None),
            _ => Err(refused(body, status)),
        }
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<Option<T>> {
        self.text(path, "application/json")?
            .map(|text| {
                serde_json::from_str(&text)
                    .with_context(|| format!("GET {path} is not what was expected"))
            })
            .transpose()
    }

    /// A `PUT`; what the server answered, or nothing in a dry run.
    pub(crate) fn put(
        &self,
        path: &str,
        body: Line,
        headers: &[&str],
    ) -> anyhow::Result<Option<String>> {
        let mut words = vec!["--write-out", "\\n%{http_code}"];
        for header in headers {
            words.extend(["--header", header]);
        }
        words.extend(["--upload-file", "-"]);
        let line = self.curl(&words, path).input_of(body);
        let Some(printed) = self.environment.shell.act(&line)? else {
            return Ok(None);
        };
        let (body, status) = printed.rsplit_once('\n').unwrap_or(("", &printed));
        match status {
            "200" | "201" | "204" => Ok(Some(body.trim().to_owned())),
            _ => Err(refused(body, status)),
        }
    }

    pub(crate) fn put_file(
        &self,
        path: &str,
        file: &Path,
        headers: &[&str],
    ) -> anyhow::Result<Option<String>> {
        self.put(path, Line::new([""; 0]).file(file), headers)
    }

    pub(crate) fn put_text(
        &self,
        path: &str,
        text: &str,
        headers: &[&str],
    ) -> anyhow::Result<Option<String>> {
        self.put(path, Line::new([""; 0]).text(text), headers)
    }

    /// All apps of which anything was published.
    pub(crate) fn apps(&self) -> anyhow::Result<Vec<String>> {
        Ok(self
            .json::<Apps>("/artefacts/?limit=1000")?
            .map_or_else(Vec::new, |listed| listed.apps))
    }

    /// The newest fifty, newest first.
    pub(crate) fn releases(&self, app: &AppName) -> anyhow::Result<Vec<Listed>> {
        Ok(self
            .json::<Releases>(&format!("/releases/{app}/?limit=50"))?
            .map_or_else(Vec::new, |listed| listed.releases))
    }

    /// Where a channel points.
    pub(crate) fn channel(
        &self,
        app: &AppName,
        channel: &str,
    ) -> anyhow::Result<Option<ReleaseNumber>> {
        self.json::<Pointer>(&format!("/channels/{app}/{channel}"))?
            .map(|pointer| Ok(pointer.release.parse()?))
            .transpose()
    }

    /// Points a channel at a version or a release; the release that it points at then.
    pub(crate) fn point(
        &self,
        app: &AppName,
        channel: &str,
        target: &str,
    ) -> anyhow::Result<Option<ReleaseNumber>> {
        let answer = self.put_text(&format!("/channels/{app}/{channel}"), target, &[])?;
        let Some(answer) = answer else {
            return Ok(None);
        };
        let release = answer
            .split_whitespace()
            .find_map(|word| word.parse().ok())
            .ok_or_else(|| {
                anyhow!("the answer to PUT /channels/{app}/{channel} names no release")
            })?;
        Ok(Some(release))
    }

    /// The moves of a channel, newest first.
    pub(crate) fn history(&self, app: &AppName, channel: &str) -> anyhow::Result<Vec<Move>> {
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
                "there is no {app}@{reference}: platformer publish {app} PATH VERSION, and platformer releases {app} lists what there is"
            ),
        }
    }
}

/// What the server said is wrong, in its own words.
fn refused(body: &str, status: &str) -> anyhow::Error {
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
