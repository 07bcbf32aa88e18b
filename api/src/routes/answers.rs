//! The shapes operations answer in.

use application::flows::Written;
use application::page::{Cursor, LIMIT_DEFAULT, Page, PageRequest};
use poem::Request;
use poem::http::Uri;
use poem_openapi::payload::Json;
use poem_openapi::types::ToJSON;
use poem_openapi::{ApiResponse, Object};

use crate::error::ApiError;

/// It worked.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
pub struct Done {
    /// Always true.
    pub success: bool,
}

/// It worked.
pub const DONE: Json<Done> = Json(Done { success: true });

/// An answer to a write.
#[derive(ApiResponse)]
pub enum Answer<T: ToJSON> {
    /// Done; this is how it stands now.
    #[oai(status = 200)]
    Ok(
        Json<T>,
        /// `true` when reads may not show the change for a moment; absent otherwise.
        #[oai(header = "Projection-Lag")]
        Option<bool>,
    ),
}

/// An answer to a write that made something.
#[derive(ApiResponse)]
pub enum Made<T: ToJSON> {
    /// Made; this is how it stands now.
    #[oai(status = 201)]
    Created(
        Json<T>,
        /// `true` when reads may not show it for a moment; absent otherwise.
        #[oai(header = "Projection-Lag")]
        Option<bool>,
    ),
}

/// A page of something.
#[derive(ApiResponse)]
pub enum Paged<T: ToJSON> {
    /// A page.
    #[oai(status = 200)]
    Page(
        Json<T>,
        /// The `cursor` of the next page; absent on the last one.
        #[oai(header = "X-Next-Cursor")]
        Option<String>,
        /// The next page's address, as `<…>; rel="next"`; absent on the last one.
        #[oai(header = "Link")]
        Option<String>,
        /// How many there are on all pages, where that is cheap to know.
        #[oai(header = "X-Total-Count")]
        Option<u64>,
    ),
}

impl<T: ToJSON> From<Written<T>> for Answer<T> {
    fn from(written: Written<T>) -> Self {
        Self::Ok(Json(written.view), lag(written.caught_up))
    }
}

impl<T: ToJSON> From<Written<T>> for Made<T> {
    fn from(written: Written<T>) -> Self {
        Self::Created(Json(written.view), lag(written.caught_up))
    }
}

impl<T: ToJSON> Paged<Vec<T>> {
    /// A page of a list.
    pub fn of(page: Page<T>, request: &Request) -> Self {
        let (next, link) = next(page.next.as_ref(), request.original_uri());
        Self::Page(Json(page.rows), next, link, page.total)
    }
}

/// The `Projection-Lag` header, when there is a lag.
pub fn lag(caught_up: bool) -> Option<bool> {
    (!caught_up).then_some(true)
}

/// Which page a client asks for.
///
/// # Errors
/// The cursor is none of ours.
pub fn page(limit: u32, cursor: Option<&str>) -> Result<PageRequest, ApiError> {
    Ok(PageRequest { limit, after: cursor.map(Cursor::read).transpose()? })
}

/// Rows of a page when the client does not say.
pub const fn limit_default() -> u32 {
    LIMIT_DEFAULT
}

/// The `X-Next-Cursor` and `Link` headers of an answer to what was asked at `uri`.
pub fn next(cursor: Option<&Cursor>, uri: &Uri) -> (Option<String>, Option<String>) {
    let token = cursor.map(Cursor::token);
    let link = token.as_ref().map(|token| {
        let kept = uri.query().unwrap_or_default().split('&').filter(|it| !it.is_empty() && !it.starts_with("cursor="));
        let query: Vec<&str> = kept.collect();
        let and = if query.is_empty() { "" } else { "&" };
        format!("<{}?{}{and}cursor={token}>; rel=\"next\"", uri.path(), query.join("&"))
    });
    (token, link)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_keeps_the_question() {
        let cursor = Cursor { sort: "1".into(), key: "a".into() };
        let link = |uri: &'static str| next(Some(&cursor), &Uri::from_static(uri)).1.unwrap();
        assert_eq!(link("/api/leads"), "</api/leads?cursor=317e61>; rel=\"next\"");
        assert_eq!(link("/api/leads?limit=2&cursor=00"), "</api/leads?limit=2&cursor=317e61>; rel=\"next\"");
        assert_eq!(next(None, &Uri::from_static("/api/leads")), (None, None));
        assert_eq!(page(50, Some("317e61")).unwrap().after, Some(cursor));
        assert_eq!(page(50, Some("zz")).unwrap_err().status.as_u16(), 400);
    }
}
