//! Values, defaults and refusals. The environment is given by name, so no test depends on the machine's.

use clap::Parser;

use application::history::at::At;
use application::log::Position;

use super::*;

fn cli(arguments: &[&str]) -> Cli {
    Cli::try_parse_from(["flowbot"].iter().chain(arguments)).unwrap()
}

fn config(options: &Options) -> Result<Config, ConfigError> {
    Config::try_new(options, [])
}

fn refusal(set: impl FnOnce(&mut Options)) -> String {
    let mut options = Options::default();
    set(&mut options);
    config(&options).unwrap_err().to_string()
}

fn secret(text: &str) -> Option<Secret<String>> {
    Some(Secret::from(text.to_owned()))
}

#[test]
fn the_command_line_is_well_formed_and_every_variable_has_its_flag() {
    let command = Cli::command();
    command.clone().debug_assert();
    for argument in command.get_arguments() {
        let Some(variable) = argument.get_env().and_then(|it| it.to_str()) else { continue };
        let flag = variable.trim_start_matches("FLOWBOT_").to_lowercase().replace('_', "-");
        assert_eq!(argument.get_long(), Some(flag.as_str()), "{variable}");
        let is_secret =
            ["DATABASE_URL", "SMTP_URL", "KEY", "PASSWORD", "SECRET", "TOKEN"].iter().any(|it| variable.ends_with(it));
        assert_eq!(argument.is_hide_env_values_set(), is_secret, "{variable}");
    }
}

#[test]
fn nothing_given_means_the_documented_defaults() {
    let config = config(&Options::default()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.public_url, "http://127.0.0.1:8080");
    assert_eq!(config.data_dir, PathBuf::from("./.flowbot"));
    assert_eq!((config.roles, config.sandbox), (Roles::ALL, false));
    assert_eq!(
        (config.meta.graph_url.as_str(), config.meta.graph_version.as_str()),
        ("https://graph.facebook.com", "v23.0")
    );
    assert_eq!((config.admin_username.as_str(), config.log.as_str()), ("admin", "info"));
    let social = &config.social;
    assert_eq!(
        (social.google_url.as_str(), social.facebook_url.as_str()),
        ("https://www.googleapis.com", "https://limited.facebook.com")
    );
    assert!(social.google_client_id.is_none() && config.meta.app_id.is_none());
    assert!(config.database_url.is_none() && config.secret_key.is_none() && config.meta.app_secret.is_none());
    let VerificationConfig { smtp_url, template, template_language, .. } = config.verification;
    assert!(smtp_url.is_none());
    assert_eq!((template.as_str(), template_language.as_str()), ("flowbot_auth_code", "en"));
}

#[test]
fn mail_is_from_the_host_the_outside_calls_us_by_or_from_whom_is_named() {
    let mut options = Options::default();
    let from = |options: &Options| config(options).unwrap().verification.smtp_from;
    assert_eq!(from(&options), "FlowBot <no-reply@localhost.localdomain>");
    options.public_url = Some("https://bot.example:8443/flow".into());
    assert_eq!(from(&options), "FlowBot <no-reply@bot.example>");
    for named in ["Dana <no-reply@example.com>", "no-reply@example.com"] {
        options.smtp_from = Some(named.into());
        assert_eq!(from(&options), named);
    }
    for none in ["FlowBot", "FlowBot <no-reply@example.com", "a@b.c\r\nBcc: d@e.f"] {
        options.smtp_from = Some(none.into());
        assert!(config(&options).unwrap_err().to_string().starts_with("SMTP_FROM is no mailbox"), "{none}");
    }
}

#[test]
fn the_sandbox_plays_meta_at_our_own_address_unless_told_otherwise() {
    let mut options =
        Options { listen: Some("127.0.0.1:9000".into()), sandbox: Some("1".into()), ..Options::default() };
    let meta = config(&options).unwrap().meta;
    assert_eq!(meta.graph_url, "http://127.0.0.1:9000/sandbox/graph");
    assert_eq!(meta.app_secret.unwrap().expose(), SANDBOX_APP_SECRET);
    assert_eq!(meta.verify_token.unwrap().expose(), SANDBOX_VERIFY_TOKEN);
    options.meta_graph_url = Some("http://localhost:1234/".into());
    options.meta_app_secret = secret("own");
    let meta = config(&options).unwrap().meta;
    assert_eq!((meta.graph_url.as_str(), meta.app_secret.unwrap().expose().as_str()), ("http://localhost:1234", "own"));
    let social = config(&options).unwrap().social;
    assert_eq!(social.google_url, "http://127.0.0.1:9000/sandbox/google");
    assert_eq!(social.google_client_id.as_deref(), Some(SANDBOX_GOOGLE_CLIENT_ID));
}

