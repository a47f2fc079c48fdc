//! Whether an answer is the one that the contract asks for: status, headers, and every byte of the
//! body that it states.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::contract::{Contract, Index, Says, Verdict, is_superadmin};
use super::words::User;
use iem_test_support::{Answer, email};

/// Customers that were added to see that a change has been read.
pub(crate) const MARKERS: &str = "marker-";

impl Verdict {
    pub(crate) fn check(&self, answer: &Answer, contract: &Contract) -> Result<(), String> {
        let fault = |what: &str| Err(format!("{what}\nexpected {self:?}\nanswered {answer:?}"));
        if answer.status != self.status {
            return fault("another status");
        }
        if answer.header("content-type") != Some("application/json")
            || answer.header("set-cookie").is_some()
        {
            return fault("other headers");
        }
        let wait = answer.header("retry-after").map(str::parse::<u32>);
        if !matches!((self.status, wait), (503, Some(Ok(1..))) | (..503, None)) {
            return fault("Retry-After");
        }
        let of_token = matches!(self.says, Says::Detail(_) | Says::Pair(_));
        let challenge = if of_token {
            r#"Basic realm="IEM""#
        } else {
            "Bearer"
        };
        if answer.header("www-authenticate") != (self.status == 401).then_some(challenge) {
            return fault("WWW-Authenticate");
        }
        if of_token && answer.header("cache-control") != Some("no-store") {
            return fault("Cache-Control");
        }
        let is = match self.says {
            Says::Detail(detail) => answer.text() == format!(r#"{{"detail":"{detail}"}}"#),
            Says::Pair(user) => is_pair(&answer.json(), user, contract),
            _ => self.is_message(answer),
        };
        if is { Ok(()) } else { fault("another body") }
    }

    fn is_message(&self, answer: &Answer) -> bool {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(&answer.body) else {
            return false;
        };
        let Some(Value::String(message)) = body.remove("message") else {
            return false;
        };
        let said = match self.says {
            Says::Message(expected) => message == expected,
            Says::Naming(words) => message.contains(words),
            _ => !message.is_empty(),
        };
        let index = body.remove("record");
        let indexed = match self.record {
            Index::None => index.is_none(),
            Index::Is(expected) => index == Some(json!(expected)),
            Index::Any => true,
        };
        let mut lists = [("failed", &self.failed), ("rejected", &self.rejected)].into_iter();
        let listed = lists.all(|(name, expected)| match body.remove(name) {
            None => expected.is_empty(),
            Some(list) => !expected.is_empty() && list == json!(expected),
        });
        // Clients that keep 256 bytes see the message.
        said && indexed && listed && body.is_empty() && answer.text().starts_with(r#"{"message":""#)
    }
}

fn is_pair(body: &Value, user: User, contract: &Contract) -> bool {
    let Some(data) = body["data"].as_object() else {
        return false;
    };
    let whole = json!({ "status_code": 200, "data": data, "msg": "" });
    let token = |name: &str| {
        data.get(name)
            .and_then(Value::as_str)
            .is_some_and(|token| token.len() > 20)
    };
    let known = [
        "email",
        "name",
        "is_superadmin",
        "access_token",
        "refresh_token",
        "associated_with_customers",
    ];
    let list = data
        .get("associated_with_customers")
        .and_then(Value::as_array);
    let found: Option<BTreeMap<&str, bool>> = list.into_iter().flatten().map(association).collect();
    let found = found.map(|found| {
        let real = found
            .into_iter()
            .filter(|(customer, _)| !customer.starts_with(MARKERS));
        real.collect::<Vec<_>>()
    });
    *body == whole
        && data.len() == known.len()
        && known.iter().all(|name| data.contains_key(*name))
        && data["email"] == email(user)
        && data["is_superadmin"] == is_superadmin(user)
        && token("access_token")
        && token("refresh_token")
        && found == Some(contract.associations(user))
}

fn association(listed: &Value) -> Option<(&str, bool)> {
    let name = listed["customer_name"].as_str()?;
    (listed.as_object()?.len() == 3 && !name.is_empty()).then_some(())?;
    Some((
        listed["customer_id"].as_str()?,
        listed["is_active"].as_bool()?,
    ))
}
