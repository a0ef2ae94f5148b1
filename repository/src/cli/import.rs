//! `repository import DIR`: imports an exported tree, or a docroot of the original layout.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use super::output::Progress;
use crate::domain::catalogue::Catalogue;
use crate::domain::publish::Publisher;
use crate::transfer::import::import;

pub(super) async fn run(source: &Path) -> Result<(), Box<dyn Error>> {
    let (settings, storage) = super::open(true)?;
    let catalogue = Arc::new(Catalogue::new(storage));
    let publisher = Publisher::new(catalogue, settings.quota, settings.upkeep.gc_age);
    import(&publisher, source, &mut Progress::new()).await?;
    Ok(())
}
