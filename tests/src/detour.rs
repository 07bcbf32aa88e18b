//! A detour between the product and the sandbox's Graph, on which answers get lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::compose::listener::Bound;
use infrastructure::http_client;
use poem::http::{HeaderMap, Method, StatusCode, Uri};
use poem::web::Data;
use poem::{Body, EndpointExt, Response, Route, Server, handler};
use tokio::task::JoinHandle;

/// The way to Graph.
pub struct Detour {
    /// What `META_GRAPH_URL` is set to.
    pub url: String,
    state: Arc<State>,
    server: JoinHandle<std::io::Result<()>>,
}

struct State {
    graph: String,
    http: reqwest::Client,
    submissions: AtomicUsize,
    lost_from: AtomicUsize,
    lost: AtomicUsize,
}

impl Detour {
    /// A way to this Graph on which nothing gets lost.
    pub async fn to(graph: &str) -> Self {
        let state = Arc::new(State {
            graph: graph.to_owned(),
            http: http_client::client(Duration::from_secs(30)),
            submissions: AtomicUsize::new(0),
            lost_from: AtomicUsize::new(usize::MAX),
            lost: AtomicUsize::new(0),
        });
        let listener = Bound::bind("127.0.0.1:0".parse().expect("an address")).await.expect("a port");
        let url = format!("http://{}", listener.address);
        let routes = Route::new().nest("/", passes.data(Arc::clone(&state)).map_to_response());
        let server = tokio::spawn(Server::new_with_acceptor(listener).run(routes));
        Self { url, state, server }
    }

    /// Graph takes submissions, and from this one on (the first is 1) nobody hears of it.
    pub fn loses_answers_from(&self, submission: usize) {
        self.state.lost_from.store(submission, Ordering::SeqCst);
    }

    /// Answers arrive again.
    pub fn is_mended(&self) {
        self.loses_answers_from(usize::MAX);
    }

    /// Submissions of templates that came this way.
    pub fn submissions(&self) -> usize {
        self.state.submissions.load(Ordering::SeqCst)
    }

    /// Answers that were lost.
    pub fn lost(&self) -> usize {
        self.state.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Detour {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[handler]
async fn passes(method: Method, uri: &Uri, headers: &HeaderMap, body: Body, state: Data<&Arc<State>>) -> Response {
    let is_submission = method == Method::POST && uri.path().ends_with("/message_templates");
    let bytes = body.into_vec().await.unwrap_or_default();
    let mut request = state.http.request(method, format!("{}{uri}", state.graph)).body(bytes);
    for name in ["authorization", "content-type"] {
        if let Some(value) = headers.get(name) {
            request = request.header(name, value);
        }
    }
    let number = if is_submission { state.submissions.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
    let answer = request.send().await.expect("an answer of the sandbox");
    if number >= state.lost_from.load(Ordering::SeqCst) {
        state.lost.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<()>().await;
    }
    let status = StatusCode::from_u16(answer.status().as_u16()).expect("a status");
    let bytes = answer.bytes().await.unwrap_or_default();
    Response::builder().status(status).content_type("application/json").body(bytes.to_vec())
}
