//! What a writer has seen: the number of a generation, or of a channel's move.

type Condition = dyn Fn(Option<u64>) -> bool + Send + Sync;

/// Says whether a write may replace the current number; `None` is the number of what does not exist yet.
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
