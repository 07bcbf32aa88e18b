//! A mail server for the sandbox: takes mail by SMTP on loopback, delivers none of it, and shows it.
//!
//! The part of a recipient's address before the `@` chooses what goes wrong: `+550` at its end is refused for good,
//! `+451` for now. Everything is kept in memory.

mod smtp;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::Utc;
use mail_parser::MessageParser;
use poem::web::{Data, Json, Query};
use poem::{Endpoint, EndpointExt, get, handler};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Mails kept; the oldest goes.
const KEPT_MAX: usize = 1_000;

/// A mail that came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Received {
    /// Who sent it, by the envelope.
    pub from: String,
    /// For whom, by the envelope.
    pub to: Vec<String>,
    /// Its `Message-ID`.
    pub id: String,
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// When it came in.
    pub at: String,
}

/// What came in.
#[derive(Default)]
struct Mailbox(Mutex<VecDeque<Received>>);

impl Mailbox {
    fn mails(&self) -> MutexGuard<'_, VecDeque<Received>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a mail; false when it is none.
    fn take(&self, from: String, to: Vec<String>, bytes: &[u8]) -> bool {
        let Some(message) = MessageParser::default().parse(bytes) else { return false };
        let received = Received {
            from,
            to,
            id: message.message_id().unwrap_or_default().to_owned(),
            subject: message.subject().unwrap_or_default().to_owned(),
            text: message.body_text(0).unwrap_or_default().into_owned(),
            at: Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        };
        let mut mails = self.mails();
        if mails.len() == KEPT_MAX {
            mails.pop_front();
        }
        mails.push_back(received);
        true
    }
}

/// A running mail server; it ends with this.
pub struct MailSandbox {
    /// Where it listens.
    pub address: SocketAddr,
    mailbox: Arc<Mailbox>,
    server: JoinHandle<()>,
}

impl MailSandbox {
    /// Listens on this address; port 0 is any.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn start(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let mailbox = Arc::<Mailbox>::default();
        let server = tokio::spawn(smtp::serve(listener, Arc::clone(&mailbox)));
        Ok(Self { address, mailbox, server })
    }

    /// Mails to this address, or all, the newest last.
    pub fn mails(&self, to: Option<&str>) -> Vec<Received> {
        shown(&self.mailbox, to)
    }

    /// `GET mailbox?to=`. The server runs as long as this does.
    pub fn endpoint(self) -> impl Endpoint {
        get(show_mails).data(Arc::new(self))
    }
}

impl Drop for MailSandbox {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn shown(mailbox: &Mailbox, to: Option<&str>) -> Vec<Received> {
    let wanted = |mail: &&Received| to.is_none_or(|to| mail.to.iter().any(|it| it.eq_ignore_ascii_case(to)));
    mailbox.mails().iter().filter(wanted).cloned().collect()
}

#[derive(Deserialize)]
struct For {
    to: Option<String>,
}

#[handler]
fn show_mails(Query(For { to }): Query<For>, Data(sandbox): Data<&Arc<MailSandbox>>) -> Json<Value> {
    Json(serde_json::json!(sandbox.mails(to.as_deref())))
}

#[cfg(test)]
mod tests;
