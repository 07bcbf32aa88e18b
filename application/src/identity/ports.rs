//! What signing in needs from outside.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::ids::UserId;
use uuid::Uuid;

use crate::actor::Session;
use crate::error::{AppError, AppResult};
use crate::identity::UserView;
use crate::page::{Page, PageRequest};

/// What a token was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionKind {
    /// A person at a browser.
    Session,
    /// A system with API credentials.
    Api,
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The session it stands for.
    pub session: Uuid,
    /// Whose.
    pub user: UserId,
    /// Made for what.
    pub kind: SessionKind,
    /// Since when.
    pub issued_at: DateTime<Utc>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// A session that is not revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// Whose.
    pub user: UserId,
    /// Whether the person administers the installation, by now.
    pub admin: bool,
    /// Made for what.
    pub kind: SessionKind,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// API credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiClient {
    /// Whose.
    pub user: UserId,
    /// The public half.
    pub client_id: String,
    /// The key's hash.
    pub key_hash: String,
    /// When the key was made.
    pub rotated_at: DateTime<Utc>,
}

/// A person to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewUser {
    /// 3 to 100 characters, no spaces.
    pub username: String,
    /// 8 to 200 characters.
    pub password: String,
    /// E-mail address.
    pub email: String,
    /// What others see.
    pub display_name: String,
    /// Whether they administer the installation.
    pub admin: bool,
}

impl NewUser {
    /// # Errors
    /// A field breaks a bound.
    pub fn check(&self) -> AppResult<()> {
        check_username(&self.username)?;
        check_password(&self.password)?;
        check_email(&self.email)?;
        check_display_name(&self.display_name)
    }
}

/// What is changed of a person; absent parts stay as they are.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct UserChange {
    /// 8 to 200 characters; ends every session of theirs.
    pub password: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// What others see.
    pub display_name: Option<String>,
    /// An IANA name.
    pub timezone: Option<String>,
    /// `user` or `admin`.
    pub role: Option<String>,
    /// Whether API credentials may be used.
    pub api_access_approved: Option<bool>,
}

impl UserChange {
    /// # Errors
    /// A field breaks a bound.
    pub fn check(&self) -> AppResult<()> {
        self.password.as_deref().map_or(Ok(()), check_password)?;
        self.email.as_deref().map_or(Ok(()), check_email)?;
        self.display_name.as_deref().map_or(Ok(()), check_display_name)?;
        if self.role.as_deref().is_some_and(|role| !matches!(role, "user" | "admin")) {
            return Err(AppError::invalid("a role is `user` or `admin`"));
        }
        if self.timezone.as_deref().is_some_and(|zone| zone.parse::<chrono_tz::Tz>().is_err()) {
            return Err(AppError::invalid("a time zone is an IANA name such as Asia/Jerusalem"));
        }
        Ok(())
    }
}

/// Whether one may be called so.
///
/// # Errors
/// One may not.
pub fn check_username(username: &str) -> AppResult<()> {
    let good = (3..=100).contains(&username.chars().count()) && !username.contains(char::is_whitespace);
    if good { Ok(()) } else { Err(AppError::invalid("a username has 3 to 100 characters and no spaces")) }
}

/// Whether it is long enough for a password, and not too long.
///
/// # Errors
/// It is not.
pub fn check_password(password: &str) -> AppResult<()> {
    let good = (8..=200).contains(&password.chars().count());
    if good { Ok(()) } else { Err(AppError::invalid("a password has 8 to 200 characters")) }
}

fn check_email(email: &str) -> AppResult<()> {
    let good = email.len() <= 254
        && !email.contains(char::is_whitespace)
        && email.split_once('@').is_some_and(|(a, b)| !a.is_empty() && b.contains('.'));
    if good { Ok(()) } else { Err(AppError::invalid(format!("`{email}` is not an e-mail address"))) }
}

fn check_display_name(name: &str) -> AppResult<()> {
    let good = (1..=200).contains(&name.chars().count());
    if good { Ok(()) } else { Err(AppError::invalid("a display name has 1 to 200 characters")) }
}

/// People, sessions, credentials; every change with an audit entry in the same transaction.
#[async_trait]
pub trait Users: Send + Sync {
    /// The person with this name and their password's hash.
    async fn credentials(&self, username: &str) -> AppResult<Option<(UserView, String)>>;
    /// One person.
    async fn get(&self, id: UserId) -> AppResult<Option<UserView>>;
    /// Everybody, in the order they joined.
    async fn list(&self, page: &PageRequest) -> AppResult<Page<UserView>>;
    /// Makes a person. A taken name is a conflict.
    async fn create(
        &self,
        actor: &str,
        id: UserId,
        new: &NewUser,
        password_hash: &str,
        at: DateTime<Utc>,
    ) -> AppResult<UserView>;
    /// Changes a person; a new password ends their sessions.
    async fn change(
        &self,
        session: &Session,
        id: UserId,
        change: &UserChange,
        password_hash: Option<&str>,
    ) -> AppResult<UserView>;
    /// Opens a session.
    async fn open_session(&self, id: Uuid, record: &SessionRecord) -> AppResult<()>;
    /// A session that is not revoked.
    async fn session(&self, id: Uuid) -> AppResult<Option<SessionRecord>>;
    /// Ends a session.
    async fn revoke_session(&self, id: Uuid) -> AppResult<()>;
    /// Credentials by their public half.
    async fn api_client(&self, client_id: &str) -> AppResult<Option<ApiClient>>;
    /// Credentials by their owner.
    async fn api_client_of(&self, user: UserId) -> AppResult<Option<ApiClient>>;
    /// Makes or rotates credentials.
    async fn save_api_client(&self, session: &Session, client: &ApiClient) -> AppResult<()>;
}

/// Password hashing (Argon2id).
#[async_trait]
pub trait Passwords: Send + Sync {
    /// A hash to keep.
    async fn hash(&self, password: String) -> AppResult<String>;
    /// Whether the password belongs to the hash; takes as long without one.
    async fn verify(&self, hash: Option<String>, password: String) -> AppResult<bool>;
}

/// Signed tokens (JWT, HS256).
pub trait Tokens: Send + Sync {
    /// Signs.
    ///
    /// # Errors
    /// It cannot be signed.
    fn sign(&self, claims: &Claims) -> AppResult<String>;
    /// What a genuine, unexpired token says.
    fn read(&self, token: &str) -> Option<Claims>;
}

/// API keys.
pub trait ApiKeys: Send + Sync {
    /// A fresh client id, key, and the key's hash.
    ///
    /// # Errors
    /// The system gives no random bytes.
    fn make(&self) -> AppResult<(String, String, String)>;
    /// Whether the key belongs to the hash, in constant time.
    fn verify(&self, hash: Option<&str>, key: &str) -> bool;
}
