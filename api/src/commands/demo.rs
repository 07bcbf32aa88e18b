//! `flowbot demo`: serves on a throw-away data directory with Meta played by the sandbox, seeds an account and
//! a flow, and plays a conversation over real HTTP: webhook, engine, outbox, sandbox, statuses, a person.

mod customer;
mod flow;
mod newcomer;
mod transcript;

use std::path::Path;

use anyhow::{Context, ensure};
use infrastructure::http_client;
use reqwest::Client;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::commands::demo::customer::Customer;
use crate::commands::serve;
use crate::compose::database::Database;
use crate::compose::listener::Bound;
use crate::compose::server::{self, Setting};
use crate::config::{Config, Options, Secret};
use crate::middleware::rate_limit::RateLimits;

const USERNAME: &str = "demo";
const PASSWORD: &str = "demo-password";
const LINE: &str = "100000000000001";
const CUSTOMER: &str = "972501234567";

/// Plays the demo; keeps serving afterwards unless `exit`.
///
/// # Errors
/// Anything did not go as it should.
pub async fn run(options: &Options, exit: bool) -> anyhow::Result<()> {
    let data_dir = std::env::temp_dir().join(format!("flowbot-demo-{}", Uuid::now_v7()));
    std::fs::create_dir_all(&data_dir)?;
    let result = serve_and_play(throw_away(options, &data_dir), exit).await;
    std::fs::remove_dir_all(&data_dir).with_context(|| format!("{} could not be removed", data_dir.display()))?;
    result
}

/// Whatever is configured, the demo touches nothing but its own directory and talks to nobody outside.
fn throw_away(options: &Options, data_dir: &Path) -> Options {
    let busy = options.listen.is_none() && std::net::TcpListener::bind("127.0.0.1:8080").is_err();
    Options {
        database_url: None,
        data_dir: Some(data_dir.display().to_string()),
        sandbox: Some("1".to_owned()),
        meta_graph_url: None,
        smtp_url: None,
        roles: None,
        listen: if busy { Some("127.0.0.1:0".to_owned()) } else { options.listen.clone() },
        admin_username: Some(USERNAME.to_owned()),
        admin_password: Some(Secret::from(PASSWORD.to_owned())),
        ..options.clone()
    }
}

async fn serve_and_play(options: Options, exit: bool) -> anyhow::Result<()> {
    let (config, listener) = serve::bind(&options).await?;
    say!("FlowBot demo: starting a private PostgreSQL in {} …", config.data_dir.display());
    let database = Database::guarded(&config).await?;
    let ended = play_and_serve(&config, &database, listener, exit).await;
    let Database { pool, private } = database;
    pool.close().await;
    if let Some(server) = private {
        server.stop_and_remove().await?;
    }
    ended
}

async fn play_and_serve(config: &Config, database: &Database, listener: Bound, exit: bool) -> anyhow::Result<()> {
    let setting = Setting { limits: RateLimits::lifted(), ..Setting::real(database.pool.clone()) };
    let mut running = server::start(config, setting, listener).await?;
    // Whoever interrupts the play gets everything put away as well.
    let (played, interrupted) = tokio::select! {
        played = play(config) => (played, false),
        ended = running.until_signal() => (ended, true),
    };
    let ended = match &played {
        Ok(()) if !exit && !interrupted => {
            say!("\nStill serving; Ctrl-C ends the demo and removes its data.");
            tokio::select! {
                ended = running.until_signal() => ended,
                () = database.watch() => Ok(()),
            }
        }
        Ok(()) | Err(_) => Ok(()),
    };
    running.stop().await;
    played.and(ended)
}

