//! Answers of any length, one JSON document a line: written while they are read, in constant memory. One that
//! breaks off ends as a broken transfer, never as a shorter answer.

use std::marker::PhantomData;

use application::audit::Lines;
use application::error::{AppError, AppResult};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use poem::http::{HeaderMap, header};
use poem::{Body, IntoResponse, Response};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::ApiError;

/// The media type.
pub const NDJSON: &str = "application/x-ndjson";
/// Pieces on their way to a client that reads slowly.
const PIECES_MAX: usize = 2;

/// Whether the client asks for lines instead of an array.
pub fn wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|list| list.split(',')).any(|media| media.split(';').next().unwrap_or_default().trim() == NDJSON)
}

/// A body of lines, each of which is a `T`.
pub struct Ndjson<T> {
    body: Body,
    lines: PhantomData<fn() -> T>,
}

impl<T> Ndjson<T> {
    /// Lines as [`body`] writes them.
    pub fn of(body: Body) -> Self {
        Self { body, lines: PhantomData }
    }
}

impl<T: Type> Payload for Ndjson<T> {
    const CONTENT_TYPE: &'static str = NDJSON;

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: Send> IntoResponse for Ndjson<T> {
    fn into_response(self) -> Response {
        Response::builder().content_type(NDJSON).body(self.body)
    }
}

/// What goes to the client.
enum Piece {
    Lines(Vec<u8>),
    /// They are still being made.
    Later(JoinHandle<AppResult<Vec<u8>>>),
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
    let Some(first) = next(&mut written).await? else { return Ok(Body::empty()) };
    let rest = stream::unfold(written, |mut written| async move {
        let lines = next(&mut written).await.unwrap_or_else(|error| break_off(&format!("{error:?}")));
        lines.map(|lines| (lines, written))
    });
    Ok(Body::from_bytes_stream(stream::iter([first]).chain(rest).map(std::io::Result::Ok)))
}

/// The next lines; `None` when it was all there is.
async fn next(written: &mut mpsc::Receiver<Piece>) -> AppResult<Option<Vec<u8>>> {
    match written.recv().await {
        Some(Piece::Lines(lines)) => Ok(Some(lines)),
        Some(Piece::Later(lines)) => lines.await.map_err(AppError::internal)?.map(Some),
        Some(Piece::End) => Ok(None),
        Some(Piece::Broken(error)) => Err(error),
        None => Err(AppError::internal("its writer is gone")),
    }
}

/// Where the lines go.
pub struct Channel(mpsc::Sender<Piece>);

#[async_trait]
impl Lines for Channel {
    async fn take(&mut self, lines: String) -> AppResult<()> {
        self.send(lines.into_bytes()).await
    }
}

impl Channel {
    /// Takes whole lines, each with its end; waits while the client is behind.
    ///
    /// # Errors
    /// Nobody reads any more.
    pub async fn send(&mut self, lines: Vec<u8>) -> AppResult<()> {
        self.put(Piece::Lines(lines)).await
    }

    /// Takes lines that are still being made, and whose place is behind those before.
    ///
    /// # Errors
    /// As [`Channel::send`].
    pub async fn send_later(&mut self, lines: JoinHandle<AppResult<Vec<u8>>>) -> AppResult<()> {
        self.put(Piece::Later(lines)).await
    }

    async fn put(&mut self, piece: Piece) -> AppResult<()> {
        self.0.send(piece).await.map_err(|_| AppError::internal("the client reads no more"))
    }
}

/// Drops the connection. A body's error does not: the server goes on with a connection whose body failed, ends the
/// body properly, and the client takes the part for the whole. Unwinding is the one way out of its hands; the
/// server catches it around each connection, and no hook is called that would report a bug.
fn break_off(why: &str) -> ! {
    tracing::warn!(why, "An answer broke off in the middle");
    std::panic::resume_unwind(Box::new("an answer broke off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_for_those_who_ask_for_them() {
        for (accept, lines) in [
            ("application/x-ndjson", true),
            ("application/json, application/x-ndjson;q=0.9", true),
            ("application/json", false),
            ("*/*", false),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(wanted(&headers), lines, "{accept}");
        }
        assert!(!wanted(&HeaderMap::new()));
    }
}
