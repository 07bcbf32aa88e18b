//! One check for each kind of value; its error names the variable and never repeats a secret.

use std::net::SocketAddr;
use std::str::FromStr;

use application::identity::registration::check_deliverable;
use application::identity::users::{check_password, check_username};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use sqlx::postgres::PgConnectOptions;
use tracing_subscriber::EnvFilter;

use super::secret::{Given, GivenSecret};
use super::{Roles, Secret};

/// A variable that stops the start, on one line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}")]
pub struct ConfigError {
    /// The variable; its flag has the same name.
    pub variable: String,
    /// What is wrong with it.
    pub problem: String,
}

/// A variable's name with its text.
#[derive(Clone, Copy)]
pub(super) struct Variable<'a> {
    name: &'static str,
    text: Option<&'a str>,
}

impl<'a> Variable<'a> {
    pub(super) fn new(name: &'static str, text: Option<&'a str>) -> Self {
        Self { name, text: text.map(str::trim).filter(|it| !it.is_empty()) }
    }

    pub(super) fn text(self) -> Option<&'a str> {
        self.text
    }

    fn refuse(self, problem: impl Into<String>) -> ConfigError {
        ConfigError { variable: self.name.to_owned(), problem: problem.into() }
    }
}

pub(super) fn address(variable: Variable<'_>, usual: &str) -> Result<SocketAddr, ConfigError> {
    let text = variable.text.unwrap_or(usual);
    text.parse().map_err(|_| variable.refuse(format!("is no address with a port, as 127.0.0.1:8080: {text:?}")))
}

pub(super) fn switch(variable: Variable<'_>) -> Result<bool, ConfigError> {
    match variable.text {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(text) => Err(variable.refuse(format!("is neither 0 nor 1: {text:?}"))),
    }
}

pub(super) fn username(variable: Variable<'_>) -> Result<String, ConfigError> {
    let text = variable.text.unwrap_or("admin");
    check_username(text).map_err(|error| variable.refuse(format!("is none: {error}")))?;
    Ok(text.to_owned())
}

/// Taken as it is: blanks around it belong to it.
pub(super) fn password(option: &Option<Secret<String>>) -> Result<Option<Secret<String>>, ConfigError> {
    let given = option.given();
    let refuse = |error| option.variable("FLOWBOT_ADMIN_PASSWORD").refuse(format!("is none: {error}"));
    given.as_ref().map_or(Ok(()), |it| check_password(it.expose())).map_err(refuse)?;
    Ok(given)
}

pub(super) fn key(variable: Variable<'_>) -> Result<Option<Secret<[u8; 32]>>, ConfigError> {
    let Some(text) = variable.text else { return Ok(None) };
    let bytes = STANDARD.decode(text).map_err(|_| variable.refuse("is not base64"))?;
    let length = bytes.len();
    let key: [u8; 32] = bytes.try_into().map_err(|_| variable.refuse(format!("has {length} bytes instead of 32")))?;
    Ok(Some(Secret::from(key)))
}

pub(super) fn http_url(variable: Variable<'_>) -> Result<Option<String>, ConfigError> {
    let Some(text) = variable.text else { return Ok(None) };
    let url = Url::parse(text).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    match url {
        Some(url) if url.query().is_none() && url.fragment().is_none() && url.password().is_none() => {
            Ok(Some(text.trim_end_matches('/').to_owned()))
        }
        Some(_) => Err(variable.refuse("carries more than a base address: leave out password, ? and #")),
        None => Err(variable.refuse(format!("is no http(s) address: {text:?}"))),
    }
}

/// The address may hold a password, so it is not repeated.
pub(super) fn database_url(variable: Variable<'_>) -> Result<Option<Secret<String>>, ConfigError> {
    let Some(text) = variable.text else { return Ok(None) };
    let of_postgres = ["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme));
    if of_postgres && PgConnectOptions::from_str(text).is_ok() {
        return Ok(Some(Secret::from(text.to_owned())));
    }
    Err(variable.refuse("is no postgres:// address"))
}

/// The address may hold a password, so it is not repeated.
pub(super) fn smtp_url(variable: Variable<'_>) -> Result<Option<Secret<String>>, ConfigError> {
    let Some(text) = variable.text else { return Ok(None) };
    let url = Url::parse(text).ok().filter(|url| ["smtp", "smtps"].contains(&url.scheme()) && url.has_host());
    let Some(url) = url else { return Err(variable.refuse("is no smtp:// or smtps:// address")) };
    let plain = matches!(url.path(), "" | "/") && url.fragment().is_none();
    if plain && matches!(url.query(), None | Some("tls=none")) {
        return Ok(Some(Secret::from(text.to_owned())));
    }
    Err(variable.refuse("carries more than a server, a user and ?tls=none"))
}

/// An address alone, or a name with the address in angle brackets.
pub(super) fn mailbox(variable: Variable<'_>) -> Result<Option<String>, ConfigError> {
    let Some(text) = variable.text else { return Ok(None) };
    let address = text.split_once('<').map_or(Some(text), |(_, rest)| rest.strip_suffix('>'));
    if !text.contains(char::is_control) && address.is_some_and(|it| check_deliverable(it).is_ok()) {
        return Ok(Some(text.to_owned()));
    }
    Err(variable.refuse(format!("is no mailbox, as FlowBot <no-reply@example.com>: {text:?}")))
}

/// Names at Meta are lower-case letters, digits and underscores.
pub(super) fn template(variable: Variable<'_>, usual: &str) -> Result<String, ConfigError> {
    let text = variable.text.unwrap_or(usual);
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if text.len() <= 512 && text.bytes().all(good) {
        return Ok(text.to_owned());
    }
    Err(variable.refuse(format!("is no name of a template, as flowbot_auth_code: {text:?}")))
}

/// `he`, or with a country, `en_US`.
pub(super) fn template_language(variable: Variable<'_>, usual: &str) -> Result<String, ConfigError> {
    let text = variable.text.unwrap_or(usual);
    let word = |it: &str| (2..=4).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_alphabetic());
    if text.split('_').count() <= 2 && text.split('_').all(word) {
        return Ok(text.to_owned());
    }
    Err(variable.refuse(format!("is no language of a template, as en_US: {text:?}")))
}

pub(super) fn roles(variable: Variable<'_>) -> Result<Roles, ConfigError> {
    let Some(text) = variable.text else { return Ok(Roles::ALL) };
    let mut roles = Roles { api: false, worker: false, projector: false };
    for word in text.split(',').map(str::trim) {
        match word {
            "api" => roles.api = true,
            "worker" => roles.worker = true,
            "projector" => roles.projector = true,
            _ => {
                return Err(variable.refuse(format!("has the unknown role {word:?}; there are api, worker, projector")));
            }
        }
    }
    Ok(roles)
}

pub(super) fn graph_version(variable: Variable<'_>) -> Result<String, ConfigError> {
    let text = variable.text.unwrap_or("v23.0");
    let numbers = text.strip_prefix('v').and_then(|it| it.split_once('.'));
    let is_number = |it: &str| it.parse::<u16>().is_ok();
    if numbers.is_some_and(|(major, minor)| is_number(major) && is_number(minor)) {
        return Ok(text.to_owned());
    }
    Err(variable.refuse(format!("is no version, as v23.0: {text:?}")))
}

pub(super) fn log_filter(variable: Variable<'_>) -> Result<String, ConfigError> {
    let text = variable.text.unwrap_or("info");
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(variable.refuse(format!("is no log filter ({error}): {text:?}"))),
    }
}
