//! Errors in the language of whoever gets them: the one they chose, else the one their browser likes best.

use std::sync::{Arc, OnceLock};

use domain::flow::validation::Problem;
use domain::shared::preferences::Language;
use poem::http::{HeaderValue, StatusCode, header};
use poem::{Body, Endpoint, IntoResponse, Middleware, Request, Response, Result};
use serde_json::Value;

use crate::app::App;
use crate::{language, security};

/// What the person behind a request chose, once [`security::Caller`] knows who they are.
#[derive(Clone, Default)]
pub struct Chosen(Arc<OnceLock<Option<Language>>>);

impl Chosen {
    /// Remembers it for the answer.
    pub fn is(&self, language: Option<Language>) {
        // The same person, however often they are looked up.
        let _ = self.0.set(language);
    }
}

/// The middleware.
pub struct Translate;

/// The middleware around an endpoint.
pub struct Translated<E>(E);

impl<E: Endpoint> Middleware<E> for Translate {
    type Output = Translated<E>;

    fn transform(&self, endpoint: E) -> Self::Output {
        Translated(endpoint)
    }
}

/// Who is answered.
struct Reader {
    app: Option<Arc<App>>,
    token: Option<String>,
    chosen: Chosen,
    accepted: Option<Language>,
}

impl<E: Endpoint> Endpoint for Translated<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> Result<Response> {
        // The sandbox speaks as the providers it plays.
        if request.uri().path().starts_with("/sandbox") {
            return self.0.call(request).await.map(IntoResponse::into_response);
        }
        let reader = Reader {
            app: request.data::<Arc<App>>().cloned(),
            token: security::shown_token(&request).map(|(token, _)| token),
            chosen: Chosen::default(),
            accepted: language::accepted(request.headers()),
        };
        request.set_data(reader.chosen.clone());
        let response = self.0.call(request).await?.into_response();
        let status = response.status();
        if (status.is_client_error() || status.is_server_error()) && is_json(&response) {
            return Ok(translated(response, &reader).await);
        }
        Ok(response)
    }
}

impl Reader {
    /// Refusals from before anybody was looked up look now; what failed inside waits for nothing more.
    async fn language(&self, status: StatusCode) -> Language {
        let chosen = match (self.chosen.0.get(), &self.app, &self.token) {
            (Some(chosen), _, _) => *chosen,
            (None, Some(app), Some(token)) if status.is_client_error() => {
                app.identity.session(token).await.ok().flatten().and_then(|holder| holder.session.language)
            }
            (None, _, _) => None,
        };
        chosen.or(self.accepted).unwrap_or(Language::En)
    }
}

fn is_json(response: &Response) -> bool {
    response.content_type().is_some_and(|kind| kind.starts_with("application/json"))
}

/// The same error with its sentence in the reader's language, and a header that names it.
async fn translated(response: Response, reader: &Reader) -> Response {
    let (mut parts, body) = response.into_parts();
    // However long: we wrote it, and of 10 000 phones each that is none is told.
    let Ok(bytes) = body.into_bytes().await else {
        return Response::from_parts(parts, Body::empty());
    };
    let Some((mut error, code)) = error_of(&bytes) else { return Response::from_parts(parts, Body::from_bytes(bytes)) };
    debug_assert!(language::text(Language::He, &code).is_some(), "the code `{code}` has to be put into every language");
    let language = reader.language(parts.status).await;
    let (language, body) = match language::text(language, &code) {
        Some(text) => {
            error["error"] = Value::from(text);
            if let Some(problems) = error.get_mut("problems") {
                retell(language, problems);
            }
            (language, Body::from_string(error.to_string()))
        }
        None => (Language::En, Body::from_bytes(bytes)),
    };
    parts.headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.as_str()));
    Response::from_parts(parts, body)
}

/// The problems of an error, in the reader's language.
fn retell(language: Language, shown: &mut Value) {
    if let Ok(problems) = serde_json::from_value::<Vec<Problem>>(shown.clone())
        && let Ok(retold) = serde_json::to_value(language::told(language, problems))
    {
        *shown = retold;
    }
}

/// An error of ours, and its code.
fn error_of(bytes: &[u8]) -> Option<(Value, String)> {
    let error: Value = serde_json::from_slice(bytes).ok()?;
    let code = error["code"].as_str().filter(|_| error["error"].is_string())?.to_owned();
    Some((error, code))
}

#[cfg(test)]
mod tests {
    use poem::EndpointExt;
    use poem::endpoint::make_sync;
    use poem::middleware::CookieJarManager;
    use serde_json::json;

    use super::*;
    use crate::error::ApiError;

    async fn answer(accepted: &str) -> (Option<String>, Value) {
        let endpoint =
            make_sync(|_| ApiError::not_found("flow").into_response()).with(Translate).with(CookieJarManager::new());
        let request = Request::builder().header("accept-language", accepted).finish();
        let response = endpoint.call(request).await.unwrap();
        let language = response.header("content-language").map(str::to_owned);
        assert_eq!(response.status().as_u16(), 404);
        (language, response.into_body().into_json().await.unwrap())
    }

    #[tokio::test]
    async fn the_sentence_changes_and_the_code_stays() {
        let english = (Some("en".to_owned()), json!({ "error": "flow not found", "code": "not_found" }));
        assert_eq!(answer("en-GB").await, english);
        assert_eq!(answer("fr").await, english);
        let (language, body) = answer("ru-RU, en;q=0.5").await;
        assert_eq!((language.as_deref(), &body["code"]), (Some("ru"), &json!("not_found")));
        assert_eq!(body["error"], "Запрошенный объект не найден.");
    }

    #[tokio::test]
    async fn what_is_no_error_of_ours_stays_as_it_is() {
        let body = json!({ "error": { "message": "Graph's" } });
        let shown = body.clone();
        let graph = move || poem::web::Json(shown.clone()).with_status(poem::http::StatusCode::BAD_REQUEST);
        let endpoint = make_sync(move |_| graph().into_response()).with(Translate).with(CookieJarManager::new());
        let response = endpoint.call(Request::builder().header("accept-language", "ru").finish()).await.unwrap();
        assert_eq!(response.header("content-language"), None);
        assert_eq!(response.into_body().into_json::<Value>().await.unwrap(), body);
    }

    #[tokio::test]
    async fn an_error_that_tells_much_tells_all_of_it() {
        let body = json!({ "error": "x".repeat(3 << 20), "code": "not_found" });
        let shown = body.clone();
        let long = move || poem::web::Json(shown.clone()).with_status(poem::http::StatusCode::BAD_REQUEST);
        let endpoint = make_sync(move |_| long().into_response()).with(Translate).with(CookieJarManager::new());
        let response = endpoint.call(Request::default()).await.unwrap();
        assert_eq!(response.into_body().into_json::<Value>().await.unwrap(), body);
    }
}
