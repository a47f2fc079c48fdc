//! TLS 1.2 and 1.3: the certificate in use, which follows its files, and the users that client
//! certificates are mapped to. Nothing here listens or speaks HTTP, and no key is ever logged or
//! printed.

mod client;
mod error;
mod live;
mod material;
mod pem;
mod validity;

pub use client::thumbprint;
pub use error::TlsError;
pub use live::{LiveTls, Status};
pub use material::Material;
pub use validity::Validity;
