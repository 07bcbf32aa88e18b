//! `GET /api/audit/export`.

use std::sync::Arc;

use application::audit::Range;
use poem::Body;
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Binary;
use poem_openapi::{ApiResponse, OpenApi};

use crate::app::App;
use crate::error::{Failure, List};
use crate::routes::{Group, ndjson};
use crate::security::may::{May, Reports};

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
        caller: May<Reports>,
        /// The number of the first event.
        #[oai(validator(minimum(value = "1")))]
        from: Query<Option<i64>>,
        /// The number of the last event.
        #[oai(validator(minimum(value = "1")))]
        to: Query<Option<i64>>,
    ) -> Result<Export, Failure<List>> {
        let (proofs, tenant, range) = (Arc::clone(&app.proofs), caller.session.tenant, Range { from: *from, to: *to });
        let body = ndjson::body(|mut lines| async move { proofs.export(tenant, range, &mut lines).await });
        Ok(Export::Lines(Binary(body.await?)))
    }
}
