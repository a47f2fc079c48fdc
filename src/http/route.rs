//! Method and path → endpoint. Pure: it looks at nothing else, and answers nothing.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::record::Kind;
use crate::telemetry::Endpoint;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `POST /api/v1/user/token`
    Token,
    /// `POST /api/v1/user/token/refresh`
    Refresh,
    /// `POST /publish/…`
    Publish(Kind),
    /// `GET /publish/healthcheck`
    Running,
    /// `POST /gbp/push/<customerid>`, the identifier percent-decoded
    Ticket(Cow<'a, str>),
    /// A path of ours with a method that it does not take; the methods it takes
    MethodNotAllowed(&'static str),
    /// No path of ours
    NotFound,
}

const POST: &str = "POST";
const GET_OR_POST: &str = "GET, HEAD, POST";

impl<'a> Route<'a> {
    /// Finds the route; a slash at the end of the path is as good as none.
    pub fn of(method: &Method, path: &'a str) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        let post = |route: Self| {
            if method == Method::POST {
                route
            } else {
                Self::MethodNotAllowed(POST)
            }
        };
        match path {
            "/api/v1/user/token" => post(Self::Token),
            "/api/v1/user/token/refresh" => post(Self::Refresh),
            "/publish/healthcheck" => match *method {
                Method::GET | Method::HEAD => Self::Running,
                Method::POST => Self::Publish(Kind::Healthcheck),
                _ => Self::MethodNotAllowed(GET_OR_POST),
            },
            _ => {
                if let Some(kind) = Kind::ALL
                    .into_iter()
                    .find(|kind| kind.paths().contains(&path))
                {
                    return post(Self::Publish(kind));
                }
                match path.strip_prefix("/gbp/push/") {
                    Some(customer) if !customer.is_empty() && !customer.contains('/') => post(
                        Self::Ticket(percent_decode_str(customer).decode_utf8_lossy()),
                    ),
                    _ => Self::NotFound,
                }
            }
        }
    }

    pub(super) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Token | Self::Refresh => Endpoint::Token,
            Self::Publish(kind) => Endpoint::Records(*kind),
            Self::Running => Endpoint::Running,
            Self::Ticket(_) => Endpoint::Records(Kind::Ticket),
            Self::MethodNotAllowed(_) | Self::NotFound => Endpoint::Other,
        }
    }
}

/// The first value of a query parameter, percent-decoded, `+` read as a space; none when it is
/// absent.
pub fn query_value<'a>(query: Option<&'a str>, name: &str) -> Option<Cow<'a, str>> {
    query?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(key) == name).then(|| decode(value))
    })
}

fn decode(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        let spaced = text.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(text).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let check = |method: Method, path: &str, expected: Route<'_>| {
            assert_eq!(Route::of(&method, path), expected, "{method} {path}");
        };
        for slash in ["", "/"] {
            let post =
                |path: &str, expected| check(Method::POST, &format!("{path}{slash}"), expected);
            post("/api/v1/user/token", Route::Token);
            post("/api/v1/user/token/refresh", Route::Refresh);
            post("/publish/allevents", Route::Publish(Kind::Event));
            post("/publish/allevnts", Route::Publish(Kind::Event));
            post("/publish/metrics", Route::Publish(Kind::Metric));
            post("/publish/entity", Route::Publish(Kind::Entity));
            post("/publish/service", Route::Publish(Kind::Service));
            post("/publish/healthcheck", Route::Publish(Kind::Healthcheck));
            post("/gbp/push/acme", Route::Ticket("acme".into()));
            post("/gbp/push/a%2Fb%20c", Route::Ticket("a/b c".into()));
            post("/gbp/push/{customer}", Route::Ticket("{customer}".into()));
            check(
                Method::GET,
                &format!("/publish/healthcheck{slash}"),
                Route::Running,
            );
            check(
                Method::HEAD,
                &format!("/publish/healthcheck{slash}"),
                Route::Running,
            );
            check(
                Method::PUT,
                &format!("/publish/healthcheck{slash}"),
                Route::MethodNotAllowed(GET_OR_POST),
            );
            check(
                Method::OPTIONS,
                &format!("/publish/metrics{slash}"),
                Route::MethodNotAllowed(POST),
            );
            check(
                Method::GET,
                &format!("/gbp/push/acme{slash}"),
                Route::MethodNotAllowed(POST),
            );
            check(
                Method::GET,
                &format!("/api/v1/user/token{slash}"),
                Route::MethodNotAllowed(POST),
            );
        }
        for path in [
            "/",
            "",
            "*",
            "/publish",
            "/publish/events",
            "/gbp/push",
            "/gbp/push/",
            "/gbp/push/a/b",
        ] {
            check(Method::POST, path, Route::NotFound);
        }
        check(Method::POST, "/publish/metrics//", Route::NotFound);
        check(Method::POST, "/Publish/metrics", Route::NotFound);
    }

    #[test]
    fn query_values() {
        let check = |query: Option<&str>, expected: Option<&str>| {
            assert_eq!(
                query_value(query, "integrationid").as_deref(),
                expected,
                "{query:?}"
            );
        };
        check(None, None);
        check(Some(""), None);
        check(Some("other=1"), None);
        check(Some("integrationid"), Some(""));
        check(Some("integrationid=snow"), Some("snow"));
        check(
            Some("a=b&integrationid=first&integrationid=second"),
            Some("first"),
        );
        check(Some("integration%69d=a%20b+c"), Some("a b c"));
        check(Some("integrationid=%zz%ff"), Some("%zz\u{fffd}"));
    }
}
