//! Customers who write, Meta that repeats what was not acknowledged and tells what became of each message.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use api::config::SANDBOX_APP_SECRET;
use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use infrastructure::http_client;
use infrastructure::outbox::departures::ANSWER_SEC;
use serde_json::Value;
use sqlx::PgPool;
use tests::app::eventually;
use tests::graph::Graph;
use tests::webhook::{signature, status, text_message};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::kill::child::Child;

/// Customers; each has a conversation.
const CUSTOMERS: usize = 24;
/// Who writes at the same time.
const WRITERS: usize = 4;
/// How long to wait before an unacknowledged webhook is sent again.
const AGAIN: Duration = Duration::from_millis(25);
/// How long an answer is waited for before the webhook goes to the next process.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Everything outside the processes.
pub struct World {
    /// What takes messages.
    pub graph: Arc<Graph>,
    bases: watch::Sender<Vec<String>>,
    pause: Duration,
    http: reqwest::Client,
    next: Arc<AtomicUsize>,
    acknowledged: Arc<AtomicUsize>,
    told: Arc<AtomicUsize>,
}

fn customer(n: usize) -> String {
    format!("9725000{:05}", n % CUSTOMERS)
}

impl World {
    /// Customers pause between two messages.
    pub fn new(processes: &[&Child], graph: Graph, pause: Duration) -> Self {
        let http = http_client::client(ANSWER_WITHIN);
        let (graph, bases) = (Arc::new(graph), watch::Sender::new(listening(processes)));
        Self { graph, bases, pause, http, next: Arc::default(), acknowledged: Arc::default(), told: Arc::default() }
    }

    /// These processes listen from now on.
    pub fn moves_to(&self, processes: &[&Child]) {
        self.bases.send_replace(listening(processes));
    }

    /// Customers write as many messages at once; returns when they are acknowledged.
    pub async fn crowd_writes(&self, many: usize) -> std::ops::Range<usize> {
        let first = self.next.fetch_add(many, Ordering::SeqCst);
        let bases = self.bases.subscribe();
        join_all((first..first + many).map(|n| deliver(&self.http, &bases, 0, message(n)))).await;
        self.acknowledged.fetch_add(many, Ordering::SeqCst);
        first..first + many
    }

    /// Messages the process took, so far.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Messages that Meta told everything of.
    pub fn told(&self) -> usize {
        self.told.load(Ordering::SeqCst)
    }

    /// Customers write until it is over; each message is delivered until it is acknowledged.
    pub fn customers_write(&self, over: &Arc<AtomicBool>) -> Vec<JoinHandle<()>> {
        let writer = |_| {
            let (http, bases, pause) = (self.http.clone(), self.bases.subscribe(), self.pause);
            let (next, acknowledged, over) = (Arc::clone(&self.next), Arc::clone(&self.acknowledged), Arc::clone(over));
            tokio::spawn(async move {
                while !over.load(Ordering::SeqCst) {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    deliver(&http, &bases, n, message(n)).await;
                    acknowledged.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(pause).await;
                }
            })
        };
        (0..WRITERS).map(writer).collect()
    }

    /// Every message that was taken is told to be sent and delivered, in that order or not.
    pub fn statuses_come(&self) -> JoinHandle<()> {
        let (http, bases) = (self.http.clone(), self.bases.subscribe());
        let (graph, told) = (Arc::clone(&self.graph), Arc::clone(&self.told));
        tokio::spawn(async move {
            let mut answers = 0;
            loop {
                let taken = graph.taken();
                let Some(call) = taken.get(told.load(Ordering::SeqCst)) else {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                };
                let wamid = call.wamid.as_deref().unwrap_or_default();
                let words = if taken.len() % 3 == 0 { ["delivered", "sent"] } else { ["sent", "delivered"] };
                for word in words {
                    let webhook = status(wamid, call.to.trim_start_matches('+'), word, Some(&call.correlation));
                    answers = deliver(&http, &bases, answers, webhook).await;
                }
                told.fetch_add(1, Ordering::SeqCst);
            }
        })
    }

    /// Waits until nothing is to be done any more. Once every status is processed, what processes that died before
    /// `died` held and no status settled never left: for that, time may pass faster than it does.
    pub async fn comes_to_rest(&self, pool: &PgPool, died: DateTime<Utc>) {
        // A statement may outlive the process that sent it for a moment; the next process takes longer to start.
        let held_until = died + TimeDelta::milliseconds((ANSWER_SEC * 1_000.0) as i64 + 100);
        let count = async |what: &str| -> i64 {
            let count = format!("select count(*) from {what}");
            sqlx::query_scalar(&count).fetch_one(pool).await.expect("a count")
        };
        eventually("rest", async || {
            let everything_told = self.told.load(Ordering::SeqCst) == self.graph.taken().len();
            if !everything_told || count("webhook_journal where state = 0").await > 0 {
                return None;
            }
            if count("outbox where state <> 4").await == 0 && self.graph.taken().len() >= self.acknowledged() {
                return Some(());
            }
            sqlx::query(
                "update outbox set lease_until = now() - interval '1 second'
                  where (leaving and lease_until < $1) or (state = 3 and lease_until > now())",
            )
            .bind(held_until)
            .execute(pool)
            .await
            .expect("the outbox");
            None
        })
        .await;
    }

    /// Every answer went to whoever had asked.
    pub fn each_answer_went_to_its_customer(&self) {
        for call in self.graph.taken() {
            let n: usize = call.text.trim_start_matches("echo ").parse().expect("a number");
            assert_eq!(call.to, format!("+{}", customer(n)), "an answer for somebody else");
        }
    }
}

fn listening(processes: &[&Child]) -> Vec<String> {
    processes.iter().map(|process| process.base.clone()).collect()
}

/// The n-th message, whoever it is from.
fn message(n: usize) -> Value {
    text_message(&customer(n), &format!("wamid.in.{n}"), &n.to_string())
}

/// Delivers until a process acknowledges it, beginning with the `first`; which one did.
async fn deliver(http: &reqwest::Client, bases: &watch::Receiver<Vec<String>>, first: usize, webhook: Value) -> usize {
    let body = webhook.to_string().into_bytes();
    let signature = signature(SANDBOX_APP_SECRET, &body);
    let mut tried = first;
    loop {
        let base = {
            let bases = bases.borrow();
            bases[tried % bases.len()].clone()
        };
        let url = format!("{base}/api/webhook/whatsapp");
        let request =
            http.post(url).header("content-type", "application/json").header("x-hub-signature-256", &signature);
        if let Ok(answer) = request.body(body.clone()).send().await
            && answer.status().is_success()
        {
            return tried;
        }
        tried += 1;
        tokio::time::sleep(AGAIN).await;
    }
}
