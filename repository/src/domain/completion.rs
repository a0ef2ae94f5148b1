//! Writes that run to their end when the client hangs up: hyper drops the handler of a closed connection, and half of
//! a write would be an entry in the store that memory does not know, or a blob that is not cleaned up.

use super::error::Error;

pub(crate) async fn run_to_completion<T: Send + 'static>(
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a write was interrupted");
        Err(Error::Interrupted)
    })
}
