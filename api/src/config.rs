//! What the operator decides: flags and environment variables, read here and nowhere else.

mod cli;
mod parse;
mod secret;

use std::net::SocketAddr;
use std::path::PathBuf;

use application::identity::registration::check_deliverable;
use clap::CommandFactory;

pub use cli::{
    AdoptOptions, AuditCommand, Cli, Command, HistoryArgs, NewUser, Options, StoreCommand, UserCommand, UserRole,
    Verify,
};
pub use parse::ConfigError;
pub use secret::Secret;

use parse::Variable;
use secret::{Given, GivenSecret};

/// What the built-in provider of the sandbox signs its webhooks with.
pub const SANDBOX_APP_SECRET: &str = "sandbox-app-secret";
/// What it shows in the handshake of the webhook.
pub const SANDBOX_VERIFY_TOKEN: &str = "sandbox-verify-token";
/// Our app there.
pub const SANDBOX_APP_ID: &str = "100000000000000";
/// Our client at the Google of the sandbox.
pub const SANDBOX_GOOGLE_CLIENT_ID: &str = "sandbox.apps.googleusercontent.com";

/// Which parts of FlowBot a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Roles {
    /// Answers HTTP.
    pub api: bool,
    /// Works off jobs and sends messages.
    pub worker: bool,
    /// Keeps the read models up to date.
    pub projector: bool,
}

impl Roles {
    /// Everything, the default.
    pub const ALL: Self = Self { api: true, worker: true, projector: true };
}

/// The Graph API and our app there.
#[derive(Debug, Clone)]
pub struct MetaConfig {
    /// The base address, without a slash at its end.
    pub graph_url: String,
    /// The version in its paths, as `v23.0`.
    pub graph_version: String,
    /// The app's id.
    pub app_id: Option<String>,
    /// The secret webhooks are signed with; without it none is taken.
    pub app_secret: Option<Secret<String>>,
    /// What the webhook's handshake has to show.
    pub verify_token: Option<Secret<String>>,
}

/// Those who vouch for people. Facebook knows us as the app at Meta.
#[derive(Debug, Clone)]
pub struct SocialConfig {
    /// Where Google's keys are, without a slash at its end.
    pub google_url: String,
    /// Our client at Google; without it nobody signs in with Google.
    pub google_client_id: Option<String>,
    /// Where Facebook's keys are, without a slash at its end.
    pub facebook_url: String,
}

/// E-mail and codes: what people are verified with.
#[derive(Debug, Clone)]
pub struct VerificationConfig {
    /// The mail server; none means that no mail is sent, or the sandbox's own server.
    pub smtp_url: Option<Secret<String>>,
    /// Whom mail is from.
    pub smtp_from: String,
    /// The WhatsApp authentication template codes go out in.
    pub template: String,
    /// Its language at Meta.
    pub template_language: String,
}

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to serve.
    pub listen: SocketAddr,
    /// The Postgres to use; none means a private cluster in `data_dir`.
    pub database_url: Option<Secret<String>>,
    /// Private cluster, generated keys, local uploads.
    pub data_dir: PathBuf,
    /// What the outside calls us, without a slash at its end.
    pub public_url: String,
    /// The master key; none means the one kept in `data_dir`.
    pub secret_key: Option<Secret<[u8; 32]>>,
    /// The master key before a rotation: what is sealed under it is sealed again.
    pub former_secret_key: Option<Secret<[u8; 32]>>,
    /// The name of the first administrator.
    pub admin_username: String,
    /// Their password; none means one that is generated and printed once.
    pub admin_password: Option<Secret<String>>,
    /// What this process runs.
    pub roles: Roles,
    /// What `/api/debug/*` asks for; without it that answers 404.
    pub debug_key: Option<Secret<String>>,
    /// Whether every provider is the built-in sandbox.
    pub sandbox: bool,
    /// Whether our own proxy writes the client's address into `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// Whether no operation has a limit.
    pub lift_limits: bool,
    /// Meta.
    pub meta: MetaConfig,
    /// Those who vouch for people.
    pub social: SocialConfig,
    /// E-mail and codes.
    pub verification: VerificationConfig,
    /// What to log, in the language of `RUST_LOG`.
    pub log: String,
    /// Where traces go; none means nowhere.
    pub otlp_endpoint: Option<String>,
}

impl Config {
    /// Checks what flags and environment say.
    ///
    /// # Errors
    /// One line that names the first unknown or malformed variable, and never shows a secret.
    pub fn from(cli: &Cli) -> Result<Self, ConfigError> {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        Self::try_new(&cli.options, names)
    }

