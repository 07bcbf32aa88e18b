//! A panic ends its request alone, and tells the client nothing.

use std::any::Any;

use poem::middleware::PanicHandler;
use poem::{IntoResponse, Response};

use crate::error::ApiError;

/// Answers for a handler that panicked.
#[derive(Clone)]
pub struct AnswerPanic;

impl PanicHandler for AnswerPanic {
    type Response = Response;

    fn get_response(&self, panic: Box<dyn Any + Send + 'static>) -> Response {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        tracing::error!(panic = text.as_deref().unwrap_or("?"), "A handler panicked");
        ApiError::internal().into_response()
    }
}
