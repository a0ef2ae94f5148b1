//! `repository check`: reads everything, and fails if an object is damaged or missing.

use std::error::Error;

use repository_api::units::show_size;

use super::output::print_line;
use crate::upkeep::check::{self, Finding, Report};

/// Prints findings to standard output, one per line.
struct Lines;

impl Report for Lines {
    fn found(&mut self, Finding { subject, problem }: Finding) {
        print_line(&format!("{subject}: {problem}"));
    }

    async fn read(&mut self, _: u64) {}
}

#[derive(Debug, thiserror::Error)]
#[error("{0} of the checked objects are damaged or missing")]
struct Damaged(u64);

pub(super) async fn run() -> Result<(), Box<dyn Error>> {
    let (_, storage) = super::open(false)?;
    let (checked, referenced) = check::check(&storage, &mut Lines).await?;
    let unreferenced = check::unreferenced(&storage, &referenced).await?;
    print_line(&format!(
        "checked {} entries and {} artefacts in {}, {}; {unreferenced} unreferenced blobs (gc deletes old ones)",
        checked.entries,
        checked.artefacts,
        storage.location(),
        show_size(checked.bytes)
    ));
    if checked.findings == 0 {
        Ok(())
    } else {
        Err(Damaged(checked.findings).into())
    }
}
