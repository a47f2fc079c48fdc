//! Each page for each kind of visitor.

use iem_test_support::{Gateway, Home, basic, email, get};

use super::{ask, guarded, log_in, post_form, roots_cookie, session};

/// Visitors with what they show, a header.
fn visitors(gateway: &Gateway) -> Vec<(&'static str, String)> {
    let by_password = |user: &str, password: &str| {
        let credentials = basic(format!("{}:{password}", email(user)));
        format!("Authorization: {credentials}")
    };
    let by_token = |user: &str| format!("Authorization: Bearer {}", gateway.token(user));
    vec![
        ("nobody", String::new()),
        ("wrong password", by_password("root", "wrong")),
        ("disabled user", by_password("off", "off-password")),
        ("no password", "Authorization: Basic !".to_owned()),
        ("wrong token", "Authorization: Bearer forged".to_owned()),
        ("wrong cookie", "Cookie: iem-admin=forged".to_owned()),
        (
            "access token as a cookie",
            format!("Cookie: access_token={}", gateway.token("root")),
        ),
        ("user by password", by_password("alice", "alice-password")),
        ("user by token", by_token("alice")),
        (
            "organization user by password",
            by_password("org", "org-password"),
        ),
        ("root by password", by_password("root", "root-password")),
        ("root by token", by_token("root")),
        (
            "root by cookie",
            format!("Cookie: {}", roots_cookie(gateway)),
        ),
    ]
}

fn status(gateway: &Gateway, path: &str, visitor: &str) -> u16 {
    let header = visitor.split_once(": ");
    ask(gateway, "GET", path, header.as_slice()).status
}

#[test]
fn a_guarded_listener_shows_each_visitor_what_it_may_see() {
    let gateway = guarded().start();
    for (who, shown) in visitors(&gateway) {
        let is_root = who.starts_with("root");
        let is_user = who.contains("user by");
        for path in [
            "/livez",
            "/readyz",
            "/readyz?sinks",
            "/openapi",
            "/console.css",
            "/console.js",
        ] {
            assert_eq!(status(&gateway, path, &shown), 200, "{path} {who}");
        }
        let metrics = if is_root {
            200
        } else if is_user {
            403
        } else {
            401
        };
        assert_eq!(status(&gateway, "/metrics", &shown), metrics, "{who}");
        // A browser would send a password unasked.
        let by_password = who.ends_with("by password");
        let session = if by_password { 401 } else { metrics };
        assert_eq!(status(&gateway, "/session", &shown), session, "{who}");
        let has_logged_in = is_root && !by_password;
        let log_in = if has_logged_in { 303 } else { 200 };
        assert_eq!(status(&gateway, "/login", &shown), log_in, "{who}");
        assert_eq!(status(&gateway, "/nothing", &shown), 404, "{who}");
    }
}

#[test]
fn on_loopback_everybody_may_look_unless_the_configuration_says_otherwise() {
    for home in [Home::new(), Home::new().set("admin.login", "never")] {
        let gateway = home.start();
        for (who, shown) in visitors(&gateway) {
            for path in ["/livez", "/readyz", "/metrics", "/openapi", "/session"] {
                assert_eq!(status(&gateway, path, &shown), 200, "{path} {who}");
            }
        }
        let local = session(&gateway, "").json();
        assert!(local["user"].is_null());
        assert_eq!(local["csrf"].as_str().map(str::len), Some(64));
        let root = session(&gateway, &roots_cookie(&gateway)).json();
        assert_eq!(root["user"], "root@iem.example");
        assert_ne!(root["csrf"], local["csrf"]);
    }
}

#[test]
fn a_page_under_a_name_that_is_not_ours_asks_for_a_log_in_on_loopback_too() {
    let gateway = Home::new()
        .set("server.url", "https://iem.example.com")
        .start();
    let under = |host: &str| ask(&gateway, "GET", "/session", &[("Host", host)]).status;
    for host in [
        "127.0.0.1:9090",
        "[::1]",
        "localhost:9090",
        "iem.example.com",
    ] {
        assert_eq!(under(host), 200, "{host}");
    }
    for host in ["rebound.example", "127.0.0.1.rebound.example", ""] {
        assert_eq!(under(host), 401, "{host}");
    }
    // What probes and Prometheus ask for is open under any name.
    for path in ["/livez", "/readyz", "/metrics", "/openapi"] {
        let answer = ask(&gateway, "GET", path, &[("Host", "gw.internal")]);
        answer.expect(200);
    }
}

