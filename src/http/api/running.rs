//! `GET /publish/healthcheck/`: the page by which clients see that the API is running. It says
//! nothing of topics or sinks; the admin listener does.

use super::response::Success;
use crate::http::transport::Answer;

/// Answers the request.
pub(super) fn running() -> Answer {
    Success::Running.into_answer()
}
