//! The command line: every command, every flag, and the variable each flag stands for.

use std::path::PathBuf;

use application::history::at::At;
use clap::{Args, Parser, Subcommand, ValueEnum};

use super::Secret;

/// FlowBot: a WhatsApp-first automation backend.
#[derive(Debug, Clone, Parser)]
#[command(name = "flowbot", version, about)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The configuration, before or after the command.
    #[command(flatten)]
    pub options: Options,
}

/// What FlowBot can do.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Apply migrations, then run everything the roles say
    Serve,
    /// Serve on a throw-away data directory in sandbox mode and play a conversation
    Demo {
        /// End once the conversation was played
        #[arg(long)]
        exit: bool,
    },
    /// Apply migrations only
    Migrate,
    /// Print the OpenAPI document; needs no database
    Openapi,
    /// List the projections with their lag
    Projections,
    /// Rebuild a projection online, or all of them, and help with it until it is live
    Rebuild {
        /// The projection's name, or `all`
        name: String,
    },
    /// Print a stream's events, or its state at a point
    History(HistoryArgs),
    /// The event store as a whole
    Store {
        /// What to do with it.
        #[command(subcommand)]
        command: StoreCommand,
    },
    /// Proof that the log is as it was
    Audit {
        /// What to do.
        #[command(subcommand)]
        command: AuditCommand,
    },
    /// People, without the API
    User {
        /// What to do with them.
        #[command(subcommand)]
        command: UserCommand,
    },
}

/// What can be done with the event store.
#[derive(Debug, Clone, Subcommand)]
pub enum StoreCommand {
    /// Accept a log that was restored from another cluster or database
    Adopt(AdoptOptions),
}

/// What becomes of the messages that wait in a restored log, and of the timers and webhooks that lead to more. One of
/// them has to be said when there are any.
#[derive(Debug, Clone, Copy, Args)]
pub struct AdoptOptions {
    /// Send what waits: this copy takes the place of the original
    #[arg(long, conflicts_with = "drop_outbox")]
    pub keep_outbox: bool,
    /// Send nothing of it: the original lives on. Messages become dead letters, timers and webhooks are put aside
    #[arg(long)]
    pub drop_outbox: bool,
}

/// What can be asked of the sealed log.
#[derive(Debug, Clone, Subcommand)]
pub enum AuditCommand {
    /// Recompute the chain and name the first batch that is not as it was sealed
    Verify(Verify),
}

/// What to verify.
#[derive(Debug, Clone, Args)]
pub struct Verify {
    /// The number of the first event
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    pub from: Option<i64>,
    /// The number of the last event
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i64).range(1..))]
    pub to: Option<i64>,
    /// A head that was kept, or an export, to hold the log against [default: audit-head.json of the data directory]
    #[arg(long, value_name = "FILE")]
    pub head: Option<PathBuf>,
    /// Verify this export instead; needs no database
    #[arg(long, value_name = "FILE", conflicts_with_all = ["from", "to"])]
    pub export: Option<PathBuf>,
}

/// What can be done with people.
#[derive(Debug, Clone, Subcommand)]
pub enum UserCommand {
    /// Make a user
    Create(NewUser),
}

/// A user to be made.
#[derive(Debug, Clone, Args)]
pub struct NewUser {
    /// The name to sign in with
    #[arg(long)]
    pub username: String,
    /// The password; generated and printed once when it is left out
    #[arg(long)]
    pub password: Option<Secret<String>>,
    /// The e-mail address
    #[arg(long)]
    pub email: Option<String>,
    /// The name to show; the username when it is left out
    #[arg(long)]
    pub display_name: Option<String>,
    /// What they may do
    #[arg(long, value_enum, default_value_t = UserRole::User)]
    pub role: UserRole,
}

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UserRole {
    /// Their own account
    User,
    /// Everything
    Admin,
}

/// Which history, and how much of it.
#[derive(Debug, Clone, Args)]
pub struct HistoryArgs {
    /// The stream, as <tenant>/<id>
    pub stream: String,
    /// Show the state at this time (RFC 3339) or position instead of the events
    #[arg(long, value_name = "TIME|POSITION")]
    pub at: Option<At>,
    /// Events of these types alone
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    pub types: Vec<String>,
    /// Events by this actor alone
    #[arg(long)]
    pub actor: Option<String>,
    /// Events from this time or position on, inclusive
    #[arg(long, value_name = "TIME|POSITION")]
    pub from: Option<At>,
    /// Events up to this time or position, inclusive
    #[arg(long, value_name = "TIME|POSITION")]
    pub to: Option<At>,
    /// One JSON document a line
    #[arg(long)]
    pub json: bool,
}

