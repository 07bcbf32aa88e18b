//! Bulk sends from outside: how fast 50 000 recipients are queued and sent, what the line's rate comes to, what replies
//! of 50 conversations wait beside a broadcast. `cargo bench --bench bulk [-- statuses]`
//!
//! FlowBot is a process of its own with its own PostgreSQL; Meta is a stand-in here that answers at once and, with
//! `statuses`, tells that each message was delivered.

use std::collections::HashMap;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::Parser;
use poem::web::{Data, Json, Path};
use poem::{EndpointExt, Route, Server, handler, listener::TcpListener};
use reqwest::Client;
use serde_json::{Value, json};
use tests::webhook::{signature, status, text_message};
use tokio::sync::{mpsc, oneshot};

const ADDRESS: &str = "127.0.0.1:8096";
const GRAPH: &str = "127.0.0.1:9206";
const SECRET: &str = "bulk-bench-secret";
const LINE: &str = "100000000000001";
const RECIPIENTS: usize = 50_000;
const CHATTING: usize = 50;
/// How often each of them writes.
const SELDOM: Duration = Duration::from_secs(2);
const OFTEN: Duration = Duration::from_millis(250);

/// What the stand-in saw.
#[derive(Default)]
struct Seen {
    messages: AtomicUsize,
    broadcasts: Mutex<Vec<Instant>>,
    /// Whoever waits for an answer, by its text.
    awaited: Mutex<HashMap<String, oneshot::Sender<Instant>>>,
    statuses: Mutex<Option<mpsc::UnboundedSender<Value>>>,
}

#[handler]
async fn messages(Path((_, _)): Path<(String, String)>, body: Json<Value>, seen: Data<&Arc<Seen>>) -> Json<Value> {
    let n = seen.messages.fetch_add(1, Ordering::Relaxed);
    let wamid = format!("wamid.out.{n}");
    let to = body["to"].as_str().unwrap_or_default();
    if body["type"] == "template" {
        seen.broadcasts.lock().unwrap().push(Instant::now());
    } else {
        let text = body["text"]["body"].as_str().unwrap_or_default();
        let awaited = seen.awaited.lock().unwrap().remove(text);
        if let Some(awaited) = awaited {
            awaited.send(Instant::now()).ok();
        }
    }
    if let Some(sender) = &*seen.statuses.lock().unwrap() {
        let correlation = body["biz_opaque_callback_data"].as_str();
        drop(sender.send(status(&wamid, to.trim_start_matches('+'), "delivered", correlation)));
    }
    Json(json!({ "messaging_product": "whatsapp", "contacts": [{ "input": to, "wa_id": to }],
                 "messages": [{ "id": wamid, "message_status": "accepted" }] }))
}

fn main() -> anyhow::Result<()> {
    if std::env::args().any(|argument| argument == "serve") {
        infrastructure::http_client::install_crypto();
        let cli = api::config::Cli::parse_from(["flowbot", "serve"]);
        return tokio::runtime::Runtime::new()?.block_on(api::commands::run(cli));
    }
    infrastructure::http_client::install_crypto();
    let told = std::env::args().any(|argument| argument == "statuses");
    tokio::runtime::Runtime::new()?.block_on(measure(told))
}

/// FlowBot, killed when it is dropped.
struct Flowbot(Child);

