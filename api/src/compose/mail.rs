//! Who takes our mail: the server that is configured, or in the sandbox one of our own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use application::identity::letters::Mailer;
use infrastructure::http_client;
use infrastructure::mail::SmtpMailer;
use infrastructure::sandbox::mail::MailSandbox;

use crate::config::Config;

/// The mailer, and the sandbox's mail server when it plays one.
///
/// # Errors
/// The configured server's address or the sender is malformed, or the sandbox finds no port.
pub async fn set_up(config: &Config) -> anyhow::Result<(Option<Arc<dyn Mailer>>, Option<MailSandbox>)> {
    http_client::install_crypto();
    let (url, sandbox) = match &config.verification.smtp_url {
        Some(url) => (url.expose().clone(), None),
        None if config.sandbox => {
            let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let sandbox = MailSandbox::start(anywhere).await.context("the sandbox's mail server finds no port")?;
            (format!("smtp://{}", sandbox.address), Some(sandbox))
        }
        None => return Ok((None, None)),
    };
    let mailer = SmtpMailer::new(&url, &config.verification.smtp_from)?;
    Ok((Some(Arc::new(mailer)), sandbox))
}
