//! `POST /api/auth/language`, `POST /api/auth/theme`.

use std::sync::Arc;

use domain::shared::preferences::{Language, Theme};
use poem::web::Data;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};

use crate::app::App;
use crate::error::{Failure, Prefer};
use crate::routes::Group;
use crate::routes::answers::{DONE, Done};
use crate::routes::body::Body;
use crate::security::may::{May, Person};

/// A language.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct SpokenLanguage {
    /// The language.
    language: Language,
}

/// A theme.
#[derive(Object)]
#[oai(deny_unknown_fields)]
struct ShownTheme {
    /// The theme.
    theme: Theme,
}

/// What people prefer.
pub struct PreferencesApi;

#[OpenApi(prefix_path = "/auth", tag = "Group::Auth")]
impl PreferencesApi {
    /// Choose a language
    ///
    /// Errors and letters are in this language from now on, whatever the browser likes best. Codes of errors stay
    /// the same in all.
    #[oai(path = "/language", method = "post", operation_id = "saveLanguage")]
    async fn language(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Person>,
        body: Body<SpokenLanguage>,
    ) -> Result<Json<Done>, Failure<Prefer>> {
        app.preferences.speak(&caller.session, body.language).await?;
        Ok(DONE)
    }

    /// Choose a theme
    ///
    /// Remembers how the person wants the user interface to look; `GET /api/auth/me` tells it.
    #[oai(path = "/theme", method = "post", operation_id = "saveTheme")]
    async fn theme(
        &self,
        app: Data<&Arc<App>>,
        caller: May<Person>,
        body: Body<ShownTheme>,
    ) -> Result<Json<Done>, Failure<Prefer>> {
        app.preferences.dress(&caller.session, body.theme).await?;
        Ok(DONE)
    }
}
