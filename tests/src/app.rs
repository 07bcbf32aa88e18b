//! The whole product in this process, on a port of its own, with Meta played by the sandbox.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::compose::listener::Bound;
use api::compose::server::{self, Running, Setting};
use api::config::{Config, Options};
use api::middleware::rate_limit::RateLimits;
use infrastructure::clock::{RandomIds, SystemClock};
use infrastructure::http_client;
use infrastructure::postgres::pool;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use crate::cluster::TestDatabase;

/// The line every seeded account sends on.
pub const LINE: &str = "100000000000001";
/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running product.
pub struct TestApp {
    /// Its database.
    pub database: TestDatabase,
    /// `http://127.0.0.1:port`.
    pub base: String,
    /// Plain HTTP.
    pub http: Client,
    /// Its configuration.
    pub config: Config,
    running: Option<Running>,
}

/// An answer: status, headers, body.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: reqwest::header::HeaderMap,
    /// Body as JSON; null when it is none.
    pub body: Value,
    /// Body as text.
    pub text: String,
}

impl Answer {
    /// The body of an answer that must be a success.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(self.status.is_success(), "{}: {}", self.status, self.text);
        self.body
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A signed-in client.
#[derive(Clone)]
pub struct SignedIn {
    http: Client,
    base: String,
    credential: (&'static str, String),
    /// The person's id; an owner's is the account's.
    pub id: String,
}

impl TestApp {
    /// The product with lifted rate limits, in the sandbox.
    pub async fn start() -> Self {
        Self::start_with(Options::default(), RateLimits::lifted()).await
    }

    /// The product with some configuration of its own.
    pub async fn start_with(options: Options, limits: RateLimits) -> Self {
        let database = TestDatabase::create().await;
        Self::on(database, options, limits).await
    }

    /// The product on a database.
    pub async fn on(database: TestDatabase, options: Options, limits: RateLimits) -> Self {
        http_client::install_crypto();
        let listener = Bound::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
        let options = Options {
            listen: Some(listener.address.to_string()),
            sandbox: options.sandbox.clone().or_else(|| Some("1".to_owned())),
            secret_key: options.secret_key.clone().or_else(|| Some(crate::SECRET_KEY.to_owned().into())),
            data_dir: options.data_dir.clone().or_else(|| Some(database.data_dir())),
            admin_username: Some("admin".to_owned()),
            admin_password: Some("admin-password".to_owned().into()),
            ..options
        };
        let config = Config::try_new(&options, []).expect("a configuration");
        let pool = pool::connect(database.options.clone(), pool::NAME, pool::connections_max()).await.expect("a pool");
        let setting = Setting { pool, clock: Arc::new(SystemClock), ids: Arc::new(RandomIds), limits };
        let base = format!("http://{}", listener.address);
        let running = server::start(&config, setting, listener).await.expect("a running product");
        let http = http_client::client(Duration::from_secs(30));
        Self { database, base, http, config, running: Some(running) }
    }

    /// Stops it; the database stays.
    pub async fn stop(mut self) -> TestDatabase {
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
        self.database
    }

    /// The administrator.
    pub async fn admin(&self) -> SignedIn {
        self.sign_in("admin", "admin-password").await
    }

    /// A signed-in person.
    pub async fn sign_in(&self, username: &str, password: &str) -> SignedIn {
        let answer = self
            .call(Method::POST, "/api/auth/login", Some(&json!({ "username": username, "password": password })), &[])
            .await;
        let cookie = answer.header("set-cookie").and_then(|text| text.split(';').next()).unwrap_or_default().to_owned();
        let body = answer.ok();
        let id = body["user"]["id"].as_str().expect("an id").to_owned();
        SignedIn { http: self.http.clone(), base: self.base.clone(), credential: ("cookie", cookie), id }
    }

    /// A new account with a user of this name.
    pub async fn account(&self, username: &str) -> SignedIn {
        let user = json!({ "username": username, "password": "correct horse", "email": format!("{username}@example.com"),
                           "displayName": username, "role": "user" });
        self.admin().await.post("/api/users", &user).await.ok();
        self.sign_in(username, "correct horse").await
    }

    /// A call without credentials.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>, headers: &[(&str, &str)]) -> Answer {
        send(&self.http, &self.base, method, path, body, headers).await
    }

    /// A client with a Bearer token.
    pub fn bearer(&self, token: &str, id: &str) -> SignedIn {
        let credential = ("authorization", format!("Bearer {token}"));
        SignedIn { http: self.http.clone(), base: self.base.clone(), credential, id: id.to_owned() }
    }

    /// The customer writes a text; returns its wamid.
    pub async fn customer_writes(&self, phone: &str, text: &str) -> String {
        self.customer_does(phone, &json!({ "phoneNumberId": LINE, "text": text })).await
    }