impl Flowbot {
    async fn start(http: &Client) -> anyhow::Result<Self> {
        let data = std::env::temp_dir().join("flowbot-bench-bulk");
        drop(std::fs::remove_dir_all(&data));
        let graph = format!("http://{GRAPH}");
        let variables = [
            ("FLOWBOT_LISTEN", ADDRESS),
            ("FLOWBOT_ADMIN_PASSWORD", "bench-password"),
            ("META_GRAPH_URL", graph.as_str()),
            ("META_APP_SECRET", SECRET),
            ("RUST_LOG", "warn"),
        ];
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").env("FLOWBOT_DATA_DIR", data).envs(variables).env_remove("DATABASE_URL");
        let child = Self(command.stdout(Stdio::null()).spawn()?);
        for _ in 0..600 {
            if http.get(format!("http://{ADDRESS}/healthz")).send().await.is_ok() {
                return Ok(child);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("FlowBot did not start")
    }

    /// The most memory it had, in MiB.
    fn peak_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
    }
}

impl Drop for Flowbot {
    fn drop(&mut self) {
        // It stops its PostgreSQL on the way out.
        drop(Command::new("kill").arg(self.0.id().to_string()).status());
        drop(self.0.wait());
    }
}

struct Api {
    http: Client,
    cookie: String,
}

impl Api {
    async fn sign_in(http: &Client) -> anyhow::Result<Self> {
        let body = json!({ "username": "admin", "password": "bench-password" });
        let answer = http.post(format!("http://{ADDRESS}/api/auth/login")).json(&body).send().await?;
        let cookie = answer.headers().get("set-cookie").and_then(|it| it.to_str().ok()).unwrap_or_default();
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Self { http: http.clone(), cookie })
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let request = self.http.post(format!("http://{ADDRESS}{path}")).header("cookie", &self.cookie).json(body);
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        anyhow::ensure!(status.is_success(), "{path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    async fn line(&self, per_second: u32) -> anyhow::Result<()> {
        let line = json!({ "phoneNumberId": LINE, "wabaId": "200000000000002", "accessToken": "token",
                           "displayPhoneNumber": "+1 555 000 1111", "isPrimary": true,
                           "messagesPerSecond": per_second, "pairLimit": false });
        self.post("/api/settings/whatsapp", &line).await.map(drop)
    }

    /// Cancels whatever is under way.
    async fn cancel_all(&self) -> anyhow::Result<()> {
        let url = format!("http://{ADDRESS}/api/templates/bulk-send");
        let answer = self.http.get(&url).header("cookie", &self.cookie).send().await?;
        let list: Value = serde_json::from_str(&answer.text().await?)?;
        for bulk in list["bulkSends"].as_array().into_iter().flatten().filter(|it| it["status"] == "running") {
            let cancel = format!("{url}?id={}", bulk["id"].as_str().unwrap_or_default());
            self.http.delete(cancel).header("cookie", &self.cookie).send().await?.error_for_status()?;
        }
        Ok(())
    }

