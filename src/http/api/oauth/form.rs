//! The parameters of a request, form-encoded in its body.

use hyper::HeaderMap;

use super::OAuthFault;
use crate::http::api::inbound::Inbound;
use crate::http::api::ingest::media_type;
use crate::http::api::rejection::Rejection;
use crate::http::api::resources::Resources;
use crate::identity::password::{PASSWORD_BYTES_MAX, Password};

/// Several times a token. The sender has shown nothing yet, so nothing more is held.
const BODY_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an email (RFC 5321, section 4.5.3.1.3).
const EMAIL_BYTES_MAX: usize = 254;
/// Bytes of a token, and of what is no secret.
const TOKEN_BYTES_MAX: usize = 4096;

/// The media type of a form.
pub const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// The parameters of a request by their names. Unknown ones are ignored, and an empty one counts as
/// none (RFC 6749, section 3.2).
#[derive(Default)]
pub(super) struct Form {
    pub(super) grant_type: Option<String>,
    pub(super) username: Option<String>,
    pub(super) password: Option<Password>,
    pub(super) refresh_token: Option<String>,
    pub(super) token: Option<String>,
    pub(super) client: NamedClient,
}

/// The client as the body names it. Some clients do so beside their Basic credentials, without a
/// secret.
#[derive(Default)]
pub(super) struct NamedClient {
    pub(super) id: Option<String>,
    pub(super) secret: Option<Password>,
}

impl Form {
    /// Reads the body of a request that has shown nothing yet. The budget of such bodies has its bytes
    /// back before a log-in waits: a grant keeps the parameters that it needs, 9 KiB at most.
    pub(super) async fn read(
        resources: &Resources,
        request: &mut Inbound<'_>,
    ) -> Result<Self, Rejection> {
        if !is_form(request.headers()) {
            return Err(OAuthFault::NotAForm.into());
        }
        let body = request.collect_without_credentials(resources, BODY_BYTES_MAX);
        Ok(Self::parse(&body.await?)?)
    }

    /// Reads a body. A parameter must not be given twice.
    fn parse(body: &[u8]) -> Result<Self, OAuthFault> {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            if value.is_empty() {
                continue;
            }
            let value = value.into_owned();
            match &*name {
                "grant_type" => set(&mut form.grant_type, "grant_type", TOKEN_BYTES_MAX, value)?,
                "username" => set(&mut form.username, "username", EMAIL_BYTES_MAX, value)?,
                "refresh_token" => {
                    set(
                        &mut form.refresh_token,
                        "refresh_token",
                        TOKEN_BYTES_MAX,
                        value,
                    )?;
                }
                "token" => set(&mut form.token, "token", TOKEN_BYTES_MAX, value)?,
                "client_id" => set(&mut form.client.id, "client_id", EMAIL_BYTES_MAX, value)?,
                "password" => set_password(&mut form.password, "password", value)?,
                "client_secret" => set_password(&mut form.client.secret, "client_secret", value)?,
                _ => {}
            }
        }
        Ok(form)
    }
}

/// Returns whether the content type is that of a form. A body without one counts as a form.
fn is_form(headers: &HeaderMap) -> bool {
    media_type(headers).is_none_or(|media_type| media_type.eq_ignore_ascii_case(FORM))
}

fn set(
    parameter: &mut Option<String>,
    name: &'static str,
    bytes_max: usize,
    value: String,
) -> Result<(), OAuthFault> {
    if value.len() > bytes_max {
        return Err(OAuthFault::TooLong(name));
    }
    match parameter.replace(value) {
        None => Ok(()),
        Some(_) => Err(OAuthFault::Twice(name)),
    }
}

fn set_password(
    parameter: &mut Option<Password>,
    name: &'static str,
    value: String,
) -> Result<(), OAuthFault> {
    let value = Password::new(value);
    if value.reveal().len() > PASSWORD_BYTES_MAX {
        return Err(OAuthFault::TooLong(name));
    }
    match parameter.replace(value) {
        None => Ok(()),
        Some(_) => Err(OAuthFault::Twice(name)),
    }
}

/// Returns a parameter that has to be there.
pub(super) fn required<T>(parameter: Option<T>, name: &'static str) -> Result<T, OAuthFault> {
    parameter.ok_or(OAuthFault::Missing(name))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use hyper::header::CONTENT_TYPE;

    use super::*;

    #[test]
    fn parameters_are_decoded_and_unknown_ones_ignored() {
        let form = Form::parse(b"grant_type=password&username=a%40b.example&password=a+%2B%25&x=1")
            .unwrap();
        assert_eq!(form.grant_type.as_deref(), Some("password"));
        assert_eq!(form.username.as_deref(), Some("a@b.example"));
        assert_eq!(form.password.unwrap().reveal(), "a +%");
        assert_eq!(form.token, None);
    }

    #[test]
    fn an_empty_parameter_is_none_and_one_given_twice_is_a_fault() {
        let form = Form::parse(b"token=&token=t&client_secret=").unwrap();
        assert_eq!(form.token.as_deref(), Some("t"));
        assert!(form.client.secret.is_none());
        for name in ["token", "client_secret"] {
            let twice = Form::parse(format!("{name}=t&{name}=t").as_bytes()).err();
            assert_eq!(twice, Some(OAuthFault::Twice(name)));
        }
        assert!(Form::parse(b"scope=a&scope=b").is_ok());
    }

    #[test]
    fn a_parameter_has_at_most_its_length() {
        let check = |name: &'static str, length: usize| {
            let form = |length: usize| format!("{name}={}", "x".repeat(length));
            assert!(Form::parse(form(length).as_bytes()).is_ok(), "{name}");
            let longer = Form::parse(form(length + 1).as_bytes()).err();
            assert_eq!(longer, Some(OAuthFault::TooLong(name)));
        };
        check("client_id", 254);
        check("username", 254);
        check("password", 4096);
        check("client_secret", 4096);
        check("token", 4096);
        check("refresh_token", 4096);
    }

    #[test]
    fn the_content_type_is_that_of_a_form() {
        let check = |value: Option<&str>, expected: bool| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(CONTENT_TYPE, value.parse().unwrap());
            }
            assert_eq!(is_form(&headers), expected, "{value:?}");
        };
        check(None, true);
        check(Some("application/x-www-form-urlencoded"), true);
        check(
            Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"),
            true,
        );
        check(Some("application/json"), false);
        check(Some(""), false);
    }
}
