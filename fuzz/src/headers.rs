//! Lines as a request's line and headers: method and target first, then `name: value`. Checked:
//! nothing panics; a route is the one of a plain table, with a slash at the path's end and without;
//! query values, the token, the encoding, the form of the body and the trace are what plain
//! readings find.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use iem_gateway::encoding::Encoding;
use iem_gateway::record::{Form, Kind, traceparent};
use iem_gateway::testing::{Route, access_token, encoding, form, query_value};
use percent_encoding::percent_decode_str;

use crate::credentials;

/// Checks one input.
pub fn check(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    if let Some((method, uri)) = lines.next().and_then(request_line) {
        check_route(&method, uri.path());
        check_query(uri.query());
    }
    let mut headers = HeaderMap::new();
    for line in lines {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    check_token(&headers);
    check_encoding(&headers);
    check_form(&headers);
    if let Some(value) = headers.get("traceparent") {
        check_trace(value.as_bytes());
    }
}

fn request_line(line: &[u8]) -> Option<(Method, Uri)> {
    let mut parts = line.splitn(2, |byte| *byte == b' ');
    let method = Method::from_bytes(parts.next()?).ok()?;
    Some((method, Uri::try_from(parts.next()?.trim_ascii()).ok()?))
}

fn check_route(method: &Method, path: &str) {
    let found = Route::of(method, path);
    let bare = path.strip_suffix('/').unwrap_or(path);
    if !bare.ends_with('/') {
        assert_eq!(found, Route::of(method, bare));
        assert_eq!(found, Route::of(method, &format!("{bare}/")));
    }
    match (plain_route(bare), &found) {
        (None, Route::NotFound) => {}
        (Some(Place::Running), Route::Running)
        | (Some(Place::OAuthMetadata), Route::OAuthMetadata)
        | (Some(Place::OpenApi), Route::OpenApi) => {
            assert!(["GET", "HEAD"].contains(&method.as_str()))
        }
        (Some(Place::Running), Route::Publish(kind)) => {
            assert!(*kind == Kind::Healthcheck && method == "POST");
        }
        (Some(_), Route::MethodNotAllowed(allow)) => {
            assert!(!allow.split(", ").any(|allowed| allowed == method.as_str()));
        }
        (Some(Place::Token), Route::Token)
        | (Some(Place::Refresh), Route::Refresh)
        | (Some(Place::OAuthToken), Route::OAuthToken)
        | (Some(Place::OAuthRevoke), Route::OAuthRevoke) => {
            assert_eq!(method, "POST");
        }
        (Some(Place::Kind(kind)), Route::Publish(found)) => {
            assert!(kind == *found && method == "POST")
        }
        (Some(Place::Ticket(customer)), Route::Ticket(found)) => {
            assert!(customer == **found && method == "POST");
        }
        (Some(Place::CloudEvents), Route::CloudEvents) => assert_eq!(method, "POST"),
        (Some(Place::Alertmanager(customer)), Route::Alertmanager(found)) => {
            assert!(customer == **found && method == "POST");
        }
        (place, found) => panic!("{found:?}, but the table says {}", place.is_some()),
    }
}

enum Place {
    Token,
    Refresh,
    OAuthToken,
    OAuthRevoke,
    OAuthMetadata,
    OpenApi,
    Running,
    Kind(Kind),
    Ticket(String),
    CloudEvents,
    Alertmanager(String),
}

/// The contract's paths, without the slash at the end.
fn plain_route(path: &str) -> Option<Place> {
    let segments: Vec<&str> = path.split('/').collect();
    Some(match segments[..] {
        ["", "api", "v1", "user", "token"] => Place::Token,
        ["", "api", "v1", "user", "token", "refresh"] => Place::Refresh,
        ["", "oauth2", "token"] => Place::OAuthToken,
        ["", "oauth2", "revoke"] => Place::OAuthRevoke,
        ["", ".well-known", "oauth-authorization-server"] => Place::OAuthMetadata,
        ["", "openapi.json"] => Place::OpenApi,
        ["", "publish", "healthcheck"] => Place::Running,
        ["", "publish", "allevents" | "allevnts"] => Place::Kind(Kind::Event),
        ["", "publish", "metrics"] => Place::Kind(Kind::Metric),
        ["", "publish", "entity"] => Place::Kind(Kind::Entity),
        ["", "publish", "service"] => Place::Kind(Kind::Service),
        ["", "gbp", "push", customer] if !customer.is_empty() => Place::Ticket(unescaped(customer)),
        ["", "cloudevents"] => Place::CloudEvents,
        ["", "alertmanager", customer] if !customer.is_empty() => {
            Place::Alertmanager(unescaped(customer))
        }
        _ => return None,
    })
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind
            .get(..2)
            .and_then(|digits| str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if *first == b'%' => {
                bytes.push(byte);
                rest = &behind[2..];
            }
            _ => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn check_query(query: Option<&str>) {
    for name in ["integrationid", "a", ""] {
        let found = query_value(query, name);
        let mut plain = None;
        let pairs = query.into_iter().flat_map(|query| query.split('&'));
        // Nothing between two `&` is no parameter (WHATWG's URL standard, section 5.1).
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            if plain.is_none() && unescaped(&key.replace('+', " ")) == name {
                plain = Some(unescaped(&value.replace('+', " ")));
            }
        }
        assert_eq!(found.as_deref(), plain.as_deref());
        // A value is found again when it is written as a form writes it.
        if let Some(value) = found
            && percent_decode_str(&value).decode_utf8_lossy() == value
            && !value.contains(['&', '+', '='])
        {
            assert_eq!(
                query_value(Some(&format!("{name}={value}")), name).as_deref(),
                Some(&*value)
            );
        }
    }
}

fn check_token(headers: &HeaderMap) {
    let cookies: Vec<&[u8]> = headers
        .get_all("cookie")
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    let found = access_token(headers);
    let bearer = headers.get("authorization").and_then(|value| {
        let mut words = value.as_bytes().splitn(2, u8::is_ascii_whitespace);
        let scheme = words.next()?;
        let token = words.next()?.trim_ascii();
        (scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty()).then_some(token)
    });
    assert_eq!(found, credentials::plain_cookie(&cookies).or(bearer));
}

fn check_encoding(headers: &HeaderMap) {
    let values = headers
        .get_all("content-encoding")
        .iter()
        .map(HeaderValue::as_bytes);
    let text = values
        .map(|value| value.to_ascii_lowercase())
        .collect::<Vec<_>>()
        .join(&b',');
    let names: Vec<_> = text
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|name| !name.is_empty())
        .collect();
    let expected = match names[..] {
        [] | [b"identity"] => Some(None),
        [b"gzip" | b"x-gzip"] => Some(Some(Encoding::Gzip)),
        [b"deflate"] => Some(Some(Encoding::Deflate)),
        [b"zstd"] => Some(Some(Encoding::Zstd)),
        _ => None,
    };
    assert_eq!(encoding(headers), expected);
}

fn check_form(headers: &HeaderMap) {
    let media_type = headers
        .get("content-type")
        .map(|value| value.as_bytes().to_ascii_lowercase());
    let is_lines = media_type.is_some_and(|value| {
        let rest = value
            .trim_ascii_start()
            .strip_prefix(b"application/x-ndjson");
        rest.is_some_and(|rest| matches!(rest.trim_ascii_start(), [] | [b';', ..]))
    });
    assert_eq!(form(headers) == Form::Lines, is_lines);
}

/// Checks that a trace is carried on unchanged, in the form that W3C Trace Context gives it.
fn check_trace(value: &[u8]) {
    let Some(known) = traceparent(value) else {
        return;
    };
    assert!(value.starts_with(known.as_bytes()));
    assert_eq!(traceparent(known.as_bytes()), Some(known));
    let fields: Vec<&str> = known.split('-').collect();
    let lengths: Vec<usize> = fields.iter().map(|field| field.len()).collect();
    assert_eq!(lengths, [2, 32, 16, 2]);
    assert!(fields.iter().all(|field| {
        field
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    }));
    assert!(
        fields[0] != "ff"
            && fields[1..3]
                .iter()
                .all(|field| field.bytes().any(|byte| byte != b'0'))
    );
    assert!(fields[0] != "00" || value.len() == known.len());
}
