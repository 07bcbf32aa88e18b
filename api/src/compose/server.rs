//! A whole process: grounds, adapters, workers, routes; from its start to its last request.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use application::time::{Clock, NewId};
use infrastructure::clock::{RandomIds, SystemClock};
use infrastructure::sandbox::{MetaSandbox, SandboxConfig};
use infrastructure::security::ports::Argon2Passwords;
use poem::{EndpointExt, Route, Server};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::compose::adapters::{self, Grounds};
use crate::compose::listener::Bound;
use crate::compose::{health, mail, workers};
use crate::compose::{master_key, secret_box};
use crate::config::Config;
use crate::middleware::rate_limit::RateLimits;
use crate::openapi;

/// How long requests and sends may go on after the signal to stop.
const DRAIN_MAX: Duration = Duration::from_secs(5);
/// How long after a send the sandbox tells its status, in milliseconds.
const SANDBOX_STATUS_DELAY_MS: u64 = 20;

/// A running process.
pub struct Running {
    /// The rooms.
    pub app: Arc<App>,
    /// The administrator's password, when it was just generated.
    pub generated_password: Option<String>,
    stop: CancellationToken,
    tasks: TaskTracker,
    http: JoinHandle<std::io::Result<()>>,
}

/// What a process runs on, but for its configuration.
pub struct Setting {
    /// The database, with this build's schema.
    pub pool: PgPool,
    /// Now.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub ids: Arc<dyn NewId>,
    /// How often the limited operations may be called.
    pub limits: RateLimits,
}

impl Setting {
    /// The real clock, random ids, the limits the API promises.
    pub fn real(pool: PgPool) -> Self {
        Self { pool, clock: Arc::new(SystemClock), ids: Arc::new(RandomIds), limits: RateLimits::standard() }
    }

    /// As [`Setting::real`], with what the operator decided of the limits.
    pub fn configured(pool: PgPool, config: &Config) -> Self {
        if config.lift_limits {
            tracing::warn!(
                "FLOWBOT_LIFT_LIMITS is set: nothing is limited, passwords may be guessed as fast as can be"
            );
        }
        let limits = if config.lift_limits { RateLimits::lifted() } else { RateLimits::standard() };
        Self { limits: RateLimits { behind_proxy: config.behind_proxy, ..limits }, ..Self::real(pool) }
    }
}

/// Starts everything the roles say.
///
/// # Errors
/// The key cannot be read, the database cannot be reached, or the account of the administrator cannot be made.
pub async fn start(config: &Config, setting: Setting, listener: Bound) -> anyhow::Result<Running> {
    health::recorder();
    if config.otlp_endpoint.is_some() {
        tracing::warn!("OTEL_EXPORTER_OTLP_ENDPOINT is set, but this release exports no traces yet");
    }
    let Setting { pool, clock, ids, limits } = setting;
    let key = master_key(config)?;
    let node = ids.new_id();
    let (mailer, mail_sandbox) = mail::set_up(config).await?;
    let grounds = Grounds { pool, clock, ids, key, secrets: secret_box(config, &key), node, mailer };
    let adapters = adapters::build(&grounds, config, limits);
    let password = config.admin_password.as_ref().map(|it| it.expose().clone());
    let made = adapters.users.ensure_admin(
        &config.admin_username,
        password,
        &Argon2Passwords,
        &*grounds.ids,
        grounds.clock.now(),
    );
    let generated_password = made.await.context("the first administrator cannot be made")?;
    let stop = CancellationToken::new();
    let tasks = workers::start(&grounds, &adapters, config, &stop).await?;
    let app = Arc::new(adapters.app);
    let mut extra = Route::new().at("/readyz", poem::get(health::readyz)).at("/metrics", poem::get(health::prometheus));
    if let Some(sandbox) = mail_sandbox {
        extra = extra.at("/sandbox/mailbox", sandbox.endpoint());
    }
    if config.sandbox {
        let secret = config.meta.app_secret.as_ref().map(|it| it.expose().clone()).unwrap_or_default();
        let webhook_url = format!("http://{}/api/webhook/whatsapp", listener.address);
        let sandbox = SandboxConfig {
            app_secret: secret,
            webhook_url,
            status_delay_ms: SANDBOX_STATUS_DELAY_MS,
            app_id: config.meta.app_id.clone().unwrap_or_default(),
            google_client_id: config.social.google_client_id.clone().unwrap_or_default(),
        };
        extra = extra.nest("/sandbox", Arc::new(MetaSandbox::new(sandbox)).routes());
    }
    let endpoint = if config.roles.api {
        openapi::routes(Arc::clone(&app), extra).data(grounds.pool.clone()).boxed()
    } else {
        extra.data(grounds.pool.clone()).map_to_response().boxed()
    };
    let drain = stop.clone();
    let http = tokio::spawn(async move {
        Server::new_with_acceptor(listener)
            .run_with_graceful_shutdown(endpoint, async move { drain.cancelled().await }, Some(DRAIN_MAX))
            .await
    });
    Ok(Running { app, generated_password, stop, tasks, http })
}

impl Running {
    /// Stops taking requests, finishes what is under way, at most 5 s.
    pub async fn stop(self) {
        self.stop.cancel();
        let drained = async {
            drop(self.http.await);
            self.tasks.wait().await;
        };
        if tokio::time::timeout(DRAIN_MAX, drained).await.is_err() {
            tracing::warn!("Some work was cut off; it is picked up at the next start");
        }
    }

    /// Resolves when the process is asked to end (SIGTERM, Ctrl-C) or the server fails.
    ///
    /// # Errors
    /// The server failed.
    pub async fn until_signal(&mut self) -> anyhow::Result<()> {
        let mut term = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            _ = term.recv() => Ok(()),
            done = tokio::signal::ctrl_c() => Ok(done?),
            ended = &mut self.http => ended?.context("the server ended"),
        }
    }
}
