//! Who may ask: people, their sessions, their API credentials.

pub mod ports;

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::shared::ids::{TenantId, UserId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::identity::ports::{
    ApiClient, ApiKeys, NewUser, Passwords, SessionKind, SessionRecord, Tokens, UserChange, Users,
};
use crate::page::{Page, PageRequest};
use crate::time::{Clock, NewId, Stamp};

/// How long a session lives: 12 hours.
pub const SESSION_TTL: TimeDelta = TimeDelta::hours(12);
/// Seconds an API token lives when the client does not say.
pub const API_TOKEN_TTL_SEC: u32 = 3600;
/// Seconds an API token lives at most: a day.
pub const API_TOKEN_TTL_SEC_MAX: u32 = 86_400;

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object), oai(rename_all = "camelCase"))]
pub struct UserView {
    /// The id; also the id of the account this person owns.
    pub id: Uuid,
    /// What they sign in with.
    pub username: String,
    /// What others see.
    pub display_name: String,
    /// E-mail address.
    pub email: String,
    /// `user` or `admin`.
    pub role: String,
    /// The account's time zone, an IANA name.
    pub timezone: String,
    /// Whether an administrator allowed the account to use API credentials.
    pub api_access_approved: bool,
    /// When they joined.
    pub created_at: Stamp,
}

/// A token with what the client needs to know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token.
    pub token: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
    /// Whose it is.
    pub user: UserView,
}

/// An account's API credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAccess {
    /// The client id, once there is one.
    pub client_id: Option<String>,
    /// The key; only when it was just made.
    pub api_key: Option<String>,
    /// Whether an administrator allowed its use.
    pub approved: bool,
    /// When the key was made.
    pub rotated_at: Option<Stamp>,
}

/// Signs people in and tells who asks.
pub struct Identity {
    /// People, sessions, credentials.
    pub users: Arc<dyn Users>,
    /// Password hashes.
    pub passwords: Arc<dyn Passwords>,
    /// Signed tokens.
    pub tokens: Arc<dyn Tokens>,
    /// API keys.
    pub keys: Arc<dyn ApiKeys>,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
}

impl Identity {
    /// Signs a person in. An unknown name takes as long and says the same as a wrong password.
    ///
    /// # Errors
    /// Name and password do not belong together.
    pub async fn log_in(&self, username: &str, password: &str) -> AppResult<Issued> {
        let found = self.users.credentials(username).await?;
        let hash = found.as_ref().map(|(_, hash)| hash.clone());
        let genuine = self.passwords.verify(hash, password.to_owned()).await?;
        let Some((user, _)) = found.filter(|_| genuine) else {
            return Err(AppError::Unauthorized("the username or the password is wrong".into()));
        };
        self.issue(user, SessionKind::Session, SESSION_TTL).await
    }

    /// Ends a session; what it signed is refused from now on.
    ///
    /// # Errors
    /// It cannot be stored.
    pub async fn log_out(&self, token: &str) -> AppResult<()> {
        match self.tokens.read(token) {
            Some(claims) => self.users.revoke_session(claims.session).await,
            None => Ok(()),
        }
    }

