//! An app that is ready to start.

use crate::environment::Environment;
use crate::release::Release;
use crate::settings::Settings;
use crate::tree::Tree;

/// An unpacked and configured app.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) settings: Settings,
    pub(crate) release: Release,
    pub(crate) tree: Tree,
    pub(crate) environment: Environment,
}