#[test]
fn malformed_values_are_refused_by_name() {
    assert!(refusal(|it| it.listen = Some("8080".into())).starts_with("FLOWBOT_LISTEN "));
    assert!(refusal(|it| it.sandbox = Some("yes".into())).starts_with("FLOWBOT_SANDBOX "));
    assert!(refusal(|it| it.behind_proxy = Some("1.2.3.4".into())).starts_with("FLOWBOT_BEHIND_PROXY "));
    assert!(refusal(|it| it.lift_limits = Some("all".into())).starts_with("FLOWBOT_LIFT_LIMITS "));
    assert!(refusal(|it| it.roles = Some("api,boss".into())).contains("\"boss\""));
    assert!(refusal(|it| it.public_url = Some("bot.example".into())).starts_with("FLOWBOT_PUBLIC_URL "));
    assert!(refusal(|it| it.meta_graph_url = Some("ftp://x".into())).starts_with("META_GRAPH_URL "));
    assert!(refusal(|it| it.google_url = Some("google".into())).starts_with("GOOGLE_URL "));
    assert!(refusal(|it| it.meta_graph_version = Some("23".into())).starts_with("META_GRAPH_VERSION "));
    assert!(refusal(|it| it.admin_username = Some("a b".into())).starts_with("FLOWBOT_ADMIN_USERNAME "));
    assert!(refusal(|it| it.auth_template = Some("Auth code".into())).starts_with("FLOWBOT_AUTH_TEMPLATE "));
    let refused = refusal(|it| it.auth_template_language = Some("en-US".into()));
    assert!(refused.starts_with("FLOWBOT_AUTH_TEMPLATE_LANGUAGE "));
    assert!(refusal(|it| it.rust_log = Some("a=b=c".into())).starts_with("RUST_LOG "));
    assert!(refusal(|it| it.otlp_endpoint = Some("?".into())).starts_with("OTEL_EXPORTER_OTLP_ENDPOINT "));
}

#[test]
fn refused_secrets_are_named_but_not_shown() {
    assert_eq!(refusal(|it| it.secret_key = secret("not base64!")), "FLOWBOT_SECRET_KEY is not base64");
    assert_eq!(refusal(|it| it.secret_key = secret("c2hvcnQ=")), "FLOWBOT_SECRET_KEY has 5 bytes instead of 32");
    let refused = refusal(|it| it.database_url = secret("mysql://user:hunter2@host/db"));
    assert_eq!(refused, "DATABASE_URL is no postgres:// address");
    for url in ["http://user:hunter2@host", "smtp://user:hunter2@host/x", "smtp://user:hunter2@host?tls=perhaps"] {
        let refused = refusal(|it| it.smtp_url = secret(url));
        assert!(refused.starts_with("SMTP_URL ") && !refused.contains("hunter2"), "{refused}");
    }
}

#[test]
fn unknown_variables_of_ours_are_refused_and_others_are_left_alone() {
    let names = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let options = Options::default();
    assert!(Config::try_new(&options, names("PATH FLOWBOT_LISTEN FLOWBOT_SANDBOX META_X")).is_ok());
    let refused = Config::try_new(&options, names("FLOWBOT_LISTEN FLOWBOT_LISTN")).unwrap_err();
    assert_eq!(refused.to_string(), "FLOWBOT_LISTN is no variable of FlowBot's");
}

#[test]
fn empty_values_count_as_not_given() {
    let options = Options {
        listen: Some(String::new()),
        database_url: secret(""),
        debug_key: secret(""),
        meta_app_id: Some(" ".into()),
        ..Options::default()
    };
    let config = config(&options).unwrap();
    assert!(config.database_url.is_none() && config.debug_key.is_none() && config.meta.app_id.is_none());
}

#[test]
fn secrets_never_show_in_debug_output() {
    let given = cli(&[
        "serve",
        "--database-url",
        "postgres://u:hunter2@h/d",
        "--debug-key",
        "hunter2",
        "--meta-app-secret=hunter2",
    ]);
    let config = config(&given.options).unwrap();
    assert_eq!(config.debug_key.as_ref().unwrap().expose(), "hunter2");
    assert!(!format!("{given:?} {config:?}").contains("hunter2"));
}

#[test]
fn commands_take_their_arguments_and_flags_on_either_side() {
    let served = cli(&["--listen", "0.0.0.0:1", "serve", "--roles", "worker, projector", "--sandbox"]);
    assert!(matches!(served.command, Command::Serve));
    let served = config(&served.options).unwrap();
    assert_eq!(served.roles, Roles { api: false, worker: true, projector: true });
    assert!(served.sandbox);

    assert!(matches!(cli(&["demo", "--exit"]).command, Command::Demo { exit: true }));
    let at = |text: &str| match cli(&["history", "t/1", "--at", text, "--json"]).command {
        Command::History(HistoryArgs { at, json: true, .. }) => at.unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(at("1-742-42"), At::Position(Position { epoch: 1, transaction: 742, number: 42 }));
    assert_eq!(at("1970-01-01T01:00:00+01:00"), At::Time(chrono::DateTime::UNIX_EPOCH));
    for wrong in ["yesterday", "42", "2026-01-31"] {
        assert!(Cli::try_parse_from(["flowbot", "history", "t/1", "--at", wrong]).is_err(), "{wrong}");
    }

    let Command::User { command: UserCommand::Create(user) } =
        cli(&["user", "create", "--username", "ana", "--display-name", "Ana", "--role", "admin"]).command
    else {
        panic!("another command")
    };
    assert_eq!((user.username.as_str(), user.role), ("ana", UserRole::Admin));
    assert!(user.password.is_none() && user.email.is_none());
    assert!(Cli::try_parse_from(["flowbot", "user", "create"]).is_err(), "a username is required");
}
