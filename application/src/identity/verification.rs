//! Proof that a person can be reached: six digits by e-mail or WhatsApp, good for ten minutes, five tries and one use.
//!
//! Invariant: whoever is not signed in is answered the same whether anybody has the address or not.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use domain::access::Role;
use domain::shared::ids::{TenantId, UserId};
use domain::shared::phone::Phone;
use domain::shared::preferences::Language;
use serde::{Deserialize, Serialize};

use crate::actor::Session;
use crate::error::{AppError, AppResult, not_an_email};
use crate::identity::ports::Passwords;
use crate::identity::registration::{NewAccount, check_deliverable};
use crate::identity::users::UserView;
use crate::time::{Clock, NewId};

/// How long a code is good for.
pub const CODE_TTL: TimeDelta = TimeDelta::minutes(10);
/// Tries a code survives.
pub const CODE_ATTEMPTS_MAX: i16 = 5;
/// Seconds between two codes for one address.
pub const RESEND_AFTER_SEC: u32 = 60;
/// Codes for one address in an hour.
pub const CODES_AN_HOUR_MAX: u32 = 5;

/// Where a person is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "channel", content = "to", rename_all = "snake_case")]
pub enum Reach {
    /// By e-mail, in lower case.
    Email(String),
    /// By WhatsApp.
    Phone(Phone),
}

impl Reach {
    /// An e-mail address as codes know it.
    ///
    /// # Errors
    /// No mail can be sent there.
    pub fn email(address: &str) -> AppResult<Self> {
        let address = address.trim();
        check_deliverable(address).map_err(|_| AppError::field("address", not_an_email(address)))?;
        Ok(Self::Email(address.to_lowercase()))
    }

    /// The word for the channel.
    pub const fn channel(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::Phone(_) => "phone",
        }
    }

    /// The address or the number.
    pub fn address(&self) -> &str {
        match self {
            Self::Email(address) => address,
            Self::Phone(phone) => phone.as_str(),
        }
    }
}

/// A code nobody has seen, for an address.
#[derive(Clone, PartialEq, Eq)]
pub struct NewCode {
    /// Where it goes.
    pub reach: Reach,
    /// Six digits; only ever in a sealed letter.
    pub code: String,
    /// What is kept of it.
    pub hash: String,
    /// The language of a letter to whoever chose none.
    pub language: Language,
    /// Since when.
    pub at: DateTime<Utc>,
    /// Until when.
    pub expires_at: DateTime<Utc>,
}

/// Draws and hashes codes.
pub trait Codes: Send + Sync {
    /// Six digits nobody can guess.
    ///
    /// # Errors
    /// The system has no randomness to give.
    fn draw(&self) -> AppResult<String>;
    /// The keyed hash of a code for an address.
    fn hash(&self, reach: &Reach, code: &str) -> String;
}

/// Codes and what they prove; every change with an audit entry, every letter queued in the same transaction.
#[async_trait]
pub trait Verifications: Send + Sync {
    /// Makes an account that has to verify its e-mail, and queues a letter with the code; a notice instead when
    /// somebody verified the address before. A taken name is a conflict.
    async fn register(
        &self,
        id: UserId,
        account: &NewAccount,
        password_hash: &str,
        code: &NewCode,
    ) -> AppResult<UserView>;
    /// Queues a letter with the code to whoever may prove the address: the person who asks, else whoever gave it.
    /// Nobody gets none; both count as asked for.
    async fn send(&self, asker: Option<UserId>, code: &NewCode) -> AppResult<()>;
    /// Counts a try, and takes the address for proven when the hash is the one of a living code.
    async fn attempt(&self, asker: Option<UserId>, reach: &Reach, hash: &str, at: DateTime<Utc>) -> AppResult<bool>;
    /// The lines a code to somebody of this account may go out on, the best first: the account's own, the primary
    /// one before others, then the first administrator's.
    async fn lines(&self, tenant: TenantId) -> AppResult<Vec<String>>;
}

/// Registers people and verifies how they can be reached.
pub struct Verification {
    /// Accounts and codes.
    pub store: Arc<dyn Verifications>,
    /// Draws codes.
    pub codes: Arc<dyn Codes>,
    /// Password hashes.
    pub passwords: Arc<dyn Passwords>,
    /// Whether mail can be sent.
    pub mails: bool,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
}

impl Verification {
    /// Makes an account for whoever comes. It may do nothing before its e-mail is verified.
    ///
    /// # Errors
    /// A field breaks a bound, the name is taken, the address was asked for a moment ago, or no mail can be sent.
    pub async fn register(&self, account: NewAccount, language: Language) -> AppResult<UserView> {
        self.can_mail()?;
        account.check()?;
        let reach = Reach::email(&account.user.email)?;
        let hash = self.passwords.hash(account.user.password.clone()).await?;
        let code = self.new_code(reach, account.language.unwrap_or(language))?;
        self.store.register(UserId(self.ids.new_id()), &account, &hash, &code).await
    }

    /// Sends a code. Somebody who is signed in may name a phone that is new to them; else it goes to whoever gave
    /// the address, if anybody did.
    ///
    /// # Errors
    /// The address was asked for a moment ago, or nothing can be sent on the channel.
    pub async fn send(&self, asker: Option<&Session>, reach: Reach, language: Language) -> AppResult<()> {
        let asker = asker.filter(|session| session.access.role != Role::Client);
        match (&reach, asker) {
            (Reach::Email(_), _) => self.can_mail()?,
            (Reach::Phone(_), Some(session)) if !session.access.verified => return Err(AppError::Unverified),
            (Reach::Phone(_), Some(session)) if self.store.lines(session.tenant).await?.is_empty() => {
                return Err(AppError::NotConfigured {
                    code: "phone_not_configured",
                    message: "no WhatsApp line can send codes: save one first".to_owned(),
                });
            }
            (Reach::Phone(_), _) => {}
        }
        let code = self.new_code(reach, language)?;
        self.store.send(asker.map(|session| session.user), &code).await
    }

    /// Takes a code for an address.
    ///
    /// # Errors
    /// It is wrong, too old, used or tried too often: all the same.
    pub async fn verify(&self, asker: Option<&Session>, reach: &Reach, code: &str) -> AppResult<()> {
        let asker = asker.filter(|session| session.access.role != Role::Client).map(|session| session.user);
        let hash = self.codes.hash(reach, code.trim());
        if self.store.attempt(asker, reach, &hash, self.clock.now()).await? {
            Ok(())
        } else {
            Err(AppError::CodeInvalid)
        }
    }

    fn new_code(&self, reach: Reach, language: Language) -> AppResult<NewCode> {
        let (code, at) = (self.codes.draw()?, self.clock.now());
        let hash = self.codes.hash(&reach, &code);
        Ok(NewCode { reach, code, hash, language, at, expires_at: at + CODE_TTL })
    }

    fn can_mail(&self) -> AppResult<()> {
        if self.mails {
            return Ok(());
        }
        let message = "this installation sends no mail: its operator has to set SMTP_URL".to_owned();
        Err(AppError::NotConfigured { code: "email_not_configured", message })
    }
}
