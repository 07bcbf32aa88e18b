//! E-mail by SMTP. Passwords and codes never cross a network in clear: without TLS it goes to this machine alone,
//! unless the operator says otherwise.

use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use application::identity::letters::{Mail, MailError, Mailer};
use async_trait::async_trait;
use lettre::message::{Mailbox, header};
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::Url;

/// How long a server may take for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// How long a whole mail may take: less than a job is held for.
const MAIL_MAX: Duration = Duration::from_secs(40);

/// [`Mailer`] over one SMTP server.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl SmtpMailer {
    /// `smtps://user:password@host:465` speaks TLS at once; `smtp://host:587` begins with STARTTLS, and in clear only
    /// on this machine or with `?tls=none`.
    ///
    /// # Errors
    /// The address is none, or `from` is no mailbox such as `FlowBot <no-reply@example.com>`.
    pub fn new(url: &str, from: &str) -> anyhow::Result<Self> {
        let url = Url::parse(url).context("SMTP_URL is no address")?;
        let host = url.host_str().context("SMTP_URL names no server")?.trim_matches(['[', ']']).to_owned();
        let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback());
        let in_clear = url.query_pairs().any(|(name, value)| name == "tls" && value == "none");
        let secured = || TlsParameters::new(host.clone()).context("SMTP_URL names a server TLS cannot speak to");
        let (tls, port) = match url.scheme() {
            "smtps" => (Tls::Wrapper(secured()?), 465),
            "smtp" if is_here || in_clear => (Tls::None, 25),
            "smtp" => (Tls::Required(secured()?), 587),
            _ => bail!("SMTP_URL is neither smtp:// nor smtps://"),
        };
        // The library reads user and password; what it makes of the rest is overruled.
        let mut bare = url.clone();
        bare.set_query(None);
        let builder =
            AsyncSmtpTransport::<Tokio1Executor>::from_url(bare.as_str()).context("SMTP_URL cannot be read")?;
        let builder = builder.port(url.port().unwrap_or(port)).tls(tls).timeout(Some(ANSWER_MAX));
        let from = from.parse::<Mailbox>().context("SMTP_FROM is no mailbox, as FlowBot <no-reply@example.com>")?;
        Ok(Self { transport: builder.build(), from })
    }

    fn message(&self, mail: &Mail) -> Result<Message, MailError> {
        let refused = |error: &dyn std::fmt::Display| MailError::Refused(error.to_string());
        let to = mail.to.parse::<Address>().map_err(|error| refused(&error))?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(&mail.subject)
            .date(SystemTime::from(mail.at))
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            // Out-of-office answers to a code help nobody (RFC 3834).
            .raw_header(header::HeaderValue::new(
                header::HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(header::ContentType::TEXT_PLAIN)
            .body(mail.text.clone())
            .map_err(|error| refused(&error))
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let message = self.message(mail)?;
        match tokio::time::timeout(MAIL_MAX, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.is_permanent() => Err(MailError::Refused(error.to_string())),
            Ok(Err(error)) => Err(MailError::Failed(error.to_string())),
            Err(_) => Err(MailError::Failed(format!("no end within {} s", MAIL_MAX.as_secs()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: &str = "FlowBot <no-reply@example.com>";

    #[test]
    fn addresses_of_servers() {
        for good in [
            "smtps://user:p%40ss@mail.example.com",
            "smtp://mail.example.com:2525",
            "smtp://127.0.0.1:1025",
            "smtp://relay?tls=none",
        ] {
            SmtpMailer::new(good, FROM).unwrap_or_else(|error| panic!("{good}: {error:#}"));
        }
        for bad in ["mail.example.com", "http://mail.example.com", "smtp:", ""] {
            assert!(SmtpMailer::new(bad, FROM).is_err(), "{bad}");
        }
        assert!(SmtpMailer::new("smtp://localhost", "nobody").is_err());
    }

    #[test]
    fn a_mail_is_the_same_at_every_try() {
        let mailer = SmtpMailer::new("smtp://localhost", FROM).unwrap();
        let mail = Mail {
            to: "dana@example.com".into(),
            subject: "הקוד".into(),
            text: "012345\n".into(),
            id: "letter-7".into(),
            at: chrono::DateTime::UNIX_EPOCH,
        };
        let (one, other) = (mailer.message(&mail).unwrap().formatted(), mailer.message(&mail).unwrap().formatted());
        assert_eq!(one, other);
        let text = String::from_utf8(one).unwrap();
        assert!(text.contains("Message-ID: <letter-7@example.com>") && text.contains("Auto-Submitted: auto-generated"));
        let unsendable = Mail { to: "dana@".into(), ..mail };
        assert!(matches!(mailer.message(&unsendable), Err(MailError::Refused(_))));
    }
}
