//! Letters to people: the code they asked for, by e-mail or WhatsApp, or a notice that their address was named.

mod words;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::shared::channel::Address;
use domain::shared::content::{OutboundContent, TemplateContent};
use domain::shared::ids::TenantId;
use domain::shared::phone::Phone;
use domain::shared::preferences::Language;
use domain::shared::provider_error::ErrorClass;
use serde::{Deserialize, Serialize};

use crate::channels::lines::LineStore;
use crate::channels::{Channel, SendError};
use crate::error::{AppError, AppResult};
use crate::identity::verification::{Reach, Verifications};
use crate::time::Clock;

/// What goes along with a code by WhatsApp, and comes back in its statuses: they belong to no conversation.
pub const CORRELATION: &str = "verification";

/// A letter. Sealed from when it is queued until it is sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// To where.
    pub to: Reach,
    /// In which language.
    pub language: Language,
    /// The account it is about.
    pub tenant: TenantId,
    /// What it says.
    pub says: Says,
    /// When it is not worth sending any more.
    pub expires_at: DateTime<Utc>,
}

/// What a letter says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// A code, for the account of this name.
    Code {
        /// The code.
        code: String,
        /// The account's name; a stranger may have chosen it, so no more than its beginning is written.
        username: String,
    },
    /// Somebody named this address, which is verified: for the account of this name.
    AlreadyYours {
        /// The account's name.
        username: String,
    },
}

/// An e-mail, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// The recipient's address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The same at every try, so that who gets it twice sees it once.
    pub id: String,
    /// When it was written.
    pub at: DateTime<Utc>,
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The server will never take it.
    #[error("the mail was refused: {0}")]
    Refused(String),
    /// It may at another time.
    #[error("the mail could not be sent: {0}")]
    Failed(String),
}

/// Sends e-mail.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a mail to the server.
    ///
    /// # Errors
    /// For good, or for now.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}

/// The authentication template codes go out in: a body and a copy-code button, each with the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthTemplate {
    /// Its name at Meta.
    pub name: String,
    /// Its language there.
    pub language: String,
}

/// Delivers letters.
pub struct Post {
    /// E-mail, where it is set up.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// WhatsApp.
    pub channel: Arc<dyn Channel>,
    /// The lines' secrets.
    pub lines: Arc<dyn LineStore>,
    /// Which lines.
    pub verifications: Arc<dyn Verifications>,
    /// The template of codes.
    pub template: AuthTemplate,
    /// Now.
    pub clock: Arc<dyn Clock>,
}

impl Post {
    /// Delivers a letter; `id` is the same at every try. One that is too old goes nowhere.
    ///
    /// # Errors
    /// It was refused, or could not be sent for now (internal).
    pub async fn deliver(&self, letter: &Letter, id: &str) -> AppResult<()> {
        let now = self.clock.now();
        if letter.expires_at <= now {
            tracing::warn!(id, "A letter was not delivered in time");
            return Ok(());
        }
        match &letter.to {
            Reach::Email(address) => {
                let mailer = self.mailer.as_ref().ok_or_else(|| AppError::internal("SMTP_URL is not set"))?;
                let (subject, text) = words::of(letter.language, &letter.says);
                let mail = Mail { to: address.clone(), subject, text, id: id.to_owned(), at: now };
                mailer.send(&mail).await.map_err(|error| match error {
                    MailError::Refused(_) => AppError::invalid(error.to_string()),
                    MailError::Failed(_) => AppError::internal(error),
                })
            }
            Reach::Phone(phone) => self.whatsapp(letter, phone).await,
        }
    }

    /// On the best line that works: one that is stopped, or whose business account has no such template, is passed by.
    async fn whatsapp(&self, letter: &Letter, phone: &Phone) -> AppResult<()> {
        let Says::Code { code, .. } = &letter.says else { return Ok(()) };
        let content = OutboundContent::Template(TemplateContent {
            name: self.template.name.clone(),
            language: self.template.language.clone(),
            params: vec![code.clone()],
            header_param: None,
            button_params: vec![code.clone()],
            group_id: None,
            template_id: None,
        });
        let to = Address { phone: Some(phone.clone()), user_id: None };
        let mut last = AppError::internal("no line can send codes");
        for id in self.verifications.lines(letter.tenant).await? {
            let Some(line) = self.lines.open(&id).await? else { continue };
            last = match self.channel.send(&line, &to, &content, CORRELATION).await {
                Ok(_) => return Ok(()),
                Err(SendError::Refused { error, .. }) => {
                    let words = format!("line {id}: {} ({})", error.title, error.code);
                    match error.class {
                        ErrorClass::Sender | ErrorClass::Template => AppError::invalid(words),
                        ErrorClass::Transient => return Err(AppError::internal(words)),
                        ErrorClass::Recipient | ErrorClass::RecipientConditional | ErrorClass::Request => {
                            return Err(AppError::invalid(words));
                        }
                    }
                }
                // Twice the same code does no harm.
                Err(SendError::NotSent(why) | SendError::InDoubt(why)) => return Err(AppError::internal(why)),
            };
        }
        Err(last)
    }
}
