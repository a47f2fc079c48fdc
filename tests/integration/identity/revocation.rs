//! Changes of the directory hold for tokens that are already out, while the gateway runs: through the real command line, and by a file that changes behind the gateway's
//! back.

use std::time::Duration;

use rustix::process::Signal;

use iem_test_support::{Gateway, Home, eventually, post};

const PUBLISHED: &str = r#"{"message":"Data published successfully"}"#;
const INVALID: &str = r#"{"message":"Invalid access token"}"#;
const INACTIVE: &str = r#"{"message":"Data has been sent for inactive customer"}"#;
const NOT_ASSOCIATED: &str = r#"{"message":"User is not associated with the customer"}"#;

/// The contract says one second; a loaded machine may need more before that is anybody's fault.
const SOON: Duration = Duration::from_secs(5);

fn text_of(gateway: &Gateway, token: &str) -> String {
    gateway
        .send(&post("/publish/allevents/", r#"{"envcustomerid":"acme"}"#).cookie(token))
        .text()
}

/// Runs a command on the directory of the running gateway.
fn command(gateway: &Gateway, arguments: &[&str], input: &str) {
    let output = gateway.home.run_with_input(arguments, input);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

#[test]
fn each_change_and_its_reversal_hold_for_tokens_already_out() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    assert_eq!(text_of(&gateway, &token), PUBLISHED);
    let changes: [(&[&str], &str, &[&str]); 2] = [
        (
            &["customer", "deactivate", "acme"],
            INACTIVE,
            &["customer", "activate", "acme"],
        ),
        (
            &["user", "revoke", "alice@acme.example", "acme"],
            NOT_ASSOCIATED,
            &["user", "grant", "alice@acme.example", "acme"],
        ),
    ];
    for (change, answer, back) in changes {
        command(&gateway, change, "");
        eventually(SOON, &change.join(" "), || {
            text_of(&gateway, &token) == answer
        });
        command(&gateway, back, "");
        eventually(SOON, &back.join(" "), || {
            text_of(&gateway, &token) == PUBLISHED
        });
    }
}

#[test]
fn a_change_while_a_body_comes_in_holds_for_that_request() {
    let gateway = Home::new().start();
    let other = gateway.token("root");
    for (change, answer) in [
        (
            &["user", "revoke", "alice@acme.example", "acme"][..],
            NOT_ASSOCIATED,
        ),
        (&["user", "disable", "alice@acme.example"], INVALID),
    ] {
        let token = gateway.token("alice");
        let mut slow = gateway.connect();
        let request = post("/publish/allevents/", "").cookie(&token);
        slow.send(request.head("Content-Length: 24") + "{");
        // Another connection's answer, from the same threads, comes after that head has been read.
        assert_eq!(text_of(&gateway, &other), PUBLISHED);
        command(&gateway, change, "");
        eventually(SOON, &change.join(" "), || {
            text_of(&gateway, &token) == answer
        });
        if change[1] == "disable" {
            // The sessions have ended; that the user is disabled may show a moment later.
            eventually(SOON, "no login", || {
                let answer = gateway.log_in("alice@acme.example", "alice-password");
                answer.status == 401
            });
        }
        slow.send(r#""envcustomerid":"acme"}"#);
        assert_eq!(slow.answer().text(), answer);
    }
}

#[test]
fn a_removed_user_and_customer_are_unknown() {
    let gateway = Home::new().start();
    let (alice, root) = (gateway.token("alice"), gateway.token("root"));
    let refresh = gateway
        .log_in("alice@acme.example", "alice-password")
        .expect(200)
        .refresh_token();
    command(&gateway, &["user", "remove", "alice@acme.example"], "");
    eventually(SOON, "a removed user", || {
        text_of(&gateway, &alice) == INVALID
    });
    let refresh = post(
        "/api/v1/user/token/refresh",
        format!(r#"{{"refresh_token":"{refresh}"}}"#),
    );
    gateway
        .send(&refresh)
        .expect(401)
        .body_is(r#"{"detail":"Invalid refresh token."}"#);
    // The end of the sessions is in a file of its own, which may be seen first.
    eventually(SOON, "no log-in", || {
        let answer = gateway.log_in("alice@acme.example", "alice-password");
        answer.status == 401
    });

    command(&gateway, &["customer", "remove", "acme"], "");
    eventually(SOON, "a removed customer", || {
        text_of(&gateway, &root) == INACTIVE
    });
}

#[test]
fn a_changed_password_holds_for_logins_and_for_verified_basic_credentials() {
    let gateway = Home::new().start();
    let ticket = |password: &str| {
        let body = r#"{"state":6,"sysid":"1"}"#;
        let request = post("/gbp/push/acme?integrationid=servicenow-1", body);
        gateway
            .send(&request.basic("alice@acme.example", password))
            .status
    };
    // Twice, so that the second is answered from what the gateway remembers.
    assert_eq!(
        [ticket("alice-password"), ticket("alice-password")],
        [200, 200]
    );
    command(
        &gateway,
        &["user", "passwd", "alice@acme.example", "--password-stdin"],
        "another-password-1\n",
    );
    eventually(SOON, "the old password is refused", || {
        ticket("alice-password") == 403
    });
    assert_eq!(ticket("another-password-1"), 200);
    gateway
        .log_in("alice@acme.example", "another-password-1")
        .expect(200);
}

#[test]
fn a_disabled_user_can_neither_refresh_nor_send_tickets() {
    let gateway = Home::new().start();
    let answer = gateway
        .log_in("alice@acme.example", "alice-password")
        .expect(200);
    let token = answer.access_token();
    let body = r#"{"state":6,"sysid":"1"}"#;
    let ticket = post("/gbp/push/acme?integrationid=servicenow-1", body);
    let basic = ticket.clone().basic("alice@acme.example", "alice-password");
    gateway.send(&basic).expect(200);
    command(&gateway, &["user", "disable", "alice@acme.example"], "");
    eventually(SOON, "a disabled user", || {
        text_of(&gateway, &token) == INVALID && gateway.send(&basic).status == 403
    });
    let refresh = format!(r#"{{"refresh_token":"{}"}}"#, answer.refresh_token());
    gateway
        .send(&post("/api/v1/user/token/refresh", refresh))
        .expect(401);
    gateway
        .send(&ticket.cookie(&token))
        .expect(401)
        .body_is(INVALID);
    gateway
        .send(&basic)
        .expect(403)
        .body_is(r#"{"message":"Invalid credentials"}"#);
}

#[test]
fn an_integration_is_added_and_removed_while_the_gateway_runs() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let send = || {
        let body = r#"{"state":6,"sysid":"1"}"#;
        gateway
            .send(&post("/gbp/push/acme?integrationid=new", body).cookie(&token))
            .status
    };
    assert_eq!(send(), 404);
    command(
        &gateway,
        &["integration", "add", "acme", "new", "--state", "3=resolved"],
        "",
    );
    eventually(SOON, "a new integration", || send() == 200);
    command(&gateway, &["integration", "remove", "acme", "new"], "");
    eventually(SOON, "a removed integration", || send() == 404);
}

#[test]
fn a_directory_that_does_not_parse_leaves_the_last_good_one() {
    let gateway = Home::new().start();
    let token = gateway.token("alice");
    let good =
        std::fs::read_to_string(gateway.home.path("directory.toml")).expect("the directory file");
    for broken in ["[[user]\nemail", "", "[[customer]]\nid = 1\n", "\u{0}"] {
        gateway.home.write("directory.toml", broken);
        std::thread::sleep(Duration::from_millis(300));
        // An empty file is a directory of nobody, where it is read as one; a broken one never is.
        if !broken.is_empty() {
            assert_eq!(text_of(&gateway, &token), PUBLISHED, "after {broken:?}");
        }
        gateway.home.write("directory.toml", &good);
        eventually(SOON, "the good directory again", || {
            text_of(&gateway, &token) == PUBLISHED
        });
    }
    std::fs::remove_file(gateway.home.path("directory.toml")).expect("the directory file");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        text_of(&gateway, &token),
        PUBLISHED,
        "after the file was removed"
    );
    // And it still follows the file.
    gateway.home.write(
        "directory.toml",
        good.replace("enabled = true", "enabled = false"),
    );
    eventually(SOON, "a change after all that", || {
        text_of(&gateway, &token) == INVALID
    });
}

#[test]
fn a_hangup_signal_reads_the_directory_again_and_ends_nothing() {
    let mut gateway = Home::new().spawn();
    let token = gateway.token("alice");
    gateway
        .home
        .clone()
        .edit_directory(|text| text.replace("enabled = true", "enabled = false"));
    gateway.signal(Signal::HUP);
    eventually(SOON, "the change after a hangup", || {
        text_of(&gateway, &token) == INVALID
    });
    gateway.signal(Signal::HUP);
    assert_eq!(gateway.admin("/livez").status, 200);
}
