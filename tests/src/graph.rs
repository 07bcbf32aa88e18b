//! A stand-in for Meta's Graph API over real HTTP, for tests that decide what it answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use api::compose::listener::Bound;
use futures::stream;
use poem::http::StatusCode;
use poem::web::{Data, Json, Path};
use poem::{Body, EndpointExt, IntoResponse, Response, Route, Server, handler};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// What Graph does with a message.
pub enum Reaction {
    /// Takes it.
    Take,
    /// Takes it after a while.
    TakeAfter(Duration),
    /// Takes it once a permit is there.
    TakeWhen(Arc<Semaphore>),
    /// Takes it, and the connection dies before the answer is told.
    TakeAndDie,
    /// Refuses it with this code.
    Refuse(i64),
}

/// A message as Graph saw it.
#[derive(Debug, Clone)]
pub struct Call {
    /// The line.
    pub line: String,
    /// To whom, with its `+`.
    pub to: String,
    /// The text of a text message.
    pub text: String,
    /// `biz_opaque_callback_data`.
    pub correlation: String,
    /// The id it was given; none when it was refused.
    pub wamid: Option<String>,
    /// How often it was seen, this time included.
    pub times: usize,
    /// When.
    pub at: Instant,
}

type Plan = Box<dyn Fn(&Call) -> Reaction + Send + Sync>;

struct State {
    plan: Mutex<Plan>,
    calls: Mutex<Vec<Call>>,
    under_way: Mutex<HashMap<String, usize>>,
    crowds: Mutex<HashMap<String, usize>>,
}

/// Graph, as far as `POST /{version}/{line}/messages` goes.
pub struct Graph {
    /// What `META_GRAPH_URL` is set to.
    pub url: String,
    state: Arc<State>,
    server: JoinHandle<std::io::Result<()>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Graph {
    /// One that takes everything.
    pub async fn start() -> Self {
        let state = Arc::new(State {
            plan: Mutex::new(Box::new(|_| Reaction::Take)),
            calls: Mutex::default(),
            under_way: Mutex::default(),
            crowds: Mutex::default(),
        });
        let listener = Bound::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
        let url = format!("http://{}", listener.address);
        let routes = Route::new().at("/:version/:line/messages", poem::post(messages)).data(Arc::clone(&state));
        let server = tokio::spawn(Server::new_with_acceptor(listener).run(routes));
        Self { url, state, server }
    }

    /// What it does from now on.
    pub fn plans(&self, plan: impl Fn(&Call) -> Reaction + Send + Sync + 'static) {
        *lock(&self.state.plan) = Box::new(plan);
    }

    /// Everything it was asked, in order.
    pub fn calls(&self) -> Vec<Call> {
        lock(&self.state.calls).clone()
    }

    /// What it took, in order.
    pub fn taken(&self) -> Vec<Call> {
        self.calls().into_iter().filter(|call| call.wamid.is_some()).collect()
    }

    /// How many messages to one customer were under way at once, at most.
    pub fn crowd(&self, to: &str) -> usize {
        lock(&self.state.crowds).get(to).copied().unwrap_or_default()
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Counts a message as under way until it is dropped.
struct UnderWay<'a>(&'a State, String);

impl<'a> UnderWay<'a> {
    fn new(state: &'a State, to: &str) -> Self {
        let mut under_way = lock(&state.under_way);
        let now = under_way.entry(to.to_owned()).or_default();
        *now += 1;
        let mut crowds = lock(&state.crowds);
        let most = crowds.entry(to.to_owned()).or_default();
        *most = (*most).max(*now);
        Self(state, to.to_owned())
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *lock(&self.0.under_way).entry(self.1.clone()).or_default() -= 1;
    }
}

#[handler]
async fn messages(Path((_, line)): Path<(String, String)>, body: Json<Value>, state: Data<&Arc<State>>) -> Response {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let correlation = text(&body["biz_opaque_callback_data"]);
    let to = text(&body["to"]);
    let _under_way = UnderWay::new(&state, &to);
    let times = 1 + lock(&state.calls).iter().filter(|call| call.correlation == correlation).count();
    let wamid = Some(format!("wamid.{}", uuid::Uuid::now_v7().simple()));
    let text = text(&body["text"]["body"]);
    let call = Call { line, to, text, correlation, wamid, times, at: Instant::now() };
    let reaction = (lock(&state.plan))(&call);
    if let Reaction::Refuse(code) = reaction {
        lock(&state.calls).push(Call { wamid: None, ..call });
        let error = json!({ "error": { "message": format!("(#{code}) no"), "type": "OAuthException", "code": code } });
        return Json(error).with_status(StatusCode::BAD_REQUEST).into_response();
    }
    let answer = json!({ "messaging_product": "whatsapp", "contacts": [{ "input": call.to, "wa_id": call.to.trim_start_matches('+') }],
                         "messages": [{ "id": call.wamid }] });
    lock(&state.calls).push(call);
    match reaction {
        Reaction::TakeAfter(pause) => tokio::time::sleep(pause).await,
        Reaction::TakeWhen(gate) => gate.acquire().await.expect("an open gate").forget(),
        Reaction::TakeAndDie => {
            let torn = stream::iter([Ok("{\"messages\":"), Err(std::io::Error::other("the connection dies"))]);
            return Body::from_bytes_stream(torn).into_response();
        }
        Reaction::Take | Reaction::Refuse(_) => {}
    }
    Json(answer).into_response()
}