    /// Who holds this token, if it is genuine, not expired, not revoked, and the person still exists.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn session(&self, token: &str) -> AppResult<Option<(Session, SessionKind)>> {
        let Some(claims) = self.tokens.read(token) else { return Ok(None) };
        let Some(record) = self.users.session(claims.session).await? else { return Ok(None) };
        if record.expires_at <= self.clock.now() {
            return Ok(None);
        }
        let session = Session {
            tenant: TenantId(record.user.0),
            user: record.user,
            admin: record.admin,
            correlation: self.ids.new_id(),
            idempotency_key: None,
        };
        Ok(Some((session, record.kind)))
    }

    /// Exchanges API credentials for a Bearer token.
    ///
    /// # Errors
    /// They are wrong (401), or no administrator approved them (403).
    pub async fn api_token(&self, client_id: &str, api_key: &str, ttl_sec: Option<u32>) -> AppResult<Issued> {
        let ttl = ttl_sec.unwrap_or(API_TOKEN_TTL_SEC);
        if !(60..=API_TOKEN_TTL_SEC_MAX).contains(&ttl) {
            return Err(AppError::invalid(format!("ttlSec is 60 to {API_TOKEN_TTL_SEC_MAX}")));
        }
        let client = self.users.api_client(client_id).await?;
        let genuine = self.keys.verify(client.as_ref().map(|it| it.key_hash.as_str()), api_key);
        let Some(client) = client.filter(|_| genuine) else {
            return Err(AppError::Unauthorized("the clientId or the apiKey is wrong".into()));
        };
        let user = self.users.get(client.user).await?.ok_or(AppError::NotFound("user"))?;
        if !user.api_access_approved {
            return Err(AppError::Forbidden("API access awaits an administrator's approval".into()));
        }
        self.issue(user, SessionKind::Api, TimeDelta::seconds(i64::from(ttl))).await
    }

    /// The account's API credentials, without the key.
    ///
    /// # Errors
    /// They cannot be read.
    pub async fn api_access(&self, session: &Session) -> AppResult<ApiAccess> {
        let user = self.users.get(session.user).await?.ok_or(AppError::NotFound("user"))?;
        let client = self.users.api_client_of(session.user).await?;
        Ok(ApiAccess {
            client_id: client.as_ref().map(|it| it.client_id.clone()),
            api_key: None,
            approved: user.api_access_approved,
            rotated_at: client.map(|it| Stamp(it.rotated_at)),
        })
    }

    /// Makes the account's API credentials, or a new key for them. The old key stops working.
    ///
    /// # Errors
    /// They cannot be stored.
    pub async fn rotate_api_key(&self, session: &Session) -> AppResult<ApiAccess> {
        let known = self.users.api_client_of(session.user).await?;
        let (fresh_id, key, key_hash) = self.keys.make()?;
        let client_id = known.map_or(fresh_id, |client| client.client_id);
        let rotated_at = self.clock.now();
        let client = ApiClient { user: session.user, client_id, key_hash, rotated_at };
        self.users.save_api_client(session, &client).await?;
        Ok(ApiAccess { api_key: Some(key), ..self.api_access(session).await? })
    }

    /// The person behind a session.
    ///
    /// # Errors
    /// They are gone.
    pub async fn me(&self, session: &Session) -> AppResult<UserView> {
        self.users.get(session.user).await?.ok_or(AppError::NotFound("user"))
    }

    /// Makes a person, who is an account of their own. Administrators only.
    ///
    /// # Errors
    /// Not an administrator, a field breaks a bound, or the name is taken.
    pub async fn create_user(&self, session: &Session, new: NewUser) -> AppResult<UserView> {
        administrators_only(session)?;
        self.add_user(&session.cause().actor.to_string(), new).await
    }

    /// Makes a person, from the command line.
    ///
    /// # Errors
    /// A field breaks a bound, or the name is taken.
    pub async fn add_user(&self, actor: &str, new: NewUser) -> AppResult<UserView> {
        new.check()?;
        let hash = self.passwords.hash(new.password.clone()).await?;
        let id = UserId(self.ids.new_id());
        self.users.create(actor, id, &new, &hash, self.clock.now()).await
    }

    /// A person: oneself, or anyone for an administrator.
    ///
    /// # Errors
    /// Not there, or not for who asks.
    pub async fn user(&self, session: &Session, id: UserId) -> AppResult<UserView> {
        if session.user != id && !session.admin {
            return Err(AppError::NotFound("user"));
        }
        self.users.get(id).await?.ok_or(AppError::NotFound("user"))
    }

    /// Everybody, in the order they joined. Administrators only.
    ///
    /// # Errors
    /// Not an administrator.
    pub async fn users(&self, session: &Session, page: &PageRequest) -> AppResult<Page<UserView>> {
        administrators_only(session)?;
        self.users.list(page).await
    }

    /// Changes a person. Role and API approval are an administrator's to change.
    ///
    /// # Errors
    /// Not there, or not for who asks.
    pub async fn change_user(&self, session: &Session, id: UserId, change: UserChange) -> AppResult<UserView> {
        let user = self.user(session, id).await?;
        if !session.admin && (change.role.is_some() || change.api_access_approved.is_some()) {
            return Err(AppError::Forbidden("only an administrator changes roles and API approval".into()));
        }
        change.check()?;
        let hash = match &change.password {
            Some(password) => Some(self.passwords.hash(password.clone()).await?),
            None => None,
        };
        self.users.change(session, UserId(user.id), &change, hash.as_deref()).await
    }

    async fn issue(&self, user: UserView, kind: SessionKind, ttl: TimeDelta) -> AppResult<Issued> {
        let now = self.clock.now();
        let expires_at = now + ttl;
        let session = self.ids.new_id();
        let admin = user.role == "admin";
        self.users.open_session(session, &SessionRecord { user: UserId(user.id), admin, kind, expires_at }).await?;
        let token =
            self.tokens.sign(&ports::Claims { session, user: UserId(user.id), kind, issued_at: now, expires_at })?;
        Ok(Issued { token, expires_at, user })
    }
}

/// Refuses everyone but administrators.
///
/// # Errors
/// Not an administrator.
pub fn administrators_only(session: &Session) -> AppResult<()> {
    if session.admin { Ok(()) } else { Err(AppError::Forbidden("administrators only".into())) }
}
