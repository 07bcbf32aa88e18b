//! `POST /api/auth/api-token`.

use std::sync::Arc;

use application::identity::api_access::API_TOKEN_TTL_SEC;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use crate::app::App;
use crate::error::{Failure, SignIn};
use crate::middleware::rate_limit::SignInAllowance;
use crate::routes::Group;
use crate::routes::body::Body;
use crate::security::site::ComesFrom;

/// API credentials.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct Credentials {
    /// The client id.
    #[oai(validator(max_length = 200))]
    client_id: String,
    /// The key.
    #[oai(validator(max_length = 1000))]
    api_key: String,
    /// Seconds the token lives: 60 to 86400; 3600 when absent.
    ttl_sec: Option<u32>,
}

/// A Bearer token.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct ApiToken {
    /// Always true.
    success: bool,
    /// Always `Bearer`.
    token_type: String,
    /// The token.
    access_token: String,
    /// Seconds it lives.
    expires_in_sec: u32,
    /// The account.
    client_number: Uuid,
    /// The client id, as sent.
    client_id: String,
}

/// API tokens.
pub struct ApiTokens;

#[OpenApi(prefix_path = "/auth", tag = "Group::Auth")]
impl ApiTokens {
    /// Exchange API credentials for a token
    ///
    /// For servers: the account's client id and key become a short-lived Bearer token. An administrator must
    /// have approved API access for the account (403 otherwise).
    #[oai(path = "/api-token", method = "post", operation_id = "createApiToken")]
    async fn exchange(
        &self,
        app: Data<&Arc<App>>,
        from: ComesFrom,
        _limit: SignInAllowance,
        body: Body<Credentials>,
    ) -> Result<Json<ApiToken>, Failure<SignIn>> {
        let Credentials { client_id, api_key, ttl_sec } = body.0;
        let issued = app.identity.api_token(&client_id, &api_key, ttl_sec, from.0).await?;
        Ok(Json(ApiToken {
            success: true,
            token_type: "Bearer".to_owned(),
            access_token: issued.token,
            expires_in_sec: ttl_sec.unwrap_or(API_TOKEN_TTL_SEC),
            client_number: issued.user.id,
            client_id,
        }))
    }
}
