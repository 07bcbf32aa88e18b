//! An account's API credentials, and the tokens they are exchanged for.

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::access::Permission;
use domain::reason;
use domain::shared::ids::UserId;

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::identity::sessions::{Origin, Proof};
use crate::identity::{Identity, Issued};
use crate::time::Stamp;

/// Seconds an API token lives when the client does not say.
pub const API_TOKEN_TTL_SEC: u32 = 3600;
/// Seconds an API token lives at most: a day.
pub const API_TOKEN_TTL_SEC_MAX: u32 = 86_400;

/// An account's API credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAccess {
    /// The client id, once there is one.
    pub client_id: Option<String>,
    /// The key; only when it was just made.
    pub api_key: Option<String>,
    /// The key's beginning, once there is one.
    pub key_prefix: Option<String>,
    /// Whether an administrator allowed its use.
    pub approved: bool,
    /// What its tokens may do.
    pub scopes: Vec<Permission>,
    /// When the key was made.
    pub rotated_at: Option<Stamp>,
}

/// API credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiClient {
    /// Whose.
    pub user: UserId,
    /// The public half.
    pub client_id: String,
    /// The key's beginning, which may be shown.
    pub key_prefix: String,
    /// The key's hash.
    pub key_hash: String,
    /// What its tokens may do.
    pub scopes: Vec<Permission>,
    /// When the key was made.
    pub rotated_at: DateTime<Utc>,
}

/// Credentials; every change with an audit entry in the same transaction.
#[async_trait]
pub trait ApiClients: Send + Sync {
    /// Credentials by their public half.
    async fn by_client_id(&self, client_id: &str) -> AppResult<Option<ApiClient>>;
    /// Credentials by their owner.
    async fn of(&self, user: UserId) -> AppResult<Option<ApiClient>>;
    /// Makes or rotates credentials, and ends the tokens made with the key before.
    async fn save(&self, session: &Session, client: &ApiClient) -> AppResult<()>;
}

impl Identity {
    /// Exchanges API credentials for a Bearer token.
    ///
    /// # Errors
    /// They are wrong (401), or no administrator approved them (403).
    pub async fn api_token(
        &self,
        client_id: &str,
        api_key: &str,
        ttl_sec: Option<u32>,
        origin: Origin,
    ) -> AppResult<Issued> {
        let ttl = ttl_sec.unwrap_or(API_TOKEN_TTL_SEC);
        if !(60..=API_TOKEN_TTL_SEC_MAX).contains(&ttl) {
            let reason = reason!("number_between", "is {min} to {max}", min = 60, max = API_TOKEN_TTL_SEC_MAX);
            return Err(AppError::field("ttlSec", reason));
        }
        let client = self.clients.by_client_id(client_id).await?;
        let genuine = self.keys.verify(client.as_ref().map(|it| it.key_hash.as_str()), api_key);
        let Some(client) = client.filter(|_| genuine) else {
            return Err(AppError::Unauthorized("the clientId or the apiKey is wrong".into()));
        };
        let user = self.users.get(client.user).await?.ok_or(AppError::NotFound("user"))?;
        if !user.api_access_approved {
            return Err(AppError::Forbidden("API access awaits an administrator's approval".into()));
        }
        self.issue(user, Proof::Key(client.key_hash), TimeDelta::seconds(i64::from(ttl)), origin).await
    }

    /// The account's API credentials, without the key.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn api_access(&self, session: &Session) -> AppResult<ApiAccess> {
        let user = self.users.get(UserId(session.tenant.0)).await?.ok_or(AppError::NotFound("user"))?;
        let client = self.clients.of(UserId(session.tenant.0)).await?;
        Ok(ApiAccess {
            client_id: client.as_ref().map(|it| it.client_id.clone()),
            api_key: None,
            key_prefix: client.as_ref().map(|it| it.key_prefix.clone()).filter(|prefix| !prefix.is_empty()),
            approved: user.api_access_approved,
            scopes: client.as_ref().map_or_else(|| Permission::SCOPES.to_vec(), |it| it.scopes.clone()),
            rotated_at: client.map(|it| Stamp(it.rotated_at)),
        })
    }

    /// Makes the account's API credentials, or a new key for them. The old key and the tokens made with it stop
    /// working. Without `scopes`, those it had stay, and the first key may do all that keys may.
    ///
    /// # Errors
    /// A scope that no key may have, or they cannot be stored.
    pub async fn rotate_api_key(&self, session: &Session, scopes: Option<Vec<Permission>>) -> AppResult<ApiAccess> {
        let scopes = scopes.map(checked).transpose()?;
        let known = self.clients.of(UserId(session.tenant.0)).await?;
        let fresh = self.keys.make()?;
        let (client_id, before) = match known {
            Some(client) => (client.client_id, client.scopes),
            None => (fresh.client_id, Permission::SCOPES.to_vec()),
        };
        let client = ApiClient {
            user: UserId(session.tenant.0),
            client_id,
            key_prefix: fresh.prefix,
            key_hash: fresh.hash,
            scopes: scopes.unwrap_or(before),
            rotated_at: self.clock.now(),
        };
        self.clients.save(session, &client).await?;
        Ok(ApiAccess { api_key: Some(fresh.key), ..self.api_access(session).await? })
    }
}

/// The scopes, each once.
fn checked(wanted: Vec<Permission>) -> AppResult<Vec<Permission>> {
    let known: Vec<&str> = Permission::SCOPES.iter().map(|scope| scope.as_str()).collect();
    if wanted.is_empty() || wanted.iter().any(|scope| !Permission::SCOPES.contains(scope)) {
        let reason = reason!("scopes", "has one or more of {allowed}", allowed = known.join(", "));
        return Err(AppError::field("scopes", reason));
    }
    Ok(Permission::SCOPES.iter().copied().filter(|scope| wanted.contains(scope)).collect())
}
