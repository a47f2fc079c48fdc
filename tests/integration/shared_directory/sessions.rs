//! Sessions over several gateways: what one ends has ended on all, and a refresh token that was used
//! at one is known at all.

use iem_test_support::{Answer, Gateway, eventually, post};

use super::{INVALID, PUBLISHED, SOON, database, home, publish};

fn log_in(gateway: &Gateway) -> Answer {
    gateway
        .log_in("alice@acme.example", "alice-password")
        .expect(200)
}

fn refresh(gateway: &Gateway, token: &str) -> Answer {
    let body = format!(r#"{{"refresh_token":"{token}"}}"#);
    gateway.send(&post("/api/v1/user/token/refresh", body))
}

#[test]
fn a_refresh_token_that_was_used_at_one_gateway_is_known_at_another() {
    let database = database();
    let gateways: Vec<_> = (0..3).map(|_| home(&database.url()).start()).collect();
    let other = log_in(&gateways[2]);
    let first = log_in(&gateways[0]);
    // Each at another gateway: none but the first knows of it otherwise.
    let second = refresh(&gateways[1], &first.refresh_token()).expect(200);
    let third = refresh(&gateways[2], &second.refresh_token()).expect(200);
    let uses = "SELECT count(*) FROM iem_gateway.refreshes WHERE generation = 1";
    eventually(SOON, "the use is told", || database.run(uses) == "1");
    let tokens = [&first, &second, &third].map(Answer::access_token);
    for token in &tokens {
        assert_eq!(publish(&gateways[0], token), PUBLISHED);
    }
    // The first gateway has seen no refresh at all. It was told within a second.
    eventually(SOON, "the thief is known", || {
        refresh(&gateways[0], &first.refresh_token()).status == 401
    });
    for gateway in &gateways {
        for token in &tokens {
            eventually(SOON, "the session has ended", || {
                publish(gateway, token) == INVALID
            });
        }
        assert_eq!(publish(gateway, &other.access_token()), PUBLISHED);
    }
}

#[test]
fn a_token_that_is_revoked_at_one_gateway_has_ended_at_all_and_for_later_ones() {
    let database = database();
    let gateways: Vec<_> = (0..2).map(|_| home(&database.url()).start()).collect();
    let token = log_in(&gateways[0]).access_token();
    let revoke = post("/oauth2/revoke", format!("token={token}"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .basic("alice@acme.example", "alice-password");
    // The answer comes once it is in the database.
    gateways[1].send(&revoke).expect(200);
    let ended = "SELECT count(*) FROM iem_gateway.ended_sessions";
    assert_eq!(database.run(ended), "1");
    eventually(SOON, "the session has ended", || {
        publish(&gateways[0], &token) == INVALID
    });
    let later = home(&database.url()).start();
    assert_eq!(publish(&later, &token), INVALID);
}
