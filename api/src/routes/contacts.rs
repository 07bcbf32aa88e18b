//! `DELETE /api/contacts/{id}/personal-data`.

use std::sync::Arc;

use application::time::Stamp;
use domain::shared::ids::ContactId;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use uuid::Uuid;

use crate::app::App;
use crate::error::{BareChange, Failure};
use crate::routes::Group;
use crate::routes::paths::Id;
use crate::security::may::{May, Owner};

/// A contact that was erased.
#[derive(Object)]
#[oai(rename_all = "camelCase")]
struct ContactErased {
    /// When the key was destroyed.
    erased_at: Stamp,
}

/// Contacts.
pub struct ContactsApi;

#[OpenApi(prefix_path = "/contacts", tag = "Group::Conversations")]
impl ContactsApi {
    /// Erase a contact's personal data
    ///
    /// For the account's owner, and for administrators with `account`. Destroys the key that opens what events say of
    /// the person, and removes the person from read models, the outbox, the webhook journal and stored answers.
    /// Conversations and leads stay without name, phone and texts, so counts do not change; the history shows the
    /// events as erased, and its proof stays valid. Whoever writes from the same phone later is a new contact. There
    /// is no way back; asked again, the answer is the same.
    #[oai(path = "/:id/personal-data", method = "delete", operation_id = "eraseContact")]
    async fn erase(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Owner>,
        id: Path<Id>,
        /// Whose contact it is, when it is not the caller's; administrators only.
        account: Query<Option<Uuid>>,
    ) -> Result<Json<ContactErased>, Failure<BareChange>> {
        let session = caller.in_account(account.0)?;
        let erased_at = app.erasure.erase(&session, ContactId(id.0.0)).await?;
        Ok(Json(ContactErased { erased_at: Stamp(erased_at) }))
    }
}
