//! `GET /api/audit/export`.

use std::sync::Arc;

use application::audit::{Lines, Range};
use application::error::{AppError, AppResult};
use async_trait::async_trait;
use futures::stream;
use poem::Body;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Binary;
use poem_openapi::{ApiResponse, OpenApi};
use tokio::sync::mpsc;

use crate::app::App;
use crate::error::{ApiError, Failure, List};
use crate::routes::Group;
use crate::security::Caller;

/// Pieces on their way to a client that reads slowly.
const PIECES_MAX: usize = 2;

#[derive(ApiResponse)]
enum Export {
    /// One JSON document a line. Only an export that ends with its manifest is whole.
    #[oai(status = 200, content_type = "application/x-ndjson")]
    Lines(Binary<Body>),
}

/// Export.
pub struct AuditExport;

#[OpenApi(prefix_path = "/audit", tag = "Group::Audit")]
impl AuditExport {
    /// Export the account's events with their proof
    ///
    /// The account's events of the range (dense numbers; without them the whole log) as NDJSON, to be checked by
    /// anybody, without us: a header; a line for every batch, with the hashes of all its events when one of them is
    /// the account's; the events with their stored bytes; and last a signed manifest. An export without its manifest
    /// was cut and proves nothing.
    #[oai(path = "/export", method = "get", operation_id = "exportLog")]
    async fn export(
        &self,
        app: Data<&Arc<App>>,
        caller: Caller,
        /// The number of the first event.
        #[oai(validator(minimum(value = "1")))]
        from: Query<Option<i64>>,
        /// The number of the last event.
        #[oai(validator(minimum(value = "1")))]
        to: Query<Option<i64>>,
    ) -> Result<Export, Failure<List>> {
        let (proofs, tenant, range) = (Arc::clone(&app.proofs), caller.session.tenant, Range { from: *from, to: *to });
        let (pieces, mut written) = mpsc::channel(PIECES_MAX);
        tokio::spawn(async move {
            let mut lines = Channel(pieces.clone());
            if let Err(error) = proofs.export(tenant, range, &mut lines).await
                && !pieces.is_closed()
            {
                tracing::warn!(?error, "An export broke off");
                // Too late for a status: the transfer breaks off, and nobody takes the part for the whole.
                drop(pieces.send(Err(error)).await);
            }
        });
        // What fails before the first line can still be said.
        let first = match written.recv().await {
            Some(first) => first?,
            None => return Err(ApiError::internal().into()),
        };
        let rest = stream::unfold(written, async |mut written| {
            let piece = written.recv().await?;
            Some((piece.map_err(std::io::Error::other), written))
        });
        let whole = futures::StreamExt::chain(stream::iter([Ok(first)]), rest);
        Ok(Export::Lines(Binary(Body::from_bytes_stream(whole))))
    }
}

/// Lines to whoever reads the answer.
struct Channel(mpsc::Sender<AppResult<String>>);

#[async_trait]
impl Lines for Channel {
    async fn take(&mut self, lines: String) -> AppResult<()> {
        self.0.send(Ok(lines)).await.map_err(|_| AppError::internal("the client reads no more"))
    }
}
