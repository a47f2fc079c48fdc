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
    /// `GET /openapi.json`
    OpenApi,
    /// `POST /publish/…`
    Publish(Kind),
    /// `GET /publish/healthcheck`
    Running,
    /// `POST /gbp/push/<customerid>`. Holds the identifier, percent-decoded.
    Ticket(Cow<'a, str>),
    /// `POST /cloudevents`
    CloudEvents,
    /// `POST /alertmanager/<customerid>`. Holds the identifier, percent-decoded.
    Alertmanager(Cow<'a, str>),
    /// A known path with a method that it does not take. Holds the methods that it takes.
    MethodNotAllowed(&'static str),
    /// An unknown path.
    NotFound,
}

const POST: &str = "POST";
const GET: &str = "GET, HEAD";
const GET_OR_POST: &str = "GET, HEAD, POST";

/// The paths that take GET, and HEAD with it. All paths stand here without the slash at the end.
const GETS: [(&str, Route<'static>); 3] = [
    ("/publish/healthcheck", Route::Running),
    (
        "/.well-known/oauth-authorization-server",
        Route::OAuthMetadata,
    ),
    ("/openapi.json", Route::OpenApi),
];

/// The paths that take POST, beside those of the kinds of record.
const POSTS: [(&str, Route<'static>); 5] = [
    ("/api/v1/user/token", Route::Token),
    ("/api/v1/user/token/refresh", Route::Refresh),
    ("/oauth2/token", Route::OAuthToken),
    ("/oauth2/revoke", Route::OAuthRevoke),
    ("/cloudevents", Route::CloudEvents),
];

/// A route that a customer belongs to, from the customer.
type CustomerRoute = for<'a> fn(Cow<'a, str>) -> Route<'a>;

/// The paths that take POST and end in a customer, each without it.
const CUSTOMER_POSTS: [(&str, CustomerRoute); 2] = [
    ("/gbp/push/", |customer| Route::Ticket(customer)),
    ("/alertmanager/", |customer| Route::Alertmanager(customer)),
];

impl<'a> Route<'a> {
    /// Finds the route. A slash at the end of the path does not matter.
    pub fn of(method: &Method, path: &'a str) -> Self {
        let path = path.strip_suffix('/').unwrap_or(path);
        let get = find(&GETS, path);
        let post = Self::post(path);
        let allow = match (&get, &post) {
            (None, None) => return Self::NotFound,
            (Some(_), None) => GET,
            (None, Some(_)) => POST,
            (Some(_), Some(_)) => GET_OR_POST,
        };
        let route = match *method {
            Method::GET | Method::HEAD => get,
            Method::POST => post,
            _ => None,
        };
        route.unwrap_or(Self::MethodNotAllowed(allow))
    }

    /// Returns the route of a POST to the path, which has no slash at its end.
    fn post(path: &'a str) -> Option<Self> {
        let mut kinds = Kind::ALL.into_iter();
        if let Some(kind) = kinds.find(|kind| kind.paths().contains(&path)) {
            return Some(Self::Publish(kind));
        }
        find(&POSTS, path).or_else(|| {
            CUSTOMER_POSTS.iter().find_map(|(prefix, route)| {
                let customer = path.strip_prefix(prefix)?;
                let is_one_segment = !customer.is_empty() && !customer.contains('/');
                is_one_segment.then(|| route(percent_decode_str(customer).decode_utf8_lossy()))
            })
        })
    }

    /// Returns a path as the route has it: without the slash at its end, and with a name in the place
    /// of what varies.
    pub fn template(path: &str) -> Cow<'_, str> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let mut prefixes = CUSTOMER_POSTS.iter().map(|(prefix, _)| prefix);
        match prefixes.find(|prefix| path.starts_with(**prefix)) {
            Some(prefix) => customer_template(prefix).into(),
            None => path.into(),
        }
    }

    /// Lists the method and the path of every route as the OpenAPI document has them, but for the
    /// slash at the end. HEAD goes with GET.
    #[cfg(any(test, feature = "testing"))]
    pub fn operations() -> Vec<(Method, String)> {
        let gets = GETS
            .iter()
            .map(|(path, _)| (Method::GET, (*path).to_owned()));
        let fixed = POSTS.iter().map(|(path, _)| *path);
        let kinds = Kind::ALL.into_iter().flat_map(Kind::paths).copied();
        let customers = CUSTOMER_POSTS.iter();
        let customers = customers.map(|(prefix, _)| customer_template(prefix));
        let posts = fixed.chain(kinds).map(str::to_owned).chain(customers);
        gets.chain(posts.map(|path| (Method::POST, path))).collect()
    }

    /// Returns whether the answer depends on users and customers.
    pub(super) fn asks_directory(&self) -> bool {
        !matches!(
            self,
            Self::OAuthMetadata
                | Self::Running
                | Self::OpenApi
                | Self::MethodNotAllowed(_)
                | Self::NotFound
        )
    }

    /// Returns the endpoint, as logs and metrics label it.
    pub(super) fn endpoint(&self) -> Endpoint {
        match self {
            Self::Token | Self::Refresh => Endpoint::Token,
            Self::OAuthToken | Self::OAuthRevoke | Self::OAuthMetadata => Endpoint::OAuth,
            Self::Publish(kind) => Endpoint::Records(*kind),
            Self::Running => Endpoint::Running,
            Self::OpenApi => Endpoint::OpenApi,
            Self::Ticket(_) => Endpoint::Records(Kind::Ticket),
            Self::CloudEvents => Endpoint::CloudEvents,
            Self::Alertmanager(_) => Endpoint::Alertmanager,
            Self::MethodNotAllowed(_) | Self::NotFound => Endpoint::Other,
        }
    }
}

/// Returns the path that begins so and ends in a customer, with a name in the customer's place.
fn customer_template(prefix: &str) -> String {
    format!("{prefix}{{customerid}}")
}

fn find(routes: &[(&str, Route<'static>)], path: &str) -> Option<Route<'static>> {
    let (_, route) = routes.iter().find(|(served, _)| *served == path)?;
    Some(route.clone())
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
            ("/cloudevents", Route::CloudEvents),
            ("/alertmanager/acme", Route::Alertmanager("acme".into())),
            ("/alertmanager/a%2Fb", Route::Alertmanager("a/b".into())),
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
            (Method::GET, "/openapi.json", Route::OpenApi),
            (Method::HEAD, "/openapi.json", Route::OpenApi),
            (Method::POST, "/openapi.json", Route::MethodNotAllowed(GET)),
            (Method::GET, "/publish/healthcheck", Route::Running),
            (Method::HEAD, "/publish/healthcheck", Route::Running),
            (
                Method::PUT,
                "/publish/healthcheck",
                Route::MethodNotAllowed(GET_OR_POST),
            ),
            (Method::OPTIONS, "/publish/metrics", post_only.clone()),
            (Method::GET, "/gbp/push/acme", post_only.clone()),
            (Method::GET, "/cloudevents", post_only.clone()),
            (Method::PUT, "/alertmanager/acme", post_only.clone()),
            (Method::GET, "/api/v1/user/token", post_only),
        ] {
            check(&method, path, &expected);
            check(&method, &format!("{path}/"), &expected);
        }
    }

    #[test]
    fn each_operation_leads_to_a_route_of_its_own() {
        let operations = Route::operations();
        let mut routes = Vec::new();
        for (method, path) in &operations {
            let route = Route::of(method, path);
            let is_served = !matches!(route, Route::NotFound | Route::MethodNotAllowed(_));
            assert!(is_served, "{method} {path}");
            routes.push(route);
        }
        let aliases = routes
            .iter()
            .filter(|route| **route == Route::Publish(Kind::Event));
        assert_eq!(aliases.count(), 2, "both spellings");
        routes.dedup();
        assert_eq!(routes.len(), operations.len() - 1, "{routes:?}");
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
            "/cloudevents/a",
            "/alertmanager",
            "/alertmanager/",
            "/alertmanager/a/b",
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
