//! A set of environment variables.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// The variables of a process. `Debug` shows only names.
#[derive(Clone, Default)]
pub(crate) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

impl Environment {
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        self.get_os(OsStr::new(name))
    }

    pub(super) fn get_os(&self, name: &OsStr) -> Option<&OsStr> {
        self.variables.get(name).map(OsString::as_os_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }

    pub(super) fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.variables.insert(name.into(), value.into());
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.variables.remove(OsStr::new(name));
    }

    #[cfg(test)]
    pub(crate) fn of(pairs: &[(&str, &str)]) -> Self {
        let mut environment = Self::default();
        for (name, value) in pairs {
            environment.set(*name, *value);
        }
        environment
    }
}

impl FromIterator<(OsString, OsString)> for Environment {
    fn from_iter<T: IntoIterator<Item = (OsString, OsString)>>(pairs: T) -> Self {
        Self {
            variables: pairs.into_iter().collect(),
        }
    }
}
