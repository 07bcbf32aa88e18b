//! The `flowbot` binary.

use api::commands;
use api::config::Cli;
use clap::Parser;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    infrastructure::http_client::install_crypto();
    match commands::run(Cli::parse()).await {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flowbot: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
