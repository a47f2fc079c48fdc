//! `GET /openapi.json`: the description of the API in OpenAPI 3.1. It is written by hand, and tests
//! hold the routes, the answers and its examples against it.

use super::response::Success;
use crate::http::transport::Answer;

/// The document.
pub const DOCUMENT: &str = include_str!("openapi.json");

/// Answers the request.
pub(super) fn openapi() -> Answer {
    Success::OpenApi(DOCUMENT).into_answer()
}
