//! The public API: requests to answers.
//!
//! `service` dispatches a request to its endpoint; each endpoint is a file. `response` alone writes
//! statuses and messages. Nothing here knows how connections are accepted, bounded or ended.

mod alertmanager;
mod audit;
mod body;
mod charge;
mod cloudevents;
mod credentials;
mod deliver_once;
mod delivery;
mod distribution;
mod event_claims;
mod head;
mod inbound;
mod ingest;
mod oauth;
mod openapi;
mod parse_pool;
mod publish;
mod refresh;
mod rejection;
mod request_trace;
mod resources;
mod response;
mod route;
mod running;
mod sender;
mod service;
mod ticket;
mod token;

#[cfg(feature = "testing")]
pub use body::encoding;
#[cfg(feature = "testing")]
pub use credentials::access_token;
#[cfg(feature = "testing")]
pub use ingest::form;
pub use ingest::without_parameters;
pub use oauth::FORM;
pub use openapi::DOCUMENT;
pub use parse_pool::ParsePool;
pub use rejection::Rejection;
pub use resources::{Resources, Strangers, Topic};
pub use response::json;
#[cfg(feature = "testing")]
pub use route::{Route, query_value};
pub use service::Service;
