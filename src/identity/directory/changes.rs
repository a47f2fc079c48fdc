//! The differences between two snapshots, for the audit log. No hash of a password is among them.

use super::customer::Customer;
use super::snapshot::Directory;
use super::user::User;

impl Directory {
    /// Lists what is different in `after`, one text for each customer and user.
    pub fn changes(&self, after: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for customer in after.customers() {
            match self.customer(&customer.id) {
                None => changes.push(format!("customer {} added", customer.id)),
                Some(before) => list(
                    &mut changes,
                    "customer",
                    &customer.id,
                    &of_customer(before, customer),
                ),
            }
        }
        let removed = self
            .customers()
            .iter()
            .filter(|customer| after.customer(&customer.id).is_none());
        changes.extend(removed.map(|customer| format!("customer {} removed", customer.id)));
        for user in after.users() {
            match self.user(&user.email) {
                None => changes.push(format!("user {} added", user.email)),
                Some(before) => list(&mut changes, "user", &user.email, &of_user(before, user)),
            }
        }
        let removed = self
            .users()
            .iter()
            .filter(|user| after.user(&user.email).is_none());
        changes.extend(removed.map(|user| format!("user {} removed", user.email)));
        changes
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
        changes.push("has another password");
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
