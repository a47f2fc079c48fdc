//! Users and customers: tokens, client certificates, changes of the directory, quotas.

mod client_certificates;
mod external_tokens;
mod guessing;
mod keys;
mod oauth;
mod quota;
mod revocation;
mod revoked_certificates;
mod sessions;
mod token;
