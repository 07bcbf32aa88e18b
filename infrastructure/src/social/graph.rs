//! Facebook's classic access tokens: the Graph API says whose a token is, and that it was made for our app.

use application::identity::social::{Profile, Provider};
use chrono::{DateTime, Utc};
use hmac::Mac;
use reqwest::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::security::hmac_sha256;
use crate::social::{SocialError, short_body};

/// The longest token that is passed on.
const TOKEN_BYTES_MAX: usize = 4_096;

/// The Graph API.
pub(super) struct Graph {
    http: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
struct Debugged {
    data: Inspected,
}

/// What `debug_token` says of a token.
#[derive(Deserialize)]
struct Inspected {
    app_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    is_valid: bool,
    #[serde(default)]
    expires_at: i64,
    user_id: Option<String>,
}

#[derive(Deserialize)]
struct Person {
    id: String,
    name: Option<String>,
    email: Option<String>,
}

impl Graph {
    pub(super) fn new(http: reqwest::Client, url: String) -> Self {
        Self { http, url }
    }

    /// Whose token it is, if it was made for our app.
    pub(super) async fn person(
        &self,
        token: &str,
        app_id: &str,
        app_secret: &str,
        now: DateTime<Utc>,
    ) -> Result<Profile, SocialError> {
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(SocialError::refused("it is no token"));
        }
        let ours = format!("{app_id}|{app_secret}");
        let told: Debugged = self.get("debug_token", &ours, &[("input_token", token)]).await?;
        let told = told.data;
        let for_us = told.is_valid && told.app_id.as_deref() == Some(app_id) && told.kind.as_deref() == Some("USER");
        let lasts = told.expires_at == 0 || told.expires_at > now.timestamp();
        let user = told.user_id.filter(|id| for_us && lasts && !id.is_empty());
        let user = user.ok_or_else(|| SocialError::refused("it is not good, or was made for another app"))?;
        let mut proof = hmac_sha256(app_secret.as_bytes());
        proof.update(token.as_bytes());
        let proof = hex::encode(proof.finalize().into_bytes());
        let asked = [("fields", "id,name,email"), ("appsecret_proof", proof.as_str())];
        let person: Person = self.get("me", token, &asked).await?;
        if person.id != user {
            return Err(SocialError::refused("the Graph API says two things of it"));
        }
        Ok(Profile { provider: Provider::Facebook, subject: user, email: person.email, name: person.name })
    }

    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        bearer: &str,
        query: &[(&str, &str)],
    ) -> Result<T, SocialError> {
        let url = reqwest::Url::parse_with_params(&format!("{}/{path}", self.url), query);
        let url = url.map_err(|_| SocialError::Unreachable("META_GRAPH_URL is no address".to_owned()))?;
        let response = self.http.get(url).bearer_auth(bearer).send().await.map_err(SocialError::unreachable)?;
        let status = response.status();
        let body = short_body(response).await?;
        match status {
            StatusCode::OK => serde_json::from_slice(&body)
                .map_err(|error| SocialError::Unreachable(format!("the answer cannot be read: {error}"))),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(SocialError::Refused(format!("{path} answered {status}")))
            }
            other => Err(SocialError::Unreachable(format!("{path} answered {other}"))),
        }
    }
}
