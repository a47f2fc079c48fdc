//! Reads credentials from header bytes. Takes any bytes, and decides nothing.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::password::Password;

/// The cookie that carries the access token.
pub const COOKIE: &str = "access_token";

/// Credentials of HTTP Basic authentication (RFC 7617).
#[derive(Clone, Debug)]
pub struct Basic {
    /// The text before the first colon: an email.
    pub user: String,
    /// The text behind it.
    pub password: Password,
}

impl Basic {
    /// Returns what the credentials of a client of OAuth 2 may mean: themselves, and both parts
    /// form-decoded (RFC 6749, section 2.3.1) where that is something else. What is no UTF-8 when
    /// decoded stays as it is.
    pub fn meanings(self) -> Vec<Self> {
        let decoded = Self {
            user: form_decoded(&self.user).to_string(),
            password: Password::new(form_decoded(self.password.reveal()).to_string()),
        };
        let is_same =
            decoded.user == self.user && decoded.password.reveal() == self.password.reveal();
        if is_same {
            vec![self]
        } else {
            vec![self, decoded]
        }
    }
}

fn form_decoded(text: &str) -> Zeroizing<String> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    let bytes = Zeroizing::new(percent_decode_str(&spaced).collect::<Vec<u8>>());
    Zeroizing::new(str::from_utf8(&bytes).unwrap_or(text).to_owned())
}

/// The result of reading an `Authorization` header as Basic.
#[derive(Clone, Debug)]
pub enum BasicHeader {
    /// No such header, or one of another scheme.
    Absent,
    /// The scheme is Basic, but no credentials follow.
    Malformed,
    /// Well-formed credentials, which may be wrong.
    Present(Basic),
}

/// Returns the access token of a request: the cookie, else `Authorization: Bearer`. Does not verify
/// it.
///
/// `cookies` are the values of all `Cookie` headers in their order, `authorization` is that of the
/// first `Authorization` header.
pub fn access_token<'a>(
    cookies: impl IntoIterator<Item = &'a [u8]>,
    authorization: Option<&'a [u8]>,
) -> Option<&'a [u8]> {
    cookie(cookies).or_else(|| authorization.and_then(bearer))
}

/// Reads the Basic credentials of a request.
///
/// Base64 padding may be missing. User and password are read as UTF-8, or as Latin-1 if the bytes
/// are not UTF-8: clients send either without saying which.
pub fn basic(authorization: Option<&[u8]>) -> BasicHeader {
    let Some(encoded) = authorization.and_then(|value| after_scheme(value, b"Basic")) else {
        return BasicHeader::Absent;
    };
    match decode(encoded) {
        Some(basic) => BasicHeader::Present(basic),
        None => BasicHeader::Malformed,
    }
}

/// Returns the first cookie of our name. An empty value is none.
fn cookie<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let value = cookies(headers, COOKIE).next()?;
    (!value.is_empty()).then_some(value)
}

/// Returns the values of all cookies of this name, in their order. `headers` are the values of all
/// `Cookie` headers.
///
/// A pair ends at a semicolon even within quotes (RFC 6265, sections 4.2.1 and 5.4); one pair of
/// quotes around the value is not part of it.
pub fn cookies<'a>(
    headers: impl IntoIterator<Item = &'a [u8]>,
    name: &str,
) -> impl Iterator<Item = &'a [u8]> {
    let pairs = headers.into_iter().flat_map(|header| {
        let ends = memchr::memchr_iter(b';', header).chain([header.len()]);
        ends.scan(0, |start, end| {
            Some(&header[std::mem::replace(start, end + 1)..end])
        })
    });
    pairs.filter_map(move |pair| {
        let equals = memchr::memchr(b'=', pair)?;
        (pair[..equals].trim_ascii() == name.as_bytes())
            .then(|| unquoted(pair[equals + 1..].trim_ascii()))
    })
}

fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inner @ .., b'"'] => inner,
        _ => value,
    }
}