#[test]
fn whoever_is_turned_away_is_told_what_to_show() {
    let gateway = guarded().start();
    let challenge = |path: &str, headers: &[(&str, &str)]| {
        let answer = ask(&gateway, "GET", path, headers).expect(401);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer.header("www-authenticate").map(str::to_owned)
    };
    let both = Some(r#"Bearer, Basic realm="IEM""#.to_owned());
    let wrong = basic("root@iem.example:wrong");
    assert_eq!(challenge("/metrics", &[]), both);
    assert_eq!(challenge("/metrics", &[("Authorization", &wrong)]), both);
    assert_eq!(
        challenge("/metrics", &[("Authorization", "Bearer x")]),
        both
    );
    // A password is not taken, so no browser is to ask for one.
    assert_eq!(challenge("/session", &[]).as_deref(), Some("Bearer"));

    let message = |headers: &[(&str, &str)]| ask(&gateway, "GET", "/metrics", headers).message();
    assert_eq!(message(&[]), "Missing access token");
    assert_eq!(message(&[("Authorization", &wrong)]), "Invalid credentials");
    let alice = format!("Bearer {}", gateway.token("alice"));
    assert_eq!(message(&[("Authorization", &alice)]), "Access denied");
}

#[test]
fn a_browser_that_has_to_log_in_is_sent_there_and_back() {
    let gateway = guarded().start();
    let browser = ("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8");
    let answer = ask(&gateway, "GET", "/metrics?a=1&b=%2F", &[browser]).expect(303);
    let location = answer.header("location").expect("a place");
    assert_eq!(location, "/login?next=%2Fmetrics%3Fa%3D1%26b%3D%252F");
    let page = ask(&gateway, "GET", location, &[browser])
        .expect(200)
        .text();
    assert!(
        page.contains(r#"name="next" value="/metrics?a=1&amp;b=%2F""#),
        "{page}"
    );
    let fields = [
        ("email", "root@iem.example"),
        ("password", "root-password"),
        ("next", "/metrics?a=1&b=%2F"),
    ];
    let answer = post_form(&gateway, "/login", &[browser], &fields).expect(303);
    assert_eq!(answer.header("location"), Some("/metrics?a=1&b=%2F"));
    // The event stream of a page is no navigation.
    let stream = ("Accept", "text/event-stream");
    ask(&gateway, "GET", "/session", &[stream]).expect(401);
}

#[test]
fn no_log_in_leads_away_from_here() {
    let gateway = guarded().start();
    for next in [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "/%0d%0aSet-Cookie:%20a=b",
        "/login",
        "javascript:alert(1)",
        "\"><script>alert(1)</script>",
    ] {
        let fields = [
            ("email", "root@iem.example"),
            ("password", "root-password"),
            ("next", next),
        ];
        let answer = post_form(&gateway, "/login", &[], &fields).expect(303);
        let leads_to = answer.header("location").expect("a place");
        let is_harmless = leads_to == "/" || leads_to == "/%0d%0aSet-Cookie:%20a=b";
        assert!(is_harmless, "{next}: {leads_to}");
        assert_eq!(
            answer
                .headers
                .iter()
                .filter(|(name, _)| name == "Set-Cookie")
                .count(),
            1,
            "{answer:?}"
        );
        let target = format!("/login?next={}", super::encoded(next));
        let page = ask(&gateway, "GET", &target, &[]).expect(200).text();
        assert!(
            !page.contains("evil") && !page.contains("<script"),
            "{page}"
        );
    }
}

#[test]
fn the_log_in_page_runs_nothing_and_sends_its_form_here_alone() {
    let gateway = guarded().start();
    let answer = ask(&gateway, "GET", "/login", &[]).expect(200);
    assert_eq!(
        answer.header("content-security-policy"),
        Some(
            "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; \
             frame-ancestors 'none'"
        )
    );
    // Without a referrer a browser would not tell the origin of the form.
    assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let page = answer.text();
    for active in [
        "<script",
        " style=",
        " src=",
        " onload=",
        " onsubmit=",
        " onfocus=",
    ] {
        assert!(!page.contains(active), "{active}: {page}");
    }
    ask(&gateway, "HEAD", "/login", &[]).expect(200);
}

#[test]
fn the_answer_to_a_wrong_log_in_does_not_tell_users_apart() {
    let gateway = guarded().start();
    let wrong = log_in(&gateway, email("root"), "wrong").expect(401);
    assert_eq!(wrong.header("set-cookie"), None);
    assert!(
        wrong.text().contains("Invalid username/password."),
        "{wrong:?}"
    );
    // A browser that is challenged would ask for a password by itself.
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    for (user, password) in [
        ("stranger@example.com", "wrong"),
        (email("off"), "off-password"),
        ("", ""),
    ] {
        let answer = log_in(&gateway, user, password).expect(401);
        assert_eq!(answer.text(), wrong.text(), "{user}");
    }
    let alice = log_in(&gateway, email("alice"), "alice-password").expect(403);
    assert!(alice.text().contains("Access denied"), "{alice:?}");
    assert_eq!(alice.header("set-cookie"), None);
}

#[test]
fn each_path_takes_its_methods_alone() {
    let gateway = Home::new().start();
    for (method, path, allow) in [
        ("POST", "/metrics", "GET, HEAD"),
        ("DELETE", "/livez", "GET, HEAD"),
        ("POST", "/session", "GET, HEAD"),
        ("PUT", "/login", "GET, HEAD, POST"),
        ("GET", "/logout", "POST"),
    ] {
        let answer = ask(&gateway, method, path, &[]).expect(405);
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    ask(&gateway, "POST", "/nothing", &[]).expect(404);
    // The front has none of these.
    for path in ["/login", "/session"] {
        gateway.send(&get(path)).expect(404);
    }
}