    /// As [`Config::from`], with the names of the environment's variables given.
    ///
    /// # Errors
    /// As [`Config::from`].
    pub fn try_new(options: &Options, environment: impl IntoIterator<Item = String>) -> Result<Self, ConfigError> {
        refuse_unknown(environment)?;
        let listen = parse::address(options.listen.variable("FLOWBOT_LISTEN"), "127.0.0.1:8080")?;
        let here = format!("http://{listen}");
        let sandbox = parse::switch(options.sandbox.variable("FLOWBOT_SANDBOX"))?;
        let public_url = parse::http_url(options.public_url.variable("FLOWBOT_PUBLIC_URL"))?;
        let verification = verification(options, public_url.as_deref().unwrap_or(&here))?;
        Ok(Self {
            database_url: parse::database_url(options.database_url.variable("DATABASE_URL"))?,
            data_dir: options.data_dir.variable("FLOWBOT_DATA_DIR").text().unwrap_or("./.flowbot").into(),
            public_url: public_url.unwrap_or_else(|| here.clone()),
            secret_key: parse::key(options.secret_key.variable("FLOWBOT_SECRET_KEY"))?,
            former_secret_key: parse::key(options.former_secret_key.variable("FLOWBOT_FORMER_SECRET_KEY"))?,
            admin_username: parse::username(options.admin_username.variable("FLOWBOT_ADMIN_USERNAME"))?,
            admin_password: parse::password(&options.admin_password)?,
            roles: parse::roles(options.roles.variable("FLOWBOT_ROLES"))?,
            debug_key: options.debug_key.given(),
            behind_proxy: parse::switch(options.behind_proxy.variable("FLOWBOT_BEHIND_PROXY"))?,
            lift_limits: parse::switch(options.lift_limits.variable("FLOWBOT_LIFT_LIMITS"))?,
            meta: meta(options, sandbox, &here)?,
            social: social(options, sandbox, &here)?,
            verification,
            log: parse::log_filter(options.rust_log.variable("RUST_LOG"))?,
            otlp_endpoint: parse::http_url(options.otlp_endpoint.variable("OTEL_EXPORTER_OTLP_ENDPOINT"))?,
            listen,
            sandbox,
        })
    }
}

/// In the sandbox Meta is played by this very process, so everything about it has a default.
fn meta(options: &Options, sandbox: bool, here: &str) -> Result<MetaConfig, ConfigError> {
    let graph_url = parse::http_url(options.meta_graph_url.variable("META_GRAPH_URL"))?;
    let usual = if sandbox { format!("{here}/sandbox/graph") } else { "https://graph.facebook.com".to_owned() };
    let played = |secret: &str| sandbox.then(|| Secret::from(secret.to_owned()));
    Ok(MetaConfig {
        graph_url: graph_url.unwrap_or(usual),
        graph_version: parse::graph_version(options.meta_graph_version.variable("META_GRAPH_VERSION"))?,
        app_id: options
            .meta_app_id
            .variable("META_APP_ID")
            .text()
            .or(sandbox.then_some(SANDBOX_APP_ID))
            .map(str::to_owned),
        app_secret: options.meta_app_secret.given().or_else(|| played(SANDBOX_APP_SECRET)),
        verify_token: options.meta_verify_token.given().or_else(|| played(SANDBOX_VERIFY_TOKEN)),
    })
}

/// In the sandbox Google and Facebook are played by this very process.
fn social(options: &Options, sandbox: bool, here: &str) -> Result<SocialConfig, ConfigError> {
    let google_url = parse::http_url(options.google_url.variable("GOOGLE_URL"))?;
    let facebook_url = parse::http_url(options.facebook_url.variable("FACEBOOK_URL"))?;
    let usual = |real: &str, name| if sandbox { format!("{here}/sandbox/{name}") } else { real.to_owned() };
    let client_id = options.google_client_id.variable("GOOGLE_CLIENT_ID").text();
    Ok(SocialConfig {
        google_url: google_url.unwrap_or_else(|| usual("https://www.googleapis.com", "google")),
        google_client_id: client_id.or(sandbox.then_some(SANDBOX_GOOGLE_CLIENT_ID)).map(str::to_owned),
        facebook_url: facebook_url.unwrap_or_else(|| usual("https://limited.facebook.com", "facebook")),
    })
}

/// Mail is from the host the outside calls us by, unless somebody else is named.
fn verification(options: &Options, public_url: &str) -> Result<VerificationConfig, ConfigError> {
    let host = public_url.split("://").nth(1).and_then(|rest| rest.split(['/', ':']).next()).unwrap_or_default();
    let from = format!("no-reply@{host}");
    let is_name = host.contains(|letter: char| letter.is_alphabetic()) && check_deliverable(&from).is_ok();
    let from = if is_name { from } else { "no-reply@localhost.localdomain".to_owned() };
    let named = parse::mailbox(options.smtp_from.variable("SMTP_FROM"))?;
    Ok(VerificationConfig {
        smtp_url: parse::smtp_url(options.smtp_url.variable("SMTP_URL"))?,
        smtp_from: named.unwrap_or_else(|| format!("FlowBot <{from}>")),
        template: parse::template(options.auth_template.variable("FLOWBOT_AUTH_TEMPLATE"), "flowbot_auth_code")?,
        template_language: parse::template_language(
            options.auth_template_language.variable("FLOWBOT_AUTH_TEMPLATE_LANGUAGE"),
            "en",
        )?,
    })
}

/// A misspelt variable would be ignored in silence; ours all begin with `FLOWBOT_`.
fn refuse_unknown(environment: impl IntoIterator<Item = String>) -> Result<(), ConfigError> {
    let command = Cli::command();
    let known: Vec<_> = command.get_arguments().filter_map(|it| it.get_env()?.to_str()).collect();
    let unknown = |name: &String| name.starts_with("FLOWBOT_") && !known.contains(&name.as_str());
    match environment.into_iter().find(unknown) {
        Some(name) => Err(ConfigError { variable: name, problem: "is no variable of FlowBot's".to_owned() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
