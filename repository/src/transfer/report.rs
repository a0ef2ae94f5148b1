//! What a transfer tells its caller while it runs.

pub(crate) trait Report {
    /// An app is transferred.
    fn done(&mut self, line: &str);

    /// Something cannot be transferred and is left out.
    fn left_out(&mut self, line: &str);

    /// The transfer of a file of so many bytes begins.
    fn file(&mut self, bytes: u64);
}
