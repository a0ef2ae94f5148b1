//! Runs a write to its end even if the client hangs up. hyper drops the handler of a closed connection, and half a
//! write would leave an entry that is not in memory, or a blob that is not deleted.

use super::error::Error;

pub(crate) async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a write was interrupted");
        Err(Error::Interrupted)
    })
}
