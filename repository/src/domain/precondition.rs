//! The condition of a write: what number the newest generation or move of a channel must have.

type Condition = dyn Fn(Option<u64>) -> bool + Send + Sync;

/// Decides whether a write may follow the current number; `None` if there is no generation or move yet.
pub(crate) struct Precondition(Box<Condition>);

impl Precondition {
    pub(crate) fn new(allows: impl Fn(Option<u64>) -> bool + Send + Sync + 'static) -> Self {
        Self(Box::new(allows))
    }

    /// Allows every write.
    pub(crate) fn none() -> Self {
        Self::new(|_| true)
    }

    pub(crate) fn allows(&self, current: Option<u64>) -> bool {
        (self.0)(current)
    }
}

impl std::fmt::Debug for Precondition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Precondition")
    }
}