async fn play(config: &Config) -> anyhow::Result<()> {
    let api = Api::sign_in(format!("http://{}", config.listen)).await?;
    let line = json!({ "phoneNumberId": LINE, "wabaId": "200000000000002", "accessToken": "sandbox-token",
                       "displayPhoneNumber": "+1 555 000 1111", "isPrimary": true });
    api.post("/api/settings/whatsapp", &line).await.context("the line could not be saved")?;
    let flow = json!({ "name": "Table reservations", "description": "Buttons, a question, a condition, a handoff",
                       "status": "active", "drawflowData": flow::drawflow() });
    let flow = api.post("/api/flows", &flow).await.context("the flow could not be made")?;

    let customer = Customer::new(&api, CUSTOMER, LINE, "Dana Levi");
    customer.writes("Hi there!").await?;
    customer.expects("What can we do for you?").await?;
    customer.presses("book", "Book a table").await?;
    customer.expects("For how many people?").await?;
    customer.writes("a few").await?;
    customer.expects("Please send a number from 1 to 30.").await?;
    customer.writes("12").await?;
    customer.expects("12 people").await?;
    customer.writes("hello again").await?;
    customer.expects("What can we do for you?").await?;
    customer.presses("person", "Talk to a person").await?;
    customer.expects("A colleague will be with you").await?;
    let conversation = person_takes_over(&api).await?;
    customer.expects("Hi Dana, this is Noa").await?;
    customer.has_read_everything().await?;

    let details = api.get(&format!("/api/conversations/{conversation}?limit=200")).await?;
    transcript::print(&details)?;
    let code = newcomer::joins(&api).await.context("nobody could register")?;
    say!("\nnoa registered, read the code {code} in her mailbox and verified it.");
    let base = &api.base;
    say!("\nWhat to open next (user `{USERNAME}`, password `{PASSWORD}`):");
    say!("  {base}/docs                                     the API reference");
    say!("  {base}/api/conversations/{conversation}   this conversation");
    say!("  {base}/api/flows/{}           this flow", flow["id"].as_str().unwrap_or_default());
    say!("  {base}/sandbox                                  the stand-in for Meta: write in as a customer");
    say!("  {base}/sandbox/mailbox                          mail people would have got, such as codes of new accounts");
    say!(
        "  curl -c cookies.txt -H 'content-type: application/json' -d '{{\"username\":\"{USERNAME}\",\"password\":\"{PASSWORD}\"}}' {base}/api/auth/login"
    );
    say!(
        "  curl -H 'content-type: application/json' -d '{{\"phoneNumberId\":\"{LINE}\",\"text\":\"hello\"}}' {base}/sandbox/customers/{CUSTOMER}/messages"
    );
    Ok(())
}

/// A person finds the conversation that asks for one, claims it and answers.
async fn person_takes_over(api: &Api) -> anyhow::Result<String> {
    // The list follows the log within milliseconds, so a person may look a moment too early.
    let waiting = async {
        loop {
            let list = api.get("/api/conversations?status=handoff").await?;
            if let Some(id) = list[0]["id"].as_str() {
                return anyhow::Ok(id.to_owned());
            }
            tokio::time::sleep(customer::GLANCE).await;
        }
    };
    let id = tokio::time::timeout(customer::PATIENCE, waiting).await.context("no conversation asks for a person")??;
    api.put(&format!("/api/conversations/{id}"), &json!({ "action": "claim" })).await?;
    let reply = json!({ "messageType": "text", "text": "Hi Dana, this is Noa. How can I help?" });
    let answer = api.post(&format!("/api/conversations/{id}/reply"), &reply).await?;
    ensure!(answer["windowOpen"] == true, "the window should be open: {answer}");
    Ok(id)
}

/// The product, as any client uses it.
pub(crate) struct Api {
    http: Client,
    base: String,
    cookie: String,
}

impl Api {
    async fn sign_in(base: String) -> anyhow::Result<Self> {
        let http = http_client::client(http_client::DEFAULT_TIMEOUT);
        let sign_in = json!({ "username": USERNAME, "password": PASSWORD });
        let response = http.post(format!("{base}/api/auth/login")).json(&sign_in).send().await?.error_for_status()?;
        let cookie = response.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        let cookie = cookie.and_then(|text| text.split(';').next()).context("no session cookie")?.to_owned();
        Ok(Self { http, base, cookie })
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(self.http.get(format!("{}{path}", self.base))).await
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(self.http.put(format!("{}{path}", self.base)).json(body)).await
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Value> {
        let response = request.header("cookie", &self.cookie).send().await?;
        let status = response.status();
        let body: Value = response.json().await.unwrap_or_default();
        ensure!(status.is_success(), "{status}: {body}");
        Ok(body)
    }
}
