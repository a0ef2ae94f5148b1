//! Work that goes on when its client hangs up. hyper drops a handler whose connection is gone; a
//! write to the store would go on without its entry in the catalogue, and without its cleaning up.

use http::StatusCode;

use crate::http::failure::Failure;

pub(crate) async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, Failure> {
    tokio::spawn(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a write was cut off");
        Err(Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the repository was stopped while it wrote: nothing was acknowledged, try again",
        ))
    })
}
