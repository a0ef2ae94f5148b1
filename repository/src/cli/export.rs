//! `repository export DIR`: writes everything into a tree that any static server can serve.

use std::error::Error;
use std::path::Path;

use super::output::Progress;
use crate::domain::catalogue::Catalogue;
use crate::transfer::export::export;

pub(super) async fn run(target: &Path) -> Result<(), Box<dyn Error>> {
    let (_, storage) = super::open(false)?;
    let catalogue = Catalogue::new(storage);
    export(&catalogue, target, &mut Progress::new()).await?;
    Ok(())
}
