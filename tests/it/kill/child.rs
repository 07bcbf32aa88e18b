//! The product as another process: this test binary, asked to serve.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use api::config::{Cli, SANDBOX_APP_SECRET};
use clap::Parser;
use tests::cluster::TestDatabase;

/// What asks the binary to serve.
const VARIABLE: &str = "KILL_TEST_SERVES";

/// A running process. Dropped, it is killed.
pub struct Child {
    /// `http://127.0.0.1:port`.
    pub base: String,
    process: std::process::Child,
}

impl Child {
    /// Starts one and waits until it listens.
    pub async fn start(database: &TestDatabase, graph_url: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command
            .args(["kill::serve_as_child", "--exact", "--nocapture"])
            .env(VARIABLE, "1")
            .env("DATABASE_URL", database.url().await)
            .env("FLOWBOT_LISTEN", "127.0.0.1:0")
            .env("FLOWBOT_SECRET_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
            .env("META_GRAPH_URL", graph_url)
            .env("META_APP_SECRET", SANDBOX_APP_SECRET)
            .env("FLOWBOT_DATA_DIR", database.data_dir())
            .env("RUST_LOG", "off")
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let listening = tokio::task::spawn_blocking(move || {
            let mut process = command.spawn().expect("a process");
            let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
            let address = |line: String| line.split_once("listens on ").map(|(_, rest)| rest.to_owned());
            let told = lines.by_ref().map_while(Result::ok).find_map(address).expect("it says where it listens");
            // Whatever else it says must not block it.
            std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
            let base = told.split_whitespace().next().expect("an address").to_owned();
            Self { base, process }
        });
        listening.await.expect("a listening process")
    }
}

impl Child {
    /// Sends it a signal, by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status();
        assert!(sent.expect("a signal").success(), "{name}");
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SIGKILL: no handler, no goodbye.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Serves until killed, when asked to.
pub fn serve() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    infrastructure::http_client::install_crypto();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(api::commands::run(Cli::parse_from(["flowbot", "serve"]))).expect("it serves until it is killed");
}
