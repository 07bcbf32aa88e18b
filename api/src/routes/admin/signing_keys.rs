//! `GET,POST /api/admin/signing-keys`.

use std::sync::Arc;

use application::identity::signing_keys::SigningKeyView;
use poem::web::Data;
use poem_openapi::OpenApi;
use poem_openapi::payload::Json;

use crate::app::App;
use crate::error::{Failure, Own};
use crate::routes::Group;
use crate::security::may::{Administrator, May};

/// What tokens are signed with.
pub struct SigningKeysApi;

#[OpenApi(prefix_path = "/admin/signing-keys", tag = "Group::Admin")]
impl SigningKeysApi {
    /// List the signing keys
    ///
    /// The key that signs sessions and API tokens, and those before it whose tokens are still good; the newest first.
    /// The keys themselves are derived from the master key and shown nowhere.
    #[oai(path = "/", method = "get", operation_id = "listSigningKeys")]
    async fn list(
        &self,
        app: Data<&Arc<App>>,
        _admin: May<Administrator>,
    ) -> Result<Json<Vec<SigningKeyView>>, Failure<Own>> {
        Ok(Json(app.signing_keys.list(app.clock.now()).await?))
    }

    /// Rotate the signing key
    ///
    /// A new key signs from now on, on every node within 30 seconds. Nobody is signed out: tokens of the key before
    /// stay good until they expire.
    #[oai(path = "/", method = "post", operation_id = "rotateSigningKey")]
    async fn rotate(
        &self,
        app: Data<&Arc<App>>,
        admin: May<Administrator>,
    ) -> Result<Json<Vec<SigningKeyView>>, Failure<Own>> {
        Ok(Json(app.signing_keys.rotate(&admin.session, app.clock.now()).await?))
    }
}
