//! `GET /api/audit/verify`.

use std::sync::Arc;

use application::audit::{Head, Inclusion, Range, Verification};
use poem::web::Data;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object, OpenApi};

use crate::app::App;
use crate::error::{Failure, Proof};
use crate::routes::Group;
use crate::security::may::{May, Reports};

/// What a walk over the sealed log came to.
#[derive(Debug, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct VerificationResult {
    /// Whether everything that was recomputed is as it was sealed.
    valid: bool,
    /// The number of the last sealed event; what came in the last second or two is not sealed yet.
    sealed_to: i64,
    /// Batches that were recomputed and hold.
    batches: i64,
    /// The first batch that is not as it was sealed.
    first_bad_batch: Option<i64>,
    /// What is wrong with it.
    reason: Option<String>,
    /// The newest seal: keep it, and the log can be held against it later.
    head: Option<Head>,
    /// The Ed25519 public key seals are signed with, in hex.
    public_key: Option<String>,
    /// The proof for the event that was asked for.
    proof: Option<Inclusion>,
}

#[derive(ApiResponse)]
enum Verified {
    /// Recomputed; `valid` says with what result.
    #[oai(status = 200)]
    Done(Json<VerificationResult>),
}

/// Verification.
pub struct AuditVerify;

#[OpenApi(prefix_path = "/audit", tag = "Group::Audit")]
impl AuditVerify {
    /// Verify the log
    ///
    /// Recomputes the chain over the stored events: every hash, digest, link and signature, and names the first batch
    /// that is not as it was sealed. `from` and `to` are dense numbers of events; without them it is the whole log,
    /// or with `event` the batch that event is in. `event` also answers a proof for one event of the account: its
    /// stored bytes, the hashes beside it, and the signature they lead to.
    #[oai(path = "/verify", method = "get", operation_id = "verifyLog")]
    async fn verify(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Reports>,
        /// The number of the first event.
        #[oai(validator(minimum(value = "1")))]
        from: Query<Option<i64>>,
        /// The number of the last event.
        #[oai(validator(minimum(value = "1")))]
        to: Query<Option<i64>>,
        /// An event of the account, by its position (fast) or its id (searches the log).
        #[oai(validator(max_length = 100))]
        event: Query<Option<String>>,
    ) -> Result<Verified, Failure<Proof>> {
        let proof = match event.as_deref() {
            Some(event) => Some(app.proofs.inclusion(caller.session.tenant, event).await?),
            None => None,
        };
        let of_event = proof.as_ref().filter(|_| from.is_none() && to.is_none()).map(|proof| proof.number);
        let verified = app.proofs.verify(Range { from: from.or(of_event), to: to.or(of_event) }).await?;
        Ok(Verified::Done(Json(result(verified, proof))))
    }
}

fn result(verified: Verification, proof: Option<Inclusion>) -> VerificationResult {
    let (first_bad_batch, reason) = verified.bad.map(|bad| (bad.batch, bad.reason)).unzip();
    VerificationResult {
        valid: first_bad_batch.is_none(),
        sealed_to: verified.sealed_to,
        batches: verified.batches,
        first_bad_batch,
        reason,
        head: verified.head,
        public_key: verified.public_key,
        proof,
    }
}
