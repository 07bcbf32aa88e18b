//! The one way to build an HTTP client.

use std::sync::Once;
use std::time::Duration;

/// How long a whole request may take unless a caller has a reason for another time.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const IDLE_PER_HOST: usize = 64;

static CRYPTO: Once = Once::new();

/// A client for calls out: HTTP/1.1, no redirects, nothing taken from the environment's proxy settings.
/// `timeout` bounds a whole request, its answer's body included.
///
/// # Panics
/// The system has no certificate store to verify TLS against. Call it at start-up.
pub fn client(timeout: Duration) -> reqwest::Client {
    install_crypto();
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .tcp_nodelay(true)
        .http1_only()
        .no_proxy()
        .user_agent("flowbot")
        .build()
        .expect("the TLS backend needs the system's certificate store")
}

/// Makes ring the process's TLS provider, once. A provider installed before stays.
pub fn install_crypto() {
    CRYPTO.call_once(|| {
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::debug!("a TLS provider was installed before");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_can_be_built_more_than_once_and_an_unreachable_host_is_a_connect_error() {
        let _first = client(DEFAULT_TIMEOUT);
        let error = client(Duration::from_secs(2)).get("http://127.0.0.1:1/").send().await.expect_err("no one listens");
        assert!(error.is_connect());
    }
}
