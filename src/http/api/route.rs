//! The routes: method and path to endpoint. Pure: nothing else of a request is read, and nothing is
//! answered.

use std::borrow::Cow;

use hyper::Method;
use percent_encoding::percent_decode_str;

use crate::record::Kind;
use crate::telemetry::Endpoint;

/// The route of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route<'a> {
    /// `POST /api/v1/user/token`
    Token,
    /// `POST /api/v1/user/token/refresh`
    Refresh,
    /// `POST /oauth2/token`
    OAuthToken,
    /// `POST /oauth2/revoke`
    OAuthRevoke,
    /// `GET /.well-known/oauth-authorization-server`
    OAuthMetadata,
    /// `POST /publish/…`
    Publish(Kind),
    /// `GET /publish/healthcheck`
    Running,
    /// `POST /gbp/push/<customerid>`. Holds the identifier, percent-decoded.
    Ticket(Cow<'a, str>),
    /// A known path with a method that it does not take. Holds the methods that it takes.
    MethodNotAllowed(&'static str),
    /// An unknown path.
    NotFound,
}

const POST: &str = "POST";
const GET: &str = "GET, HEAD";
const GET_OR_POST: &str = "GET, HEAD, POST";

impl<'a> Route<'a> {
    /// Finds the route. A slash at the end of the path does not matter.
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
            "/oauth2/token" => post(Self::OAuthToken),
            "/oauth2/revoke" => post(Self::OAuthRevoke),
            "/.well-known/oauth-authorization-server" => match *method {
                Method::GET | Method::HEAD => Self::OAuthMetadata,
                _ => Self::MethodNotAllowed(GET),
            },
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

    /// Returns the endpoint, as logs and metrics label it.
    pub(super) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Token | Self::Refresh => Endpoint::Token,
            Self::OAuthToken | Self::OAuthRevoke | Self::OAuthMetadata => Endpoint::OAuth,
            Self::Publish(kind) => Endpoint::Records(*kind),
            Self::Running => Endpoint::Running,
            Self::Ticket(_) => Endpoint::Records(Kind::Ticket),
            Self::MethodNotAllowed(_) | Self::NotFound => Endpoint::Other,
        }
    }
}

/// Returns the first value of a query parameter, percent-decoded, with `+` read as a space; `None`
/// if it is absent.
pub fn query_value<'a>(query: Option<&'a str>, name: &str) -> Option<Cow<'a, str>> {
    let (_, value) = form_urlencoded::parse(query?.as_bytes()).find(|(key, _)| key == name)?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &Method, path: &str, expected: &Route<'_>) {
        assert_eq!(&Route::of(method, path), expected, "{method} {path}");
    }

    #[test]
    fn a_slash_at_the_end_of_a_path_does_not_matter() {
        for (path, expected) in [
            ("/api/v1/user/token", Route::Token),
            ("/api/v1/user/token/refresh", Route::Refresh),
            ("/oauth2/token", Route::OAuthToken),
            ("/oauth2/revoke", Route::OAuthRevoke),
            ("/publish/allevents", Route::Publish(Kind::Event)),
            ("/publish/allevnts", Route::Publish(Kind::Event)),
            ("/publish/metrics", Route::Publish(Kind::Metric)),
            ("/publish/entity", Route::Publish(Kind::Entity)),
            ("/publish/service", Route::Publish(Kind::Service)),
            ("/publish/healthcheck", Route::Publish(Kind::Healthcheck)),
            ("/gbp/push/acme", Route::Ticket("acme".into())),
            ("/gbp/push/a%2Fb%20c", Route::Ticket("a/b c".into())),
            ("/gbp/push/{customer}", Route::Ticket("{customer}".into())),
        ] {
            check(&Method::POST, path, &expected);
            check(&Method::POST, &format!("{path}/"), &expected);
        }
    }

    #[test]
    fn each_path_takes_its_own_methods() {
        let post_only = Route::MethodNotAllowed(POST);
        for (method, path, expected) in [
            (
                Method::GET,
                "/.well-known/oauth-authorization-server",
                Route::OAuthMetadata,
            ),
            (
                Method::POST,
                "/.well-known/oauth-authorization-server",
                Route::MethodNotAllowed(GET),
            ),
            (Method::GET, "/publish/healthcheck", Route::Running),
            (Method::HEAD, "/publish/healthcheck", Route::Running),
            (
                Method::PUT,
                "/publish/healthcheck",
                Route::MethodNotAllowed(GET_OR_POST),
            ),
            (Method::OPTIONS, "/publish/metrics", post_only.clone()),
            (Method::GET, "/gbp/push/acme", post_only.clone()),
            (Method::GET, "/api/v1/user/token", post_only),
        ] {
            check(&method, path, &expected);
            check(&method, &format!("{path}/"), &expected);
        }
    }

    #[test]
    fn other_paths_are_not_found() {
        for path in [
            "/",
            "",
            "*",
            "/publish",
            "/publish/events",
            "/gbp/push",
            "/gbp/push/",
            "/gbp/push/a/b",
            "/publish/metrics//",
            "/Publish/metrics",
        ] {
            check(&Method::POST, path, &Route::NotFound);
        }
    }

    #[test]
    fn the_first_query_value_counts_and_is_decoded() {
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