    /// Starts a bulk send; how long queueing took.
    async fn bulk(&self, series: usize, many: usize) -> anyhow::Result<Duration> {
        let phones: Vec<String> = (0..many).map(|n| format!("+97250{series}{n:06}")).collect();
        let body = json!({ "templateName": "hello", "templateLanguage": "he", "phones": phones, "forceSend": true });
        let begun = Instant::now();
        self.post("/api/templates/bulk-send", &body).await?;
        Ok(begun.elapsed())
    }
}

async fn webhook(http: &Client, body: &Value) {
    let body = body.to_string().into_bytes();
    let request =
        http.post(format!("http://{ADDRESS}/api/webhook/whatsapp")).header("content-type", "application/json");
    drop(request.header("x-hub-signature-256", signature(SECRET, &body)).body(body).send().await);
}

/// The p95 of what 50 conversations wait for their answers, in ms: each writes as often, evenly spread.
async fn reply_p95(http: &Client, seen: &Arc<Seen>, name: &str, (every, rounds): (Duration, usize)) -> f64 {
    let chat = async |customer: usize| {
        let mut waits = Vec::new();
        tokio::time::sleep(every.mul_f64(customer as f64 / CHATTING as f64)).await;
        for round in 0..rounds {
            let text = format!("{name}-{customer}-{round}");
            let from = format!("97251000{customer:04}");
            let (sender, answered) = oneshot::channel();
            seen.awaited.lock().unwrap().insert(format!("echo {text}"), sender);
            let begun = Instant::now();
            webhook(http, &text_message(&from, &format!("wamid.in.{text}"), &text)).await;
            // Who is never answered waited at least this long.
            let answered = tokio::time::timeout(Duration::from_secs(20), answered).await;
            waits.push(answered.ok().and_then(Result::ok).map_or(begun.elapsed(), |at| at.duration_since(begun)));
            tokio::time::sleep(every.saturating_sub(begun.elapsed())).await;
        }
        waits
    };
    let mut waits: Vec<Duration> = futures::future::join_all((0..CHATTING).map(chat)).await.concat();
    waits.sort();
    waits.get(waits.len() * 95 / 100).map_or(f64::NAN, |wait| wait.as_secs_f64() * 1e3)
}

/// Waits until as many broadcasts were seen since `from`; when each was.
async fn sent(seen: &Seen, from: usize, many: usize) -> Vec<Instant> {
    let begun = Instant::now();
    loop {
        let so_far = seen.broadcasts.lock().unwrap().len();
        if so_far >= from + many || begun.elapsed() > Duration::from_secs(240) {
            return seen.broadcasts.lock().unwrap()[from..].to_vec();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Messages a second between the first and the last of these.
fn rate(times: &[Instant]) -> f64 {
    match (times.first(), times.last()) {
        (Some(first), Some(last)) if last > first => times.len() as f64 / last.duration_since(*first).as_secs_f64(),
        _ => f64::NAN,
    }
}

async fn measure(told: bool) -> anyhow::Result<()> {
    let seen = Arc::<Seen>::default();
    let routes = Route::new().at("/:version/:line/messages", poem::post(messages)).data(Arc::clone(&seen));
    tokio::spawn(Server::new(TcpListener::bind(GRAPH)).run(routes));
    let http = infrastructure::http_client::client(Duration::from_secs(120));
    let flowbot = Flowbot::start(&http).await?;
    let api = Api::sign_in(&http).await?;
    api.line(1_000).await?;
    let flow = json!({ "name": "echo", "status": "active", "drawflowData": tests::flows::echo() });
    api.post("/api/flows", &flow).await?;
    if told {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        *seen.statuses.lock().unwrap() = Some(sender);
        let http = http.clone();
        tokio::spawn(async move {
            while let Some(status) = receiver.recv().await {
                webhook(&http, &status).await;
            }
        });
    }
    println!("| figure | value |\n| --- | --- |");
    tokio::time::sleep(Duration::from_secs(2)).await;
    reply_p95(&http, &seen, "warm", (OFTEN, 12)).await;
    let queued = api.bulk(1, RECIPIENTS).await?;
    println!("| {RECIPIENTS} recipients queued in | {:.1} s |", queued.as_secs_f64());
    let times = sent(&seen, 0, RECIPIENTS).await;
    println!("| sent to new contacts | {} of {RECIPIENTS}, {:.0} a second |", times.len(), rate(&times));
    let from = seen.broadcasts.lock().unwrap().len();
    api.bulk(1, RECIPIENTS).await?;
    let times = sent(&seen, from, RECIPIENTS).await;
    println!("| sent to the same once more | {} of {RECIPIENTS}, {:.0} a second |", times.len(), rate(&times));
    println!("| memory at most | {:.0} MiB |", flowbot.peak_mib());
    api.line(80).await?;
    let from = seen.broadcasts.lock().unwrap().len();
    api.bulk(2, 2_000).await?;
    let times = sent(&seen, from, 2_000).await;
    println!("| line of 80 a second | {:.1} a second |", rate(times.get(500..).unwrap_or_default()));
    // The same chat on an ordinary line, and a busy one on a fast line; replies and broadcast share the line.
    for (per_second, pace, series) in [(80, (SELDOM, 10), 3), (300, (OFTEN, 40), 4)] {
        api.line(per_second).await?;
        let idle = reply_p95(&http, &seen, &format!("idle {per_second}"), pace).await;
        let from = seen.broadcasts.lock().unwrap().len();
        api.bulk(series, 20_000).await?;
        sent(&seen, from, 200).await;
        let beside = reply_p95(&http, &seen, &format!("beside {per_second}"), pace).await;
        api.cancel_all().await?;
        let again = reply_p95(&http, &seen, &format!("idle again {per_second}"), pace).await;
        let chat = CHATTING as f64 / pace.0.as_secs_f64();
        println!(
            "| reply p95, {chat:.0} a second, line of {per_second} | idle {idle:.0} and {again:.0} ms, beside a broadcast {beside:.0} ms: {:.2} |",
            beside / f64::midpoint(idle, again)
        );
    }
    Ok(())
}
