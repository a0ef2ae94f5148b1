//! The directory of the unpacked apps (`BOOTSTRAP_DIR`, below `DIR`).
//!
//! ```text
//! DIR/.lock                  lock of a fetch, because several instances may share DIR
//! DIR/.download-{digest}     a download; the next start resumes an interrupted one
//! DIR/.staging-…             a tree that is being unpacked or removed; the next start sweeps leftovers
//! DIR/{digest}/              an app's tree, under the digest of its artefact
//! DIR/.inventory-{digest}    the content of the tree; a tree without an inventory is incomplete
//! DIR/.lock-{digest}         shared lock while an app runs in the tree; contains the app's name, and its
//!                            modification time is the app's last start
//! DIR/.release-{digest}      the last started release, for starts without the repository
//! ```
//!
//! 1. [`directory`]: finds a tree that can be reused
//! 2. [`writer`]: unpacks into staging inside `DIR`, so that the rename stays on one file system, and
//!    puts the tree in place. A tree in use is never replaced: the new tree becomes `{digest}.1`, or the
//!    next number that is free
//! 3. [`retention`]: retires the trees before an app's current and previous tree
//! 4. [`removal`]: deletes what was retired
//!
//! `bootstrap fetch` and `MODE=exec` leave no process behind that could hold the lock of a tree. Their
//! tree stays until two other artefacts of the app were started from the same directory.

mod directory;
mod inventory;
mod lock;
pub(crate) mod removal;
mod retention;
mod slot;
mod untouched;
mod writer;

pub(crate) use directory::{Demands, Tree, Trees};
pub(crate) use inventory::{Entry, Inventory};
pub(crate) use retention::{Retired, retire_superseded};
pub(crate) use writer::{LockedTrees, Staging};
