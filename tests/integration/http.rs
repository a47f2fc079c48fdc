//! HTTP as clients see it: the wire, limits, slow and hostile clients, proxies, bodies and answers.

mod age;
mod alertmanager;
mod cloudevents;
pub(crate) mod contract;
mod encodings;
mod http2;
mod http2_abuse;
mod http2_refusals;
mod http2_smuggling;
mod idle_connections;
mod limits;
mod many_records;
mod nifi;
mod openapi;
mod proxies;
mod real_clients;
pub(crate) mod record_bytes;
mod slow_clients;
mod smuggling;
mod strangers;
mod tls;
mod unread_answers;
mod wire;