/// The configuration as it was given, unchecked: `Config` checks it, so that errors name the variable.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Address to serve on [default: 127.0.0.1:8080]
    #[arg(long, env = "FLOWBOT_LISTEN", global = true)]
    pub listen: Option<String>,
    /// Postgres to use [default: a private cluster in the data directory]
    #[arg(long, env = "DATABASE_URL", global = true, hide_env_values = true)]
    pub database_url: Option<Secret<String>>,
    /// Private cluster, generated keys, local uploads [default: ./.flowbot]
    #[arg(long, env = "FLOWBOT_DATA_DIR", global = true)]
    pub data_dir: Option<String>,
    /// What the outside calls us [default: http:// and the address to serve on]
    #[arg(long, env = "FLOWBOT_PUBLIC_URL", global = true)]
    pub public_url: Option<String>,
    /// 32 bytes in base64 that wrap secrets and sign sessions [default: generated once]
    #[arg(long, env = "FLOWBOT_SECRET_KEY", global = true, hide_env_values = true)]
    pub secret_key: Option<Secret<String>>,
    /// The master key before a rotation: everything sealed under it is sealed again [default: none]
    #[arg(long, env = "FLOWBOT_FORMER_SECRET_KEY", global = true, hide_env_values = true)]
    pub former_secret_key: Option<Secret<String>>,
    /// Name of the first administrator [default: admin]
    #[arg(long, env = "FLOWBOT_ADMIN_USERNAME", global = true)]
    pub admin_username: Option<String>,
    /// Their password [default: generated and printed once]
    #[arg(long, env = "FLOWBOT_ADMIN_PASSWORD", global = true, hide_env_values = true)]
    pub admin_password: Option<Secret<String>>,
    /// What this process runs: api, worker, projector [default: all]
    #[arg(long, env = "FLOWBOT_ROLES", global = true)]
    pub roles: Option<String>,
    /// What the header X-Debug-Key has to show [default: no debugging]
    #[arg(long, env = "FLOWBOT_DEBUG_KEY", global = true, hide_env_values = true)]
    pub debug_key: Option<Secret<String>>,
    /// 1: every provider is the built-in sandbox [default: 0]
    #[arg(long, env = "FLOWBOT_SANDBOX", global = true, num_args = 0..=1, default_missing_value = "1")]
    pub sandbox: Option<String>,
    /// 1: clients' addresses are the last of X-Forwarded-For, which your own proxy wrote [default: 0]
    #[arg(long, env = "FLOWBOT_BEHIND_PROXY", global = true, num_args = 0..=1, default_missing_value = "1")]
    pub behind_proxy: Option<String>,
    /// 1: nothing is limited, for load tests and fuzzing; never where strangers can reach it [default: 0]
    #[arg(long, env = "FLOWBOT_LIFT_LIMITS", global = true, num_args = 0..=1, default_missing_value = "1")]
    pub lift_limits: Option<String>,
    /// Base address of the Graph API [default: https://graph.facebook.com]
    #[arg(long, env = "META_GRAPH_URL", global = true)]
    pub meta_graph_url: Option<String>,
    /// Version of the Graph API [default: v23.0]
    #[arg(long, env = "META_GRAPH_VERSION", global = true)]
    pub meta_graph_version: Option<String>,
    /// Id of the app at Meta
    #[arg(long, env = "META_APP_ID", global = true)]
    pub meta_app_id: Option<String>,
    /// Secret of the app: signs webhooks
    #[arg(long, env = "META_APP_SECRET", global = true, hide_env_values = true)]
    pub meta_app_secret: Option<Secret<String>>,
    /// Token of the webhook's handshake
    #[arg(long, env = "META_VERIFY_TOKEN", global = true, hide_env_values = true)]
    pub meta_verify_token: Option<Secret<String>>,
    /// Our client at Google; without it nobody signs in with Google
    #[arg(long, env = "GOOGLE_CLIENT_ID", global = true)]
    pub google_client_id: Option<String>,
    /// Base address of Google's keys [default: https://www.googleapis.com]
    #[arg(long, env = "GOOGLE_URL", global = true)]
    pub google_url: Option<String>,
    /// Base address of Facebook's keys [default: https://limited.facebook.com]
    #[arg(long, env = "FACEBOOK_URL", global = true)]
    pub facebook_url: Option<String>,
    /// Mail server, as smtps://user:password@host or smtp://host [default: none; the sandbox plays one]
    #[arg(long, env = "SMTP_URL", global = true, hide_env_values = true)]
    pub smtp_url: Option<Secret<String>>,
    /// Whom mail is from [default: FlowBot <no-reply@…> at the host the outside calls us by]
    #[arg(long, env = "SMTP_FROM", global = true)]
    pub smtp_from: Option<String>,
    /// WhatsApp authentication template that codes go out in [default: flowbot_auth_code]
    #[arg(long, env = "FLOWBOT_AUTH_TEMPLATE", global = true)]
    pub auth_template: Option<String>,
    /// Its language at Meta [default: en]
    #[arg(long, env = "FLOWBOT_AUTH_TEMPLATE_LANGUAGE", global = true)]
    pub auth_template_language: Option<String>,
    /// What to log [default: info]
    #[arg(long, env = "RUST_LOG", global = true)]
    pub rust_log: Option<String>,
    /// Where traces go [default: nowhere]
    #[arg(long = "otel-exporter-otlp-endpoint", env = "OTEL_EXPORTER_OTLP_ENDPOINT", global = true)]
    pub otlp_endpoint: Option<String>,
}
