//! Requests that may be sent again: which ones ran, and what they were answered.

use async_trait::async_trait;
use domain::access::Access;
use domain::shared::ids::{TenantId, UserId};
use uuid::Uuid;

use crate::error::AppResult;

/// Characters of a key at most.
pub const KEY_MAX: usize = 255;

/// A request with a key of its client's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyed {
    /// The account, which its keys belong to.
    pub tenant: TenantId,
    /// The person; another one's request is another request.
    pub user: UserId,
    /// What they may do. An answer that shows something is for these rights alone.
    pub access: Access,
    /// The key.
    pub key: String,
}

/// What makes a request the same one.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub address: &'a str,
    /// The body's bytes.
    pub body: &'a [u8],
}

/// An answer as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The status.
    pub status: u16,
    /// Names and values of its own headers.
    pub headers: Vec<(String, String)>,
    /// Its bytes.
    pub body: Vec<u8>,
}

/// What is to be done with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begun {
    /// It runs now, under this lease.
    Ours(Uuid),
    /// It ran; this was its answer.
    Answered(Kept),
    /// It ran; its answer is not kept any more, or was for other rights than the caller has now.
    AnswerGone,
    /// It runs at this moment.
    Running,
    /// Its key belongs to another request.
    Reused,
}

/// Remembers requests and their answers for seven days.
#[async_trait]
pub trait Idempotency: Send + Sync {
    /// Begins a request, or tells what became of it. One whose process died may begin again once its lease ran out.
    ///
    /// # Errors
    /// It could not be stored; the request must not run.
    async fn begin(&self, request: &Keyed, asked: Asked<'_>) -> AppResult<Begun>;

    /// Keeps the answer, unless the lease was lost.
    ///
    /// # Errors
    /// It could not be stored.
    async fn keep(&self, request: &Keyed, lease: Uuid, answer: &Kept) -> AppResult<()>;

    /// Forgets the request, so that it may run again.
    ///
    /// # Errors
    /// It could not be stored.
    async fn forget(&self, request: &Keyed, lease: Uuid) -> AppResult<()>;
}

/// What a request's appends leave behind, so that it takes effect once even when its process dies before the
/// answer is kept. Accounts cannot meet in it, whoever's streams they write to.
pub fn mark(tenant: TenantId, key: &str) -> String {
    format!("idem:{tenant}:{key}")
}
