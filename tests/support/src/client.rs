//! Clients of a gateway: with every byte in the test's hands, or real ones such as curl.

mod balancer;
mod command_line_tools;
mod connection;
mod frames;
mod http2;
mod load;
mod nifi;
mod okhttp;
mod open_loop;
mod prometheus;
mod proxy_protocol;
mod secure;
mod secure_open_loop;

pub use balancer::{Balancer, Kind};
pub use command_line_tools::{Curl, SecureClient, check_metrics, promtool};
pub use connection::{Connection, narrow};
pub use frames::Frames;
pub use http2::Http2;
pub use load::{Ledger, Load};
pub use nifi::{FlowFile, Nifi};
pub use okhttp::OkHttp;
pub use open_loop::{Call, Calls, OpenLoop};
pub use prometheus::Prometheus;
pub use proxy_protocol::{proxy_header, proxy_header_local, start_proxy};
pub use secure::{Secure, client_hello};
pub use secure_open_loop::Protocol;