    /// The customer does something on the phone; returns the wamid.
    pub async fn customer_does(&self, phone: &str, body: &Value) -> String {
        let path = format!("/sandbox/customers/{phone}/messages");
        let answer = self.call(Method::POST, &path, Some(body), &[]).await.ok();
        answer["wamid"].as_str().expect("a wamid").to_owned()
    }

    /// What the customer's phone shows.
    pub async fn phone_shows(&self, phone: &str) -> Vec<Value> {
        let path = format!("/sandbox/customers/{phone}/messages?phoneNumberId={LINE}");
        let shown = self.call(Method::GET, &path, None, &[]).await;
        let list = shown.body.as_array().or_else(|| shown.body["messages"].as_array());
        list.cloned().unwrap_or_default()
    }

    /// Texts and bodies of what the business sent to this phone.
    pub async fn answers(&self, phone: &str) -> Vec<String> {
        let shown = self.phone_shows(phone).await;
        shown.iter().filter(|it| it["direction"] == "out").map(|it| it["content"].to_string()).collect()
    }

    /// Waits until the customer has this many messages of the business.
    pub async fn wait_for_answers(&self, phone: &str, many: usize) -> Vec<String> {
        eventually(&format!("{many} answers to {phone}"), async || {
            let answers = self.answers(phone).await;
            (answers.len() >= many).then_some(answers)
        })
        .await
    }
}

impl SignedIn {
    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// POST.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path, Some(body)).await
    }

    /// PUT.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, None).await
    }

    /// GET whose body is lines, read piece by piece.
    pub async fn lines(&self, path: &str) -> reqwest::Response {
        let (name, value) = &self.credential;
        let request = self.http.get(format!("{}{path}", self.base)).header(*name, value);
        request.header("accept", "application/x-ndjson").send().await.expect("an answer")
    }

    /// GET whose body is read piece by piece.
    pub async fn stream(&self, path: &str) -> reqwest::Response {
        let (name, value) = &self.credential;
        self.http.get(format!("{}{path}", self.base)).header(*name, value).send().await.expect("an answer")
    }

    /// Any call.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        self.call_with(method, path, body, &[]).await
    }

    /// Any call with headers of its own.
    pub async fn call_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let (name, value) = &self.credential;
        let headers = [headers, &[(*name, value.as_str())]].concat();
        send(&self.http, &self.base, method, path, body, &headers).await
    }

    /// Any call with bytes of any kind.
    pub async fn sends(&self, method: Method, path: &str, kind: &str, body: &str) -> Answer {
        let (name, value) = &self.credential;
        let request = self.http.request(method, format!("{}{path}", self.base)).header(*name, value);
        let request = request.header("content-type", kind).body(body.to_owned());
        answer(request.send().await.expect("an answer")).await
    }

    /// Any call, with an Idempotency-Key.
    pub async fn keyed(&self, key: &str, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let (name, value) = &self.credential;
        send(&self.http, &self.base, method, path, body, &[(name, value), ("idempotency-key", key)]).await
    }

    /// Saves the line the sandbox plays on.
    pub async fn has_line(&self) -> &Self {
        self.has_line_id(LINE).await
    }

    /// Saves a line.
    pub async fn has_line_id(&self, id: &str) -> &Self {
        let line = json!({ "phoneNumberId": id, "wabaId": "200000000000002", "accessToken": "sandbox-token",
                           "displayPhoneNumber": "+1 555 000 1111", "isPrimary": true });
        self.post("/api/settings/whatsapp", &line).await.ok();
        self
    }

    /// Makes an active flow; its id.
    pub async fn has_flow(&self, name: &str, drawflow: &Value) -> String {
        let flow = json!({ "name": name, "status": "active", "drawflowData": drawflow });
        let flow = self.post("/api/flows", &flow).await.ok();
        let id = flow["id"].as_str().expect("an id").to_owned();
        // A write is answered while the read models lag; messages find the flow once they know it.
        let path = format!("/api/flows/{id}");
        eventually("the flow to be shown", async || self.get(&path).await.status.is_success().then_some(())).await;
        id
    }

    /// Waits for the account's conversation with this phone; its row.
    pub async fn conversation_with(&self, phone: &str) -> Value {
        let path = format!("/api/conversations?phone=%2B{}", phone.trim_start_matches('+'));
        eventually(&format!("a conversation with {phone}"), async || {
            let list = self.get(&path).await.ok();
            list.as_array().and_then(|rows| rows.first().cloned())
        })
        .await
    }
}

async fn send(
    http: &Client,
    base: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
    headers: &[(&str, &str)],
) -> Answer {
    let mut request = http.request(method, format!("{base}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    answer(request.send().await.expect("an answer")).await
}

async fn answer(response: reqwest::Response) -> Answer {
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap_or_default();
    let body = serde_json::from_str(&text).unwrap_or_default();
    Answer { status, headers, body, text }
}

/// Looks until there is something to see. The pause is between looks, not instead of one.
pub async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
