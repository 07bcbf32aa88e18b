//! Google and Facebook, asked over HTTP who somebody is.

mod graph;
mod id_token;
mod jwks;

use std::sync::Arc;

use application::error::{AppError, AppResult};
use application::identity::social::{Credential, Profile, Provider, SocialProviders};
use application::time::Clock;
use async_trait::async_trait;

use crate::social::graph::Graph;
use crate::social::id_token::Expected;
use crate::social::jwks::Jwks;

const GOOGLE_KEYS: &str = "/oauth2/v3/certs";
const GOOGLE_ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
const FACEBOOK_KEYS: &str = "/.well-known/oauth/openid/jwks/";
const FACEBOOK_ISSUERS: [&str; 2] = ["https://www.facebook.com", "https://limited.facebook.com"];

/// An answer of a provider is a page of JSON; what is longer is none.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Our app at the providers, and where they are.
#[derive(Debug, Clone, Default)]
pub struct SocialSettings {
    /// Google's keys are below this.
    pub google_url: String,
    /// Our client at Google; without it nobody signs in with Google.
    pub google_client_id: Option<String>,
    /// Facebook's keys are below this.
    pub facebook_url: String,
    /// The Graph API, with its version.
    pub graph_url: String,
    /// Our app at Facebook; without it nobody signs in with Facebook.
    pub facebook_app_id: Option<String>,
    /// Its secret; without it no access token is taken.
    pub facebook_app_secret: Option<String>,
}

/// Why a provider's word is not taken.
#[derive(Debug, thiserror::Error)]
enum SocialError {
    /// It is not good, and why.
    #[error("{0}")]
    Refused(String),
    /// The provider cannot be asked.
    #[error("{0}")]
    Unreachable(String),
}

impl SocialError {
    fn refused(why: impl ToString) -> Self {
        Self::Refused(why.to_string())
    }

    /// Never with the address, which may hold a token.
    fn unreachable(error: reqwest::Error) -> Self {
        Self::Unreachable(error.without_url().to_string())
    }
}

/// [`SocialProviders`] over HTTP.
pub struct HttpSocialProviders {
    settings: SocialSettings,
    google: Jwks,
    facebook: Jwks,
    graph: Graph,
    clock: Arc<dyn Clock>,
}

impl HttpSocialProviders {
    /// The providers of these settings.
    pub fn new(http: reqwest::Client, settings: SocialSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            google: Jwks::new(http.clone(), format!("{}{GOOGLE_KEYS}", settings.google_url)),
            facebook: Jwks::new(http.clone(), format!("{}{FACEBOOK_KEYS}", settings.facebook_url)),
            graph: Graph::new(http, settings.graph_url.clone()),
            settings,
            clock,
        }
    }

    async fn google(&self, credential: &Credential, client_id: &str) -> Result<Profile, SocialError> {
        let Credential::IdToken(token) = credential else {
            return Err(SocialError::refused("Google's word is an ID token"));
        };
        let expected = Expected { issuers: &GOOGLE_ISSUERS, audience: client_id };
        let claims = id_token::verify(token, &self.google, &expected, self.clock.now()).await?;
        let email = claims.email.filter(|_| claims.email_verified == Some(true));
        Ok(Profile { provider: Provider::Google, subject: claims.sub, email, name: claims.name })
    }

    async fn facebook(&self, credential: &Credential, app_id: &str) -> Result<Profile, SocialError> {
        match credential {
            Credential::IdToken(token) => {
                let expected = Expected { issuers: &FACEBOOK_ISSUERS, audience: app_id };
                let claims = id_token::verify(token, &self.facebook, &expected, self.clock.now()).await?;
                // Facebook shows addresses it has confirmed and no others; a claim to the contrary counts.
                let email = claims.email.filter(|_| claims.email_verified != Some(false));
                Ok(Profile { provider: Provider::Facebook, subject: claims.sub, email, name: claims.name })
            }
            Credential::AccessToken(token) => {
                let secret = self.settings.facebook_app_secret.as_deref();
                let secret = secret.ok_or_else(|| SocialError::refused("without an app secret no token is taken"))?;
                self.graph.person(token, app_id, secret, self.clock.now()).await
            }
        }
    }
}

#[async_trait]
impl SocialProviders for HttpSocialProviders {
    async fn verify(&self, provider: Provider, credential: &Credential) -> AppResult<Profile> {
        let client = match provider {
            Provider::Google => self.settings.google_client_id.as_deref(),
            Provider::Facebook => self.settings.facebook_app_id.as_deref(),
        };
        let Some(client) = client else {
            let message = format!("signing in with {} is not set up here", provider.as_str());
            return Err(AppError::Conflict { code: "provider_not_configured", message });
        };
        let told = match provider {
            Provider::Google => self.google(credential, client).await,
            Provider::Facebook => self.facebook(credential, client).await,
        };
        told.map_err(|error| match error {
            SocialError::Refused(why) => {
                tracing::info!(provider = provider.as_str(), %why, "A provider's token was not taken");
                AppError::Unauthorized("the provider's token is not valid".into())
            }
            SocialError::Unreachable(why) => {
                tracing::warn!(provider = provider.as_str(), %why, "A provider cannot be asked");
                AppError::ProviderUnavailable(match provider {
                    Provider::Google => "Google",
                    Provider::Facebook => "Facebook",
                })
            }
        })
    }
}

/// The body of an answer, if it is short.
async fn short_body(mut response: reqwest::Response) -> Result<Vec<u8>, SocialError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(SocialError::unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > ANSWER_BYTES_MAX {
            return Err(SocialError::Unreachable("the answer is too long".to_owned()));
        }
    }
    Ok(body)
}
