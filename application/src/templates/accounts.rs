//! The WhatsApp Business Accounts templates belong to.

use async_trait::async_trait;
use domain::shared::ids::TenantId;

use crate::error::{AppError, AppResult};

/// A WhatsApp Business Account with the credential to manage its templates.
#[derive(Clone)]
pub struct BusinessAccount {
    /// The account it is used by.
    pub tenant: TenantId,
    /// Meta's id of it.
    pub waba_id: String,
    /// The access token of one of its lines, opened; never logged, never returned.
    pub access_token: String,
}

/// Finds WhatsApp Business Accounts by the lines that are saved.
#[async_trait]
pub trait AccountDirectory: Send + Sync {
    /// Those of an account, the primary line's first.
    async fn of(&self, tenant: TenantId) -> AppResult<Vec<BusinessAccount>>;
}

/// There is no line to manage templates with.
pub fn no_line() -> AppError {
    AppError::Conflict {
        code: "no_line",
        message: "save a WhatsApp line first: its business account is where templates live".to_owned(),
    }
}
