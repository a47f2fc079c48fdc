//! What the tests share: a gateway on free loopback ports and a folder of its own, a client that
//! sends exact bytes, and readers of what arrived. It makes no statement about the gateway; the
//! files beside it do.

mod answer;
mod backends;
mod case;
mod certificates;
mod connection;
mod encoding;
pub(crate) mod frames;
mod gateway;
mod home;
mod http2;
mod load;
mod proxy;
mod records;
mod request;
mod secure;
mod tools;

pub(crate) use answer::Answer;
pub(crate) use backends::{Arrived, TOPICS, read_kafka, read_pubsub, test_ids};
pub(crate) use case::{After, Case};
pub(crate) use certificates::Authority;
pub(crate) use connection::{Connection, narrow};
pub(crate) use encoding::encoded;
pub(crate) use gateway::{AMPLE, Gateway, email, eventually};
pub(crate) use home::{BINARY, Home};
pub(crate) use http2::Http2;
pub(crate) use load::{Ledger, Load};
pub(crate) use proxy::{proxy_header, proxy_header_local, start_proxy};
pub(crate) use records::{Line, for_each_line, read as read_records};
pub(crate) use request::{Request, basic, get, post};
pub(crate) use secure::{Secure, client_hello};
pub(crate) use tools::{Curl, SecureClient};
