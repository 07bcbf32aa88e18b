//! Answers of any length, one JSON document a line: written while they are read, in constant memory. One that
//! breaks off ends as a broken transfer, never as a shorter answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use application::audit::Lines;
use application::error::{AppError, AppResult};
use async_trait::async_trait;
use futures::Stream;
use poem::Body;
use tokio::sync::mpsc;

use crate::error::ApiError;

/// Pieces on their way to a client that reads slowly.
const PIECES_MAX: usize = 2;

/// What goes to the client.
enum Piece {
    Lines(String),
    /// It was all there is.
    End,
    Broken(AppError),
}

/// The body `write` writes. What fails before the first line is an error like any other; what fails later, and an
/// unnoticed end of the writer, breaks the transfer.
///
/// # Errors
/// The writer failed before its first line.
pub async fn body<F, W>(write: W) -> Result<Body, ApiError>
where
    W: FnOnce(Channel) -> F,
    F: Future<Output = AppResult<()>> + Send + 'static,
{
    let (pieces, mut written) = mpsc::channel(PIECES_MAX);
    let writing = write(Channel(pieces.clone()));
    tokio::spawn(async move {
        let last = writing.await.map_or_else(Piece::Broken, |()| Piece::End);
        // Nobody may be listening any more; then nobody needs to know.
        drop(pieces.send(last).await);
    });
    match written.recv().await {
        Some(Piece::Lines(first)) => Ok(Body::from_bytes_stream(Pieces { first: Some(first), written })),
        Some(Piece::End) => Ok(Body::empty()),
        Some(Piece::Broken(error)) => Err(error.into()),
        None => Err(ApiError::internal()),
    }
}

/// Where the lines go.
pub struct Channel(mpsc::Sender<Piece>);

#[async_trait]
impl Lines for Channel {
    async fn take(&mut self, lines: String) -> AppResult<()> {
        self.0.send(Piece::Lines(lines)).await.map_err(|_| AppError::internal("the client reads no more"))
    }
}

/// Pieces as a body reads them.
struct Pieces {
    first: Option<String>,
    written: mpsc::Receiver<Piece>,
}

impl Stream for Pieces {
    type Item = std::io::Result<String>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        self.written.poll_recv(context).map(|piece| match piece {
            Some(Piece::Lines(lines)) => Some(Ok(lines)),
            Some(Piece::End) => None,
            Some(Piece::Broken(error)) => break_off(&format!("{error:?}")),
            None => break_off("its writer is gone"),
        })
    }
}

/// Drops the connection. A body's error does not: the server goes on with a connection whose body failed, ends the
/// body properly, and the client takes the part for the whole. Unwinding is the one way out of its hands; the
/// server catches it around each connection, and no hook is called that would report a bug.
fn break_off(why: &str) -> ! {
    tracing::warn!(why, "An answer broke off in the middle");
    std::panic::resume_unwind(Box::new("an answer broke off"))
}
