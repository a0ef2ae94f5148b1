//! `repository gc`: lists garbage, and deletes it with `--delete`.

use std::error::Error;
use std::sync::Arc;

use repository_api::units::show_size;

use super::output::print_line;
use crate::domain::catalogue::Catalogue;
use crate::upkeep::gc;

pub(super) async fn run(deletes: bool) -> Result<(), Box<dyn Error>> {
    let (settings, storage) = super::open(false)?;
    let gc_age = settings.upkeep.gc_age;
    let catalogue = Arc::new(Catalogue::new(storage));
    let garbage = gc::find(&catalogue, gc_age).await?;
    if deletes {
        gc::delete(&catalogue, gc_age, garbage, |line| print_line(&line)).await?;
        return Ok(());
    }
    for (app, version) in &garbage.versions {
        print_line(&format!("would purge {app} {version}"));
    }
    for (id, size) in &garbage.blobs {
        print_line(&format!("would delete blob {id}, {}", show_size(*size)));
    }
    print_line(&format!(
        "{} expired versions, {} unreferenced blobs, {} leftovers of interrupted uploads; nothing was deleted: repository gc --delete deletes them",
        garbage.versions.len(),
        garbage.blobs.len(),
        garbage.leftovers
    ));
    Ok(())
}