/// Returns the Bearer token of an `Authorization` header (RFC 6750, section 2.1).
pub fn bearer(authorization: &[u8]) -> Option<&[u8]> {
    after_scheme(authorization, b"Bearer").filter(|token| !token.is_empty())
}

/// Returns the text behind `scheme`, whose case does not matter (RFC 9110, section 11.1), and
/// behind its spaces.
fn after_scheme<'a>(authorization: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let value = authorization.trim_ascii();
    let (name, rest) = value.split_at_checked(scheme.len())?;
    let ends = rest.first().is_none_or(u8::is_ascii_whitespace);
    (ends && name.eq_ignore_ascii_case(scheme)).then(|| rest.trim_ascii())
}

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn decode(encoded: &[u8]) -> Option<Basic> {
    let bytes = Zeroizing::new(BASE64.decode(encoded).ok()?);
    let text = Zeroizing::new(match str::from_utf8(&bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|byte| char::from(*byte)).collect(),
    });
    let (user, password) = text.split_once(':')?;
    Some(Basic {
        user: user.to_owned(),
        password: Password::new(password.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use base64::engine::general_purpose;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_token_is_the_first_cookie_of_its_name_else_the_bearer() {
        let check = |cookies: &[&str], authorization: Option<&str>, expected: Option<&str>| {
            let cookies = cookies.iter().map(|header| header.as_bytes());
            let token = access_token(cookies, authorization.map(str::as_bytes));
            assert_eq!(token.map(|token| str::from_utf8(token).unwrap()), expected);
        };
        check(&[], None, None);
        check(&["access_token=t"], None, Some("t"));
        check(&["access_token=\"t\""], None, Some("t"));
        check(&["a=1; access_token=t; b=2"], None, Some("t"));
        check(&["a=1;access_token=t;b=2"], None, Some("t"));
        check(&[" a=1 ;\taccess_token = t ; b=2"], None, Some("t"));
        check(&["a=1", "b=2; access_token=t"], None, Some("t"));
        check(&["access_token=t; access_token=u"], None, Some("t"));
        check(&["access_token=t", "access_token=u"], None, Some("t"));
        check(&["access_token=t=="], None, Some("t=="));
        check(&["access_token=\"t"], None, Some("\"t"));
        check(&["access_token=\""], None, Some("\""));
        check(&["access_token"], None, None);
        check(&["access_token="], None, None);
        check(&["access_token=\"\""], None, None);
        check(&["access_token=; access_token=u"], None, None);
        check(
            &["xaccess_token=t", "access_tokenx=t", "Access_Token=t", ""],
            None,
            None,
        );
        check(&["a=access_token=t"], None, None);
        check(&["a=\"1; access_token=t\""], None, Some("t\""));

        check(&[], Some("Bearer t"), Some("t"));
        check(&[], Some("bEARER  t "), Some("t"));
        check(&[], Some("Bearer"), None);
        check(&[], Some("Bearer "), None);
        check(&[], Some("Bearert"), None);
        check(&[], Some("Basic dDp0"), None);
        check(&["access_token=t"], Some("Bearer u"), Some("t"));
        check(&["access_token="], Some("Bearer u"), Some("u"));
    }

    #[test]
    fn a_token_may_be_bytes_that_are_no_text() {
        assert_eq!(
            access_token([b"access_token=\xff\xfe".as_slice()], None),
            Some(b"\xff\xfe".as_slice())
        );
    }

    fn read(header: &str) -> Option<(String, String)> {
        match basic(Some(header.as_bytes())) {
            BasicHeader::Present(basic) => Some((basic.user, basic.password.reveal().to_owned())),
            BasicHeader::Malformed => None,
            BasicHeader::Absent => panic!("{header:?} is Basic"),
        }
    }

    #[test]
    fn basic_credentials_are_read() {
        let check = |header: &str, user: &str, password: &str| {
            assert_eq!(
                read(header),
                Some((user.to_owned(), password.to_owned())),
                "{header}"
            );
        };
        // The examples of RFC 7617.
        check(
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Aladdin",
            "open sesame",
        );
        check("Basic dGVzdDoxMjPCow==", "test", "123£");
        check("Basic dGVzdDoxMjOj", "test", "123£"); // the same in Latin-1
        check(
            "bAsIc   QWxhZGRpbjpvcGVuIHNlc2FtZQ  ",
            "Aladdin",
            "open sesame",
        );
        check("Basic YTpiOmM6", "a", "b:c:");
        check("Basic Og==", "", "");
        check("Basic YTo", "a", "");
    }

    #[test]
    fn credentials_of_oauth_may_be_form_encoded() {
        let check = |user: &str, password: &str, expected: (&str, &str)| {
            let sent = Basic {
                user: user.to_owned(),
                password: Password::new(password.to_owned()),
            };
            let meanings = sent.meanings();
            let last = meanings.last().unwrap();
            assert_eq!((&*last.user, last.password.reveal()), expected);
            assert_eq!(meanings.len() > 1, (user, password) != expected);
            assert_eq!(
                (&*meanings[0].user, meanings[0].password.reveal()),
                (user, password)
            );
        };
        check("a@b.example", "secret", ("a@b.example", "secret"));
        check("a%40b.example", "s+%2B%25%C3%A4", ("a@b.example", "s +%ä"));
        check("a", "100%", ("a", "100%"));
        check("a", "%zz%ff", ("a", "%zz%ff"));
        check("", "", ("", ""));
    }

    #[test]
    fn basic_without_credentials_is_malformed() {
        for header in [
            "Basic",
            "Basic ",
            "Basic QWxhZGRpbg==",                  // no colon
            "Basic QWxhZGRpbjpvcGVu IHNlc2FtZQ==", // a space within
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZ",     // cut
            "Basic Aladdin:open",
            "Basic _-__",
            "Basic ====",
            "Basic é",
        ] {
            assert_eq!(read(header), None, "{header}");
        }
    }

    #[test]
    fn other_schemes_are_not_basic() {
        for header in [
            None,
            Some(""),
            Some("Bearer YTpi"),
            Some("BasicYTpi"),
            Some("Basi"),
            Some("Basics YTpi"),
        ] {
            assert!(
                matches!(basic(header.map(str::as_bytes)), BasicHeader::Absent),
                "{header:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(
            cookies: Vec<Vec<u8>>, authorization: Option<Vec<u8>>, tail: Vec<u8>,
        ) {
            access_token(cookies.iter().map(Vec::as_slice), authorization.as_deref());
            basic(authorization.as_deref());
            basic(Some(&[b"Basic ".as_slice(), &tail].concat()));
            let cookie = [b"a=1; access_token=".as_slice(), &tail].concat();
            if let Some(token) = access_token([cookie.as_slice()], None) {
                prop_assert!(!token.is_empty() && !token.contains(&b';'));
            }
        }

        #[test]
        fn any_decoded_bytes_are_taken(bytes: Vec<u8>) {
            let header = format!("Basic {}", general_purpose::STANDARD.encode(&bytes));
            prop_assert_eq!(read(&header).is_some(), bytes.contains(&b':'));
        }

        #[test]
        fn credentials_are_read_as_they_were_encoded(user in "[^:]*", password: String) {
            let encoded = general_purpose::STANDARD.encode(format!("{user}:{password}"));
            let header = format!("Basic {encoded}");
            prop_assert_eq!(read(&header), Some((user, password)));
        }

        #[test]
        fn a_token_among_other_cookies_is_found(
            before in "([a-z]{1,9}=[!-:<-~]{0,9}; ?){0,5}",
            token in "[A-Za-z0-9._-]{1,99}",
            after in "(; ?[a-z]{1,9}=[!-:<-~]{0,9}){0,5}",
        ) {
            let header = format!("{before}access_token={token}{after}");
            prop_assert_eq!(access_token([header.as_bytes()], None), Some(token.as_bytes()));
        }
    }
}
