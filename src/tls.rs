//! TLS 1.2 and 1.3: the certificate in use, which follows its files, the users that client
//! certificates are mapped to, the client certificates that are revoked, and the roots that our own
//! client trusts. Nothing here listens or speaks HTTP, and no key is ever logged or printed.

mod client;
mod error;
mod live;
mod material;
mod pem;
mod revocation;
mod roots;
mod validity;

pub use error::TlsError;
pub use live::{ClientCertificate, LiveTls, Status};
pub use material::{Checked, Material};
pub use revocation::RevocationLists;
#[cfg(feature = "postgres")]
pub use roots::database_client_config;
pub use roots::{client_config, roots_pem};
pub use validity::Validity;
