//! What people read in their mailbox and on their phone: the sandbox keeps both.

use reqwest::Method;
use serde_json::{Value, json};

use crate::app::{Answer, TestApp, eventually};

impl TestApp {
    /// Mails to this address, the newest last.
    pub async fn mails(&self, to: &str) -> Vec<Value> {
        let path = format!("/sandbox/mailbox?to={}", to.replace('+', "%2B"));
        let shown = self.call(Method::GET, &path, None, &[]).await.ok();
        shown.as_array().cloned().unwrap_or_default()
    }

    /// Waits until this many mails came to an address; the last one.
    pub async fn mail(&self, to: &str, many: usize) -> Value {
        eventually(&format!("{many} mails to {to}"), async || {
            let mails = self.mails(to).await;
            (mails.len() >= many).then(|| mails.last().cloned().unwrap_or_default())
        })
        .await
    }

    /// Waits for that many mails to an address; the code in the last one.
    pub async fn code_mailed(&self, to: &str, many: usize) -> String {
        let mail = self.mail(to, many).await;
        code_in(mail["text"].as_str().unwrap_or_default()).expect("six digits")
    }

    /// Registers an account, without waiting for its mail.
    pub async fn registers(&self, username: &str, email: &str) -> Answer {
        let body = json!({ "username": username, "password": "correct horse", "email": email });
        self.call(Method::POST, "/api/auth/register", Some(&body), &[]).await
    }

    /// Shows a code, without a session.
    pub async fn verifies(&self, channel: &str, address: &str, code: &str) -> Answer {
        let body = json!({ "channel": channel, "address": address, "code": code });
        self.call(Method::POST, "/api/auth/verify-code", Some(&body), &[]).await
    }

    /// Asks for a code, without a session.
    pub async fn asks(&self, channel: &str, address: &str) -> Answer {
        let body = json!({ "channel": channel, "address": address });
        self.call(Method::POST, "/api/auth/send-verification", Some(&body), &[]).await
    }
}

/// The first six digits that stand together.
pub fn code_in(text: &str) -> Option<String> {
    let words = text.split(|letter: char| !letter.is_ascii_digit());
    words.filter(|word| word.len() == 6).map(str::to_owned).next()
}
