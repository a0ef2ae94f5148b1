//! Yanking: a version leaves `latest` and new releases, and can still be fetched by name.

use std::sync::Arc;

use repository_api::{AppName, VersionName};

use super::catalogue::{Catalogue, Decision};
use super::completion::run_to_completion;
use super::error::Error;
use super::event::AppEvent;
use super::purge::refuse_in_use;

/// Yanks a version, or undoes the yank.
pub(crate) async fn set_yanked(
    catalogue: &Arc<Catalogue>,
    app: AppName,
    version: VersionName,
    yanked: bool,
    by: String,
) -> Result<(), Error> {
    let catalogue = Arc::clone(catalogue);
    run_to_completion(async move {
        let log = catalogue.known(&app).await?;
        log.commit(&by, |state| {
            let found = state.existing(&app, &version)?;
            if found.is_yanked() == yanked {
                return Ok(Decision::Unchanged(()));
            }
            if yanked {
                refuse_in_use(&app, &version, state)?;
            }
            let event = AppEvent::Yank {
                version: version.clone(),
                yanked,
            };
            Ok(Decision::Append(vec![event], ()))
        })
        .await
    })
    .await
}
