//! Asks the issuer for its keys: by its metadata (OIDC Discovery 1.0, section 4), or at
//! the configured URL. Each answer is bounded in time and size.

use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Deserialize;

use super::key_set::KeySet;
use crate::client::{Client, Url};
use crate::config::{Oidc, is_safe_url};
use crate::tls::{TlsError, client_config};

/// The time for all that is asked for the keys.
const FETCH_TIME: Duration = Duration::from_secs(10);
/// The largest document. Key sets of large issuers have 20 KiB.
const DOCUMENT_BYTES_MAX: usize = 256 << 10;

/// The members of the issuer's metadata that matter here.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Fetches the keys. Reads the file of certificates, so that a new one holds from the next fetch on.
///
/// # Errors
/// The reason, for operators.
pub(super) async fn keys(config: &Oidc) -> Result<KeySet, String> {
    let deadline = Instant::now() + FETCH_TIME;
    let discovered;
    let url = if config.keys_url.is_empty() {
        discovered = discover(config, deadline).await?;
        &discovered
    } else {
        &config.keys_url
    };
    let document = get(url, config, deadline).await?;
    let keys = KeySet::parse(&document).map_err(|error| format!("{url}: {error}"))?;
    // It is far likelier that the issuer is at fault than that it has revoked all keys.
    if keys.keys().is_empty() {
        return Err(format!("{url}: has no key that can be used"));
    }
    Ok(keys)
}

/// Returns the URL of the keys that the issuer's metadata names.
async fn discover(config: &Oidc, deadline: Instant) -> Result<String, String> {
    let issuer = config.issuer.trim_end_matches('/');
    let url = format!("{issuer}/.well-known/openid-configuration");
    let document = get(&url, config, deadline).await?;
    let metadata: Metadata = serde_json::from_slice(&document)
        .map_err(|_| format!("{url}: is no metadata with `issuer` and `jwks_uri`"))?;
    if metadata.issuer != config.issuer {
        return Err(format!(
            "{url}: is the metadata of {:?}, not of the issuer that is configured",
            metadata.issuer
        ));
    }
    if !is_safe_url(&metadata.jwks_uri) {
        return Err(format!(
            "{url}: names keys at {:?}, which is neither of https nor on loopback",
            metadata.jwks_uri
        ));
    }
    Ok(metadata.jwks_uri)
}

async fn get(url: &str, config: &Oidc, deadline: Instant) -> Result<Bytes, String> {
    let (server, target) = Url::of_page(url).map_err(|error| format!("{url:?}: {error}"))?;
    let roots = server.https.then(|| client_config(ca_file(config)));
    let roots = roots.transpose().map_err(|error| error.to_string())?;
    let client = Client::new(server, roots);
    let answer = client.get(&target, None, deadline).await;
    let answer = answer.map_err(|failure| format!("{url}: {failure}"))?;
    if answer.status != 200 {
        return Err(format!("{url}: its status is {}", answer.status));
    }
    if answer.body.len() > DOCUMENT_BYTES_MAX {
        return Err(format!("{url}: has more than {DOCUMENT_BYTES_MAX} bytes"));
    }
    Ok(answer.body)
}

/// Checks that there are certificates to trust, if any are needed.
pub(super) fn check_roots(config: &Oidc) -> Result<(), TlsError> {
    let is_encrypted = |url: &String| url.starts_with("https://");
    if [&config.issuer, &config.keys_url]
        .into_iter()
        .any(is_encrypted)
    {
        client_config(ca_file(config))?;
    }
    Ok(())
}

fn ca_file(config: &Oidc) -> Option<&Path> {
    Some(&*config.ca_file).filter(|path| !path.as_os_str().is_empty())
}
