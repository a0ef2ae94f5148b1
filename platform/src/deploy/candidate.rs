//! The release that a reference names. A version becomes a new release of the candidate channel, so that the
//! environment's own channel moves only when the release is live.

use anyhow::Context as _;
use repository_api::release::Statement;
use repository_api::{AppName, Reference, ReleaseNumber};

use crate::environment::Environment;
use crate::repository::Repository;

pub(super) struct Candidate {
    pub(super) release: ReleaseNumber,
    /// In a dry run, a version has no release of its own: the newest one stands in for it.
    pub(super) is_assumed: bool,
}

pub(super) fn resolve(
    repository: &Repository,
    environment: Environment,
    app: &AppName,
    reference: &Reference,
) -> anyhow::Result<Candidate> {
    let version = match reference {
        Reference::Release(release) => return Ok(existing(*release)),
        Reference::Channel(channel) => {
            let release = repository.channel(app, channel.as_str())?;
            return release.map(existing).with_context(|| {
                format!(
                    "{app} has no channel {channel}: platformer releases {app} lists the channels"
                )
            });
        }
        Reference::Version(version) => version.clone(),
        Reference::Latest => {
            let document = repository.release(app, reference)?;
            Statement::from_text(&document.statement)
                .context("failed to read the repository's release document")?
                .version
        }
    };
    let created = repository
        .promote(app, &environment.candidate_channel(), version.as_str())
        .apply(environment.shell)
        .with_context(|| {
            format!("failed to create a release of {app} {version}: if it isn't published, run platformer publish {app} PATH {version}")
        })?;
    if let Some(release) = created {
        return Ok(existing(release));
    }
    let releases = repository.releases(app)?;
    let newest = releases.first().map(|release| release.number.parse());
    let release = newest.with_context(|| {
        format!("{app} has no release yet, so a dry run cannot show the following steps: run platformer deploy {app}@{version}")
    })??;
    Ok(Candidate {
        release,
        is_assumed: true,
    })
}

fn existing(release: ReleaseNumber) -> Candidate {
    Candidate {
        release,
        is_assumed: false,
    }
}
