//! Progress of a transfer.

pub(crate) trait Report {
    /// An app is transferred.
    fn done(&mut self, line: &str);

    /// An app or a file cannot be transferred.
    fn skipped(&mut self, line: &str);

    /// The transfer of a file of `bytes` bytes begins.
    fn file(&mut self, bytes: u64);
}
