//! The differences between two snapshots, for the audit log. No hash of a password is among them.

use std::sync::Arc;

use super::customer::Customer;
use super::password_version::PasswordVersion;
use super::snapshot::Directory;
use super::user::User;

impl Directory {
    /// Lists what is different in `after`, one text for each customer and user.
    pub fn changes(&self, after: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for customer in after.customers() {
            let before = self.customer(&customer.id);
            note_customer(&mut changes, &customer.id, before, Some(customer));
        }
        for customer in self.iter_customers() {
            if after.customer(&customer.id).is_none() {
                note_customer(&mut changes, &customer.id, Some(customer), None);
            }
        }
        for user in after.users() {
            note_user(
                &mut changes,
                &user.email,
                self.user(&user.email),
                Some(user),
            );
        }
        for user in self.iter_users() {
            if after.user(&user.email).is_none() {
                note_user(&mut changes, &user.email, Some(user), None);
            }
        }
        changes
    }

    /// As [`changes`](Self::changes), for these customers and users alone.
    pub(super) fn changes_of(
        &self,
        after: &Self,
        customers: &[String],
        users: &[String],
    ) -> Vec<String> {
        let mut changes = Vec::new();
        for id in customers {
            note_customer(&mut changes, id, self.customer(id), after.customer(id));
        }
        for email in users {
            note_user(&mut changes, email, self.user(email), after.user(email));
        }
        changes
    }
}

fn note_customer(
    changes: &mut Vec<String>,
    id: &str,
    before: Option<&Arc<Customer>>,
    after: Option<&Arc<Customer>>,
) {
    match (before, after) {
        (None, Some(_)) => changes.push(format!("customer {id} added")),
        (Some(_), None) => changes.push(format!("customer {id} removed")),
        (Some(before), Some(after)) => list(changes, "customer", id, &of_customer(before, after)),
        (None, None) => {}
    }
}

fn note_user(
    changes: &mut Vec<String>,
    email: &str,
    before: Option<&Arc<User>>,
    after: Option<&Arc<User>>,
) {
    match (before, after) {
        (None, Some(_)) => changes.push(format!("user {email} added")),
        (Some(_), None) => changes.push(format!("user {email} removed")),
        (Some(before), Some(after)) => list(changes, "user", email, &of_user(before, after)),
        (None, None) => {}
    }
}

fn list(changes: &mut Vec<String>, kind: &str, name: &str, of_one: &[&'static str]) {
    if !of_one.is_empty() {
        changes.push(format!("{kind} {name} {}", of_one.join(", ")));
    }
}

fn of_customer(before: &Customer, after: &Customer) -> Vec<&'static str> {
    let integrations = |customer: &Customer| {
        let all = customer.integrations().into_iter();
        all.map(|one| (one.id.clone(), one.states.clone()))
            .collect::<Vec<_>>()
    };
    let mut changes = Vec::new();
    if before.active != after.active {
        changes.push(if after.active {
            "activated"
        } else {
            "deactivated"
        });
    }
    if before.name != after.name {
        changes.push("has another name");
    }
    if before.quota != after.quota {
        changes.push("has another quota");
    }
    if integrations(before) != integrations(after) {
        changes.push("has other integrations");
    }
    changes
}

fn of_user(before: &User, after: &User) -> Vec<&'static str> {
    let mut changes = Vec::new();
    if before.enabled != after.enabled {
        changes.push(if after.enabled { "enabled" } else { "disabled" });
    }
    if before.name != after.name {
        changes.push("has another name");
    }
    if before.password_version != after.password_version {
        changes.push(match (before.password(), after.password()) {
            (None, _) => "has a password now",
            (_, None) => "has no password any more",
            (Some(_), Some(_)) => "has another password",
        });
    }
    if before.superadmin != after.superadmin {
        changes.push(if after.superadmin {
            "is a superadmin now"
        } else {
            "is no superadmin any more"
        });
    }
    if before.organization != after.organization {
        changes.push(if after.organization {
            "is an organization user now"
        } else {
            "is an API user now"
        });
    }
    if before.customers() != after.customers() {
        changes.push("is associated with other customers");
    }
    changes
}

/// Returns those of these users who are disabled in `new` or have another password there, with their
/// old one. A user who is gone is none of them: the user may be back in a moment, when the file has
/// been written in two steps.
pub(super) fn locked_out<'u>(
    old: impl Iterator<Item = &'u Arc<User>>,
    new: &Directory,
) -> Vec<(Arc<str>, PasswordVersion)> {
    let users = old.filter(|user| {
        new.user(&user.email).is_some_and(|now| {
            let has_other_password = now.password_version != user.password_version;
            has_other_password || (user.enabled && !now.enabled)
        })
    });
    users
        .map(|user| (Arc::clone(&user.email), user.password_version))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn directory(text: &str) -> Directory {
        Directory::parse(&text.replace("HASH", HASH), "directory.toml".as_ref())
            .expect("a directory")
    }

    #[test]
    fn what_is_different_is_listed_without_a_hash() {
        let before = directory(
            "[[customer]]\nid = 'a'\nname = 'A'\n\
             [[customer]]\nid = 'b'\nname = 'B'\n\
             [[user]]\nemail = 'u@x'\nname = 'U'\npassword = 'HASH'\ncustomers = ['a']\n\
             [[user]]\nemail = 'v@x'\nname = 'V'\npassword = 'HASH'\n",
        );
        let after = directory(
            "[[customer]]\nid = 'a'\nname = 'AA'\nactive = false\nquota = { records = 1 }\n\
             [[customer]]\nid = 'c'\nname = 'C'\n\
             [[user]]\nemail = 'u@x'\nname = 'U'\npassword = 'HASH'\nenabled = false\nsuperadmin = true\n\
             [[user]]\nemail = 'w@x'\nname = 'W'\npassword = 'HASH'\n",
        );
        assert_eq!(
            before.changes(&after),
            [
                "customer a deactivated, has another name, has another quota",
                "customer c added",
                "customer b removed",
                "user u@x disabled, is a superadmin now, is associated with other customers",
                "user w@x added",
                "user v@x removed",
            ]
        );
        assert_eq!(after.changes(&after), Vec::<String>::new());
        assert_eq!(
            after.changes(&before)[2..4],
            [
                "customer c removed",
                "user u@x enabled, is no superadmin any more, is associated with other customers",
            ]
        );
    }
}
