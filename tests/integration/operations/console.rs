//! The console from outside: what its pages show, what they are protected by, and its streams.

use std::io::Read;
use std::net::TcpStream;

use super::admin_access::{ask, post_form, roots_cookie};
use iem_sink::testing::{Behaviour, ScriptedSink};
use iem_sink::{Reason, SinkError};
use iem_test_support::{AMPLE, Answer, Connection, Gateway, Home, TOPICS, eventually, post};

const RECORD: &str = r#"{"envcustomerid":"acme"}"#;
const HOSTILE: &str = "<script>alert(1)</script>";

/// Asks for a page as a browser on this machine does.
fn look(gateway: &Gateway, path: &str) -> Answer {
    ask(gateway, "GET", path, &[])
}

/// Checks that a page is HTML that loads nothing from elsewhere and holds no script or style.
#[track_caller]
fn check_page(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy").expect("a policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let page = answer.text();
    assert!(
        !page.contains(" style=") && !page.contains("<script>"),
        "{page}"
    );
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("<script src=\"/console.js\" defer></script>"));
    page
}

#[test]
fn the_first_screen_shows_topics_and_the_ledger() {
    let gateway = Home::new().start();
    for _ in 0..3 {
        gateway.publish("/publish/allevents/", RECORD).expect(200);
    }
    let page = check_page(&look(&gateway, "/").expect(200));
    for topic in TOPICS {
        assert!(
            page.contains(&format!("href=\"/topics/{topic}\"")),
            "{topic}"
        );
    }
    for words in [
        "All is well",
        "<dt>Accepted</dt><dd>3 ",
        "file takes records",
        ">acme</th>",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    eventually(AMPLE, "there are rates", || {
        let overview = look(&gateway, "/overview").expect(200).json();
        overview["ledger"]["accepted_rate"].is_number()
    });
    let overview = look(&gateway, "/overview").json();
    assert_eq!(overview["ledger"]["accepted"], 3);
    assert_eq!(overview["ledger"]["unaccounted"], 0);
    assert_eq!(overview["topics"][0]["name"], "events");
    let script = look(&gateway, "/console.js").expect(200);
    assert_eq!(
        script.header("content-type"),
        Some("text/javascript; charset=utf-8")
    );
    look(&gateway, "/topics/nothing").expect(404);
    look(&gateway, "/events?topic=nothing").expect(404);
    for path in ["/", "/overview", "/topics/events", "/console.js"] {
        post_form(&gateway, path, &[], &[]).expect(405);
    }
    look(&gateway, "/topics/events/replay").expect(405);
}

#[test]
fn what_a_sink_says_is_text_and_shows_while_it_is_down_and_after() {
    let sink = ScriptedSink::new();
    let gateway = Home::new()
        .set("topics.events.deadline", "300ms")
        .start_with(&sink);
    let error = SinkError::transient(HOSTILE);
    sink.set("events", Behaviour::Fail(error));
    gateway.publish("/publish/allevents/", RECORD).expect(503);
    let escaped = "&lt;script&gt;alert(1)&lt;/script&gt;";
    eventually(AMPLE, "it shows", || {
        let page = check_page(&look(&gateway, "/"));
        page.contains("In trouble") && page.contains(escaped)
    });
    sink.set("events", Behaviour::Deliver);
    gateway.publish("/publish/allevents/", RECORD).expect(200);
    eventually(AMPLE, "it is mended", || {
        let page = check_page(&look(&gateway, "/topics/events"));
        page.contains("takes records</span> <small>last error") && page.contains(escaped)
    });
}

#[test]
fn a_topics_page_has_its_refusals_by_reason_and_its_dead_letters() {
    let sink = ScriptedSink::new();
    let home = Home::new().set("topics.events.dead_letter", true);
    let gateway = home.start_with(&sink);
    let page = check_page(&look(&gateway, "/topics/events"));
    assert!(
        page.contains("None since the start") && page.contains("There are none"),
        "{page}"
    );
    for _ in 0..2 {
        gateway
            .send(&post("/publish/allevents/", RECORD))
            .expect(401);
    }
    gateway.publish("/publish/allevents/", "{").expect(400);
    let refuses = std::sync::Arc::new(|_: &iem_sink::Record| true);
    sink.set("events", Behaviour::Reject(refuses, Reason::Schema));
    gateway.publish("/publish/allevents/", RECORD).expect(413);
    sink.set("events", Behaviour::Deliver);
    eventually(AMPLE, "its letter is there", || {
        let page = check_page(&look(&gateway, "/topics/events"));
        page.contains("1 file") && page.contains("<td>acme</td><td>alice@acme.example</td>")
    });
    let page = look(&gateway, "/topics/events").text();
    for words in [
        "Missing access token</td><td class=\"n\">2</td>",
        "cut off at byte",
        "The record does not fit the topic&#39;s schema",
        "127.0.0.1",
    ] {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("envcustomerid"), "no record's data is shown");
    let other = check_page(&look(&gateway, "/topics/metrics"));
    assert!(other.contains("None since the start") && other.contains("This topic keeps none"));
}

#[test]
fn the_configuration_shows_as_it_holds_and_without_secrets() {
    let home = Home::new().set("audit.path", "a<b>name</b>.log").set(
        "sink.kafka.properties",
        toml::Table::from_iter([("sasl.password".to_owned(), "kafka-secret".into())]),
    );
    let gateway = home.spawn();
    let page = check_page(&look(&gateway, "/"));
    assert!(page.contains("<code>server.drain</code>") && page.contains("gateway.toml"));
    assert!(page.contains("a&lt;b&gt;name") && page.contains("not shown"));
    assert!(!page.contains("kafka-secret"));
}

/// Opens a stream. Returns it behind its head.
fn stream(gateway: &Gateway, path: &str) -> TcpStream {
    let mut connection = Connection::open(gateway.admin);
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
    connection.send(request);
    connection.into_stream()
}

/// Reads until this text has come so often.
fn read_until(stream: &mut TcpStream, text: &str, times: usize) -> String {
    stream
        .set_read_timeout(Some(AMPLE))
        .expect("a socket takes its options");
    let mut read = String::new();
    let mut chunk = [0; 16 << 10];
    while read.matches(text).count() < times {
        let length = stream.read(&mut chunk).expect("more comes");
        assert!(length > 0, "the stream has ended: {read}");
        read.push_str(&String::from_utf8_lossy(&chunk[..length]));
    }
    read
}

#[test]
fn a_stream_tells_the_page_again_and_again() {
    let gateway = Home::new().start();
    for (path, words) in [
        ("/events", "All is well"),
        ("/events?topic=events", "Latest refusals"),
    ] {
        let mut stream = stream(&gateway, path);
        let read = read_until(&mut stream, "event: page", 2);
        assert!(
            read.starts_with("HTTP/1.1 200 ") && read.contains(words),
            "{read}"
        );
        assert!(
            read.to_lowercase()
                .contains("content-type: text/event-stream")
        );
    }
}

#[test]
fn streams_are_bounded_and_end_with_the_gateway() {
    let mut gateway = Home::new().start();
    let mut streams: Vec<_> = (0..16).map(|_| stream(&gateway, "/events")).collect();
    for stream in &mut streams {
        read_until(stream, "retry:", 1);
    }
    look(&gateway, "/events").expect(503);
    look(&gateway, "/").expect(200);
    streams.pop();
    eventually(AMPLE, "there is room again", || {
        let mut next = stream(&gateway, "/events");
        let read = read_until(&mut next, "\r\n\r\n", 1);
        read.starts_with("HTTP/1.1 200 ")
    });
    gateway.stop();
    for mut stream in streams {
        stream
            .set_read_timeout(Some(AMPLE))
            .expect("a socket takes its options");
        let mut rest = Vec::new();
        // A reset is an end, too.
        let ended = stream.read_to_end(&mut rest);
        let is_late = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
        assert!(!ended.is_err_and(is_late), "the stream goes on");
    }
}

#[test]
fn top_prints_a_screen_and_says_when_nobody_answers() {
    let home = Home::new();
    let gateway = home.start();
    gateway.publish("/publish/allevents/", RECORD).expect(200);
    let url = format!("http://{}", gateway.admin);
    let output = home.run(&["top", "--once", "--url", &url]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}");
    for words in ["✓ All is well", "accepted 1 (", "events ", "✓ file", "acme"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains('\x1b'));
    let output = home.run(&["--json", "top", "--url", &url]);
    let overview: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(overview["ledger"]["accepted"], 1);
    assert!(overview["ledger"]["accepted_rate"].is_number());

    drop(gateway);
    let output = home.run(&["top", "--once", "--url", &url]);
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(error.contains(&format!("no answer from {url}")), "{error}");
}

/// Returns the token of a page, as its form sends it.
fn csrf(page: &str) -> String {
    let mut parts = page.split("name=\"csrf\" value=\"");
    let token = parts.nth(1).and_then(|rest| rest.split('"').next());
    token.expect("a token").to_owned()
}

/// Has the sink refuse one record, and waits until it is kept.
fn add_dead_letter(gateway: &Gateway, sink: &ScriptedSink) {
    let kept = || gateway.metric("iem_gateway_dead_lettered_total", &["\"events\""]);
    let before = kept();
    let refuses = std::sync::Arc::new(|_: &iem_sink::Record| true);
    sink.set("events", Behaviour::Reject(refuses, Reason::Schema));
    gateway.publish("/publish/allevents/", RECORD).expect(413);
    sink.set("events", Behaviour::Deliver);
    // The page may show the file of an earlier letter.
    eventually(AMPLE, "its letter is kept", || kept() > before);
    let page = || look(gateway, "/topics/events").text();
    eventually(AMPLE, "its letter is there", || page().contains("1 file,"));
}

#[test]
fn dead_letters_are_replayed_once_and_only_for_a_page_of_ours() {
    let sink = ScriptedSink::new();
    let gateway = Home::new()
        .set("topics.events.dead_letter", true)
        .start_with(&sink);
    add_dead_letter(&gateway, &sink);
    let page = || look(&gateway, "/topics/events").expect(200).text();
    let path = "/topics/events/replay";
    post_form(&gateway, path, &[], &[]).expect(403);
    let token = csrf(&page());
    let elsewhere = [("Sec-Fetch-Site", "cross-site")];
    post_form(&gateway, path, &elsewhere, &[("csrf", &token)]).expect(403);
    post_form(&gateway, "/topics/nothing/replay", &[], &[("csrf", &token)]).expect(404);
    let delivered = || sink.log("events").delivered.len();
    assert_eq!(delivered(), 0);

    let answer = post_form(&gateway, path, &[], &[("csrf", &token)]).expect(303);
    assert_eq!(answer.header("location"), Some("/topics/events"));
    eventually(AMPLE, "it is replayed", || {
        page().contains("Replayed: 1 delivered.")
    });
    assert_eq!(delivered(), 1);
    // Its file is still being written, so it stays; it is not sent again.
    post_form(&gateway, path, &[], &[("csrf", &token)]).expect(303);
    eventually(AMPLE, "nothing is left", || {
        page().contains("Replayed: 0 delivered.")
    });
    add_dead_letter(&gateway, &sink);
    post_form(&gateway, path, &[], &[("csrf", &token)]).expect(303);
    eventually(AMPLE, "the next is", || {
        page().contains("Replayed: 1 delivered.")
    });
    assert_eq!(delivered(), 2);
}

#[test]
fn a_replay_to_a_sink_that_is_away_ends_with_the_gateway() {
    let sink = ScriptedSink::new();
    let home = Home::new().set("topics.events.dead_letter", true);
    let mut gateway = home.start_with(&sink);
    add_dead_letter(&gateway, &sink);
    sink.set("events", Behaviour::Fail(SinkError::transient(HOSTILE)));
    let page = || look(&gateway, "/topics/events").expect(200).text();
    let token = csrf(&page());
    post_form(&gateway, "/topics/events/replay", &[], &[("csrf", &token)]).expect(303);
    eventually(AMPLE, "it says what is in its way", || {
        let page = page();
        page.contains("Replaying: 1 records") && page.contains("&lt;script&gt;")
    });
    for topic in ["events", "metrics"] {
        let path = format!("/topics/{topic}/replay");
        let answer = post_form(&gateway, &path, &[], &[("csrf", &token)]).expect(409);
        assert!(
            answer.text().contains("wait until that has ended"),
            "{topic}"
        );
    }
    gateway.stop();
}

#[test]
fn records_are_shown_to_a_superadmin_who_asks_for_them_alone() {
    let home = Home::new();
    let gateway = home.spawn();
    let path = "/topics/events/records";
    let local = csrf_of_session(&gateway, &[]);
    post_form(&gateway, path, &[], &[("csrf", &local)]).expect(401);
    let cookie = roots_cookie(&gateway);
    let root = [("Cookie", &*cookie)];
    post_form(&gateway, path, &root, &[("csrf", &local)]).expect(403);
    let own = csrf_of_session(&gateway, &root);
    post_form(&gateway, path, &root, &[("csrf", &own)]).expect(303);
    let record = r#"{"envcustomerid":"acme","text":"a <b> for eyes alone"}"#;
    gateway.publish("/publish/allevents/", record).expect(200);
    let page = ask(&gateway, "GET", "/topics/events", &root)
        .expect(200)
        .text();
    assert!(page.contains("a &lt;b&gt; for eyes alone"), "{page}");
    assert!(page.contains("root@iem.example") && page.contains("Log out"));
    let page = look(&gateway, "/topics/events").expect(200).text();
    assert!(!page.contains("for eyes alone") && page.contains("/login?next=/topics/events"));
    let mut local = stream(&gateway, "/events?topic=events");
    let read = read_until(&mut local, "event: page", 2);
    assert!(!read.contains("for eyes alone"));
    let log = gateway.log();
    let entry = log.lines().find(|line| line.contains("records_shown"));
    let entry: serde_json::Value = serde_json::from_str(entry.expect("an entry")).expect("JSON");
    assert_eq!(
        (&entry["topic"], &entry["user"]),
        (&"events".into(), &"root@iem.example".into())
    );
    assert!(!log.contains("for eyes alone"));
}

fn csrf_of_session(gateway: &Gateway, headers: &[(&str, &str)]) -> String {
    let session = ask(gateway, "GET", "/session", headers).expect(200).json();
    session["csrf"].as_str().expect("a token").to_owned()
}
