//! Tokens in every state that the contract's cases know, made once: issued by gateways that have
//! ended since, with the key that the tests' gateways share.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Gateway, Home};
use crate::directory::email;
use crate::request::post;
use crate::tokens::forged;

static TOKENS: LazyLock<Tokens> = LazyLock::new(Tokens::issue);

struct Tokens {
    key: Vec<u8>,
    issued: HashMap<String, String>,
}

/// Makes a home for gateways that take the tokens of the cases.
pub fn home() -> Home {
    let home = Home::new();
    home.write_secret("token.key", &TOKENS.key);
    home.set("server.max_body", "64 KiB")
}

/// Returns a user's token in one of the states that the cases know, such as `token`, `expired`,
/// `foreign-refresh` or `unsigned`.
pub fn issued(state: &str, user: &str) -> String {
    let token = || TOKENS.get("token", user);
    match state {
        "alg-none" | "alg-none-signed" | "unsigned" | "cut" => {
            forged(state, &token()).expect("a token in three parts")
        }
        "promoted" => promoted(&token(), user),
        state => TOKENS.get(state, user),
    }
}

impl Tokens {
    fn issue() -> Self {
        // Everybody may call, until the tests' own directory says otherwise.
        let home = Home::new().edit_directory(|text| {
            text.replace("organization = true", "organization = false")
                .replace("enabled = false", "enabled = true")
        });
        let mut issued = HashMap::new();
        {
            let brief = home
                .clone()
                .set("tokens.access_lifetime", "1s")
                .set("tokens.refresh_lifetime", "1s")
                .start();
            add(&mut issued, &brief, "expired", "alice");
            add(&mut issued, &brief, "expired", "org");
        }
        {
            let lasting = home
                .clone()
                .set("tokens.access_lifetime", "1h")
                .set("tokens.refresh_lifetime", "24h")
                .start();
            for user in ["alice", "bob", "carol", "root", "org", "off"] {
                add(&mut issued, &lasting, "token", user);
            }
        }
        add(&mut issued, &Home::new().start(), "foreign", "alice");
        let key = std::fs::read(home.path("token.key")).expect("the key file made on first start");
        // An expiry holds whole seconds and has no leeway.
        thread::sleep(Duration::from_millis(2100));
        Self { key, issued }
    }

    fn get(&self, state: &str, user: &str) -> String {
        self.issued
            .get(&format!("{state}:{user}"))
            .unwrap_or_else(|| panic!("no {state} of {user}"))
            .clone()
    }
}

/// A token whose claims name `root` in place of its user.
fn promoted(token: &str, user: &str) -> String {
    let parts: Vec<_> = token.split('.').collect();
    let claims = URL_SAFE_NO_PAD
        .decode(parts[1])
        .expect("claims in base64url");
    let claims = String::from_utf8(claims).expect("claims are text");
    let promoted = claims.replace(email(user), email("root"));
    assert_ne!(claims, promoted, "the claims name the user");
    let promoted = URL_SAFE_NO_PAD.encode(promoted);
    format!("{}.{promoted}.{}", parts[0], parts[2])
}

/// Logs `user` in, and keeps the pair as `<state>:<user>` and `<state>-refresh:<user>`.
fn add(issued: &mut HashMap<String, String>, gateway: &Gateway, state: &str, user: &str) {
    let login = post("/api/v1/user/token", "").basic(email(user), &format!("{user}-password"));
    let answer = gateway.send(&login).expect(200);
    issued.insert(format!("{state}:{user}"), answer.access_token());
    issued.insert(format!("{state}-refresh:{user}"), answer.refresh_token());
}
