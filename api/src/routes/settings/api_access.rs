//! `GET,POST /api/settings/api-access`.

use std::sync::Arc;

use application::identity::api_access::ApiAccess;
use application::time::Stamp;
use domain::access::Permission;
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::app::App;
use crate::error::{Failure, Own, Rotate};
use crate::routes::Group;
use crate::routes::body::OptionalBody;
use crate::security::may::{May, Owner};

/// The account's API credentials.
#[derive(Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
struct ApiAccessView {
    /// The client id; absent before the first key.
    client_id: Option<String>,
    /// The key; only in the answer that made it.
    api_key: Option<String>,
    /// The key's beginning, to know it by; absent before the first key.
    key_prefix: Option<String>,
    /// Whether an administrator allowed its use.
    approved: bool,
    /// What tokens made with the key may do.
    scopes: Vec<Permission>,
    /// When the key was made.
    rotated_at: Option<Stamp>,
}

impl From<ApiAccess> for ApiAccessView {
    fn from(access: ApiAccess) -> Self {
        let ApiAccess { client_id, api_key, key_prefix, approved, scopes, rotated_at } = access;
        Self { client_id, api_key, key_prefix, approved, scopes, rotated_at }
    }
}

/// What the new key may do.
#[derive(Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
struct Wanted {
    /// What tokens made with the key may do: any but `settings` and `people`. Absent, it stays as it is; a first key
    /// may do all that keys may.
    #[oai(validator(max_items = 20))]
    scopes: Option<Vec<Permission>>,
}

/// API credentials.
pub struct ApiAccessApi;

#[OpenApi(prefix_path = "/settings/api-access", tag = "Group::Settings")]
impl ApiAccessApi {
    /// The API credentials
    ///
    /// The account's one credential set, without the key.
    #[oai(path = "/", method = "get", operation_id = "getApiAccess")]
    async fn show(&self, app: Data<&Arc<App>>, caller: May<Owner>) -> Result<Json<ApiAccessView>, Failure<Own>> {
        Ok(Json(app.identity.api_access(&caller.session).await?.into()))
    }

    /// Make or rotate the API key
    ///
    /// Makes the account's credential set, or a new key for it: the old key and the tokens made with it stop working at
    /// once. This answer alone shows the key.
    #[oai(path = "/", method = "post", operation_id = "rotateApiKey")]
    async fn rotate(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Owner>,
        body: OptionalBody<Wanted>,
    ) -> Result<Json<ApiAccessView>, Failure<Rotate>> {
        let scopes = body.0.and_then(|wanted| wanted.scopes);
        Ok(Json(app.identity.rotate_api_key(&caller.session, scopes).await?.into()))
    }
}
