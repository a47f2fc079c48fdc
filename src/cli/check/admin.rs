//! Tells how the admin listener is protected.

use iem_sink::{Finding, Level};

use crate::config::Admin;

/// Tells whether it serves TLS, and what asks for a log-in. Passwords on a network in the clear, and
/// pages that are open to it, are weak.
pub(super) fn check(admin: &Admin) -> Finding {
    let transport = if admin.tls.is_on() {
        "TLS"
    } else {
        "plain HTTP"
    };
    let log_in = match (admin.pages_need_login(), admin.metrics_need_login()) {
        (true, true) => "a log-in for metrics and pages",
        (true, false) => "a log-in for pages, metrics are open",
        (false, _) => "no log-in",
    };
    let is_open = !admin.metrics_need_login() || !admin.tls.is_on();
    Finding {
        what: format!("admin listener {}", admin.listen),
        level: if is_open && !admin.is_on_loopback() {
            Level::Weak
        } else {
            Level::Good
        },
        text: format!("{transport}, {log_in}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{AdminLogin, Config};

    #[test]
    fn what_others_on_the_network_can_see_is_weak() {
        let check = |listen: &str, login, tls: bool, level: Level, text: &str| {
            let mut admin = Config::default().admin;
            admin.listen = listen.parse().expect("an address");
            admin.login = login;
            admin.plaintext = !tls;
            admin.tls.certificate = if tls { "c" } else { "" }.into();
            let found = super::check(&admin);
            assert_eq!((found.level, &*found.text), (level, text));
        };
        let (loopback, other) = ("127.0.0.1:9090", "192.0.2.1:9090");
        let (remote, always, never) = (AdminLogin::Remote, AdminLogin::Always, AdminLogin::Never);
        let both = "a log-in for metrics and pages";
        let plain_pages = "plain HTTP, a log-in for pages, metrics are open";
        check(
            loopback,
            remote,
            false,
            Level::Good,
            "plain HTTP, no log-in",
        );
        check(
            loopback,
            always,
            false,
            Level::Good,
            &format!("plain HTTP, {both}"),
        );
        check(other, remote, true, Level::Good, &format!("TLS, {both}"));
        check(other, never, true, Level::Weak, "TLS, no log-in");
        check(other, remote, false, Level::Weak, plain_pages);
        check(
            other,
            always,
            false,
            Level::Weak,
            &format!("plain HTTP, {both}"),
        );
    }
}
