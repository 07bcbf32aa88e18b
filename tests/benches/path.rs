//! The whole path, webhook in to answer out, measured by pathbench from outside: capacity, a steady rate,
//! every webhook twice, kill -9 in a burst. `cargo bench --bench path`
//!
//! pathbench lies beside the project (../shared/tools/pathbench); where it does not, this says so and ends.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::{Value, json};

const ADDRESS: &str = "127.0.0.1:8097";
const SERVE: &str = "FLOWBOT_BENCH";

/// A name, and pathbench's arguments.
const RUNS: [(&str, &[&str]); 5] = [
    ("capacity, 50 conversations", &["--connections", "50", "--customers", "50", "--warmup", "2", "--seconds", "15"]),
    (
        "300 messages/s",
        &["--rate", "300", "--connections", "1000", "--customers", "5000", "--warmup", "2", "--seconds", "30"],
    ),
    (
        "every webhook twice, with statuses",
        &[
            "--rate",
            "300",
            "--connections",
            "1000",
            "--customers",
            "5000",
            "--deliveries",
            "2",
            "--statuses",
            "--seconds",
            "15",
        ],
    ),
    (
        "burst at 1 500/s",
        &[
            "--burst",
            "--rate",
            "1500",
            "--connections",
            "2000",
            "--customers",
            "5000",
            "--seconds",
            "6",
            "--answer-timeout-s",
            "30",
        ],
    ),
    (
        "kill -9 in that burst",
        &[
            "--burst",
            "--rate",
            "1500",
            "--connections",
            "2000",
            "--customers",
            "5000",
            "--seconds",
            "6",
            "--kill-after",
            "3",
            "--meta-retry",
            "--answer-timeout-s",
            "30",
        ],
    ),
];

fn main() -> anyhow::Result<()> {
    if std::env::args().any(|argument| argument == "serve") {
        return serve();
    }
    let source = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/tools/pathbench"));
    if !source.join("Cargo.toml").is_file() {
        println!("pathbench is not beside the project: nothing was measured.");
        return Ok(());
    }
    let scratch = std::env::temp_dir().join("flowbot-bench");
    let target = scratch.join("pathbench");
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "--target-dir"])
        .arg(&target)
        .current_dir(&source)
        .status()?;
    anyhow::ensure!(built.success(), "pathbench does not build");
    let pathbench = target.join("release/pathbench");
    println!(
        "| run | answered/s | ack p50 · p99 ms | webhook to send p50 · p99 ms | lost | twice | misdirected | RSS max MiB |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, arguments) in RUNS {
        let report = measure(&scratch.join("data"), &pathbench, arguments)?;
        let of = |path: &str| report.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN);
        println!(
            "| {name} | {:.0} | {:.0} · {:.0} | {:.0} · {:.0} | {} | {} | {} | {:.0} |",
            of("/answered_per_s"),
            of("/ack/p50_ms"),
            of("/ack/p99_ms"),
            of("/answer/p50_ms"),
            of("/answer/p99_ms"),
            of("/lost"),
            of("/duplicates"),
            of("/misdirected"),
            of("/rss_mib/max"),
        );
    }
    Ok(())
}

/// This process as FlowBot.
fn serve() -> anyhow::Result<()> {
    infrastructure::http_client::install_crypto();
    let cli = api::config::Cli::parse_from(["flowbot", "serve"]);
    tokio::runtime::Runtime::new()?.block_on(api::commands::run(cli))
}

fn flowbot(data: &std::path::Path) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let variables = [
        ("FLOWBOT_LISTEN", ADDRESS),
        ("FLOWBOT_ADMIN_PASSWORD", "bench-password"),
        ("META_GRAPH_URL", "http://127.0.0.1:9200"),
        ("META_APP_SECRET", "pathbench-secret"),
        ("RUST_LOG", "warn"),
    ];
    command.arg("serve").env("FLOWBOT_DATA_DIR", data).envs(variables).env_remove("DATABASE_URL").env_remove(SERVE);
    command.stdout(Stdio::null());
    Ok(command)
}

/// One run on a fresh data directory.
fn measure(data: &std::path::Path, pathbench: &std::path::Path, arguments: &[&str]) -> anyhow::Result<Value> {
    drop(std::fs::remove_dir_all(data));
    std::fs::create_dir_all(data)?;
    let mut child = flowbot(data)?.spawn()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(prepare())?;
    let restart = data.with_file_name("restart.sh");
    let executable = std::env::current_exe()?;
    let script = format!(
        "#!/bin/sh\nFLOWBOT_LISTEN={ADDRESS} FLOWBOT_ADMIN_PASSWORD=bench-password META_GRAPH_URL=http://127.0.0.1:9200 \
         META_APP_SECRET=pathbench-secret RUST_LOG=warn FLOWBOT_DATA_DIR={} exec {} serve >/dev/null\n",
        data.display(),
        executable.display()
    );
    std::fs::write(&restart, script)?;
    let mut run = Command::new(pathbench);
    run.args(["--target", &format!("http://{ADDRESS}/api/webhook/whatsapp"), "--pid", &child.id().to_string()])
        .args(arguments);
    if arguments.contains(&"--kill-after") {
        run.args(["--restart-cmd", &format!("sh {}", restart.display())]);
    }
    let output = run.stderr(Stdio::null()).output()?;
    stop(&mut child);
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rev().find(|line| line.starts_with('{')).unwrap_or("{}");
    Ok(serde_json::from_str(line)?)
}

/// Ends FlowBot; a restarted one is found by its address.
fn stop(child: &mut Child) {
    drop(Command::new("pkill").args(["-TERM", "-f", "path-.* serve"]).status());
    drop(child.wait());
    let began = Instant::now();
    while std::net::TcpStream::connect(ADDRESS).is_ok() && began.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A line that the stand-in plays, without Meta's limits, and a flow with one keyword and one answer.
async fn prepare() -> anyhow::Result<()> {
    let http = infrastructure::http_client::client(Duration::from_secs(10));
    let base = format!("http://{ADDRESS}");
    let began = Instant::now();
    while http.get(format!("{base}/readyz")).send().await.is_err() {
        anyhow::ensure!(began.elapsed() < Duration::from_secs(60), "FlowBot does not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sign_in = json!({ "username": "admin", "password": "bench-password" });
    let response = http.post(format!("{base}/api/auth/login")).json(&sign_in).send().await?.error_for_status()?;
    let cookie = response.headers()["set-cookie"].to_str()?.split(';').next().unwrap_or_default().to_owned();
    let line = json!({ "phoneNumberId": tests::app::LINE, "wabaId": "200000000000002", "accessToken": "bench-token",
                       "displayPhoneNumber": "15550001111", "messagesPerSecond": 1000, "pairLimit": false });
    let flow = json!({ "name": "menu", "status": "active", "drawflowData": tests::flows::drawflow(&[
        ("1", "trigger_message", json!({ "keywords": ["hello"] }), &["2"]),
        ("2", "send_text", json!({ "text": "You said {{trigger.text}}" }), &[])]) });
    for (path, body) in [("/api/settings/whatsapp", line), ("/api/flows", flow)] {
        http.post(format!("{base}{path}")).header("cookie", &cookie).json(&body).send().await?.error_for_status()?;
    }
    Ok(())
}
