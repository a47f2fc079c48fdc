//! The commands that change the directory: customers, users and integrations.

use iem_test_support::Home;
use serde_json::Value;

use super::{check, check_arguments, check_with_input, stdout};

/// The user that the tests add.
const NEW: &str = "new@acme.example";

#[track_caller]
fn list(home: &Home, of: &str) -> Vec<Value> {
    let output = check(home, &format!("{of} list --json"), 0, &[]);
    let list: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    list.as_array().expect("a list").clone()
}

#[test]
fn customers_are_added_listed_and_removed() {
    let home = Home::new();
    check_arguments(
        &home,
        &["customer", "add", "new", "--name", "New Ltd"],
        "",
        0,
        &[],
    );
    check(&home, "customer add new --name Again", 1, &["new"]);
    check(&home, "customer deactivate new", 0, &[]);
    let active = |id: &str| {
        let list = list(&home, "customer");
        list.iter()
            .find(|customer| customer["id"] == id)
            .map(|customer| customer["active"].clone())
    };
    assert_eq!(active("new"), Some(Value::from(false)));
    check(&home, "customer activate new", 0, &[]);
    assert_eq!(active("new"), Some(Value::from(true)));
    check(&home, "customer list", 0, &["new", "New Ltd", "acme"]);
    check(&home, "customer remove new", 0, &[]);
    assert_eq!(active("new"), None);
    for command in ["activate", "deactivate", "remove"] {
        check(&home, &format!("customer {command} nobody"), 1, &["nobody"]);
    }
}

#[test]
fn users_are_added_changed_and_removed() {
    let home = Home::new();
    let add = format!("user add {NEW} --name New --customer acme --customer 1001 --password-stdin");
    check_with_input(&home, &add, "a-new-password\n", 0, &[]);
    check_with_input(&home, &add, "a-new-password\n", 1, &[NEW]);
    let user = || {
        list(&home, "user")
            .into_iter()
            .find(|user| user["email"] == NEW)
    };
    let customers = || {
        let listed = user().expect("the user")["customers"].clone();
        serde_json::from_value::<std::collections::BTreeSet<String>>(listed)
            .expect("customers' ids")
    };
    assert_eq!(customers(), ["1001", "acme"].map(str::to_owned).into());

    let gateway = home.start();
    gateway.log_in(NEW, "a-new-password").expect(200);
    drop(gateway);

    check(&home, &format!("user revoke {NEW} 1001"), 0, &[]);
    check(&home, &format!("user grant {NEW} globex"), 0, &[]);
    assert_eq!(customers(), ["acme", "globex"].map(str::to_owned).into());
    check(&home, &format!("user grant {NEW} nobody"), 1, &["nobody"]);
    check(&home, &format!("user disable {NEW}"), 0, &[]);
    assert_eq!(user().expect("the user")["enabled"], false);
    check(&home, &format!("user enable {NEW}"), 0, &[]);
    check_with_input(
        &home,
        &format!("user passwd {NEW} --password-stdin"),
        "another-password\n",
        0,
        &[],
    );
    check(&home, "user list", 0, &[NEW, "alice@acme.example"]);
    check(&home, &format!("user remove {NEW}"), 0, &[]);
    assert_eq!(user(), None);
    for command in ["disable", "enable", "remove"] {
        check(&home, &format!("user {command} {NEW}"), 1, &[NEW]);
    }
    check_with_input(
        &home,
        "user add x@y.example --name X --customer nobody --password-stdin",
        "long-enough-1\n",
        1,
        &["nobody"],
    );
}

#[test]
fn no_password_and_no_hash_is_ever_shown() {
    let home = Home::new();
    let add = format!("user add {NEW} --name New --password-stdin");
    let said = stdout(&check_with_input(
        &home,
        &add,
        "a-secret-password\n",
        0,
        &[],
    )) + &stdout(&check(&home, "user list", 0, &[]))
        + &stdout(&check(&home, "user list --json", 0, &[]))
        + &stdout(&check(&home, "check --json", 0, &[]));
    assert!(
        !said.contains("a-secret-password") && !said.contains("$argon2"),
        "{said}"
    );
    let file = std::fs::read_to_string(home.path("directory.toml")).expect("the directory file");
    assert!(file.contains("$argon2id$") && !file.contains("a-secret-password"));
}

#[test]
fn a_password_that_is_set_has_12_characters() {
    let home = Home::new();
    let before = std::fs::read(home.path("directory.toml")).expect("the directory file");
    let add = format!("user add {NEW} --name New --password-stdin");
    let passwd = "user passwd alice@acme.example --password-stdin";
    for input in ["", "\n", "elevenchars\n"] {
        for command in [&*add, passwd] {
            check_with_input(&home, command, input, 1, &["fewer than 12 characters"]);
        }
    }
    assert_eq!(
        std::fs::read(home.path("directory.toml")).expect("the directory file"),
        before
    );
    check_with_input(&home, passwd, "twelve-chars\n", 0, &[]);
    // Those that are there stay as they are.
    home.start()
        .log_in("colon@acme.example", "a:b:c")
        .expect(200);
}

#[test]
fn a_weak_hash_is_refused_until_its_password_is_set_anew() {
    // The default of the `argon2` command line.
    let weak = "$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHRzYWx0c2FsdA\
                $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let home = Home::new().edit_directory(|text| {
        format!("{text}\n[[user]]\nemail = {NEW:?}\nname = \"New\"\npassword = {weak:?}\n")
    });
    let words = [NEW, "m=4096,t=3,p=1", "m=19456,t=2,p=1", "user passwd"];
    check(&home, "check", 78, &words);
    let mut gateway = home.spawn_without_waiting();
    assert_eq!(gateway.wait().code(), Some(78));
    let log = gateway.log();
    assert!(words.iter().all(|word| log.contains(word)), "{log}");
    check(&home, "user list", 0, &[NEW]);
    let passwd = format!("user passwd {NEW} --password-stdin");
    check_with_input(&home, &passwd, "a-new-password\n", 0, &[]);
    check(&home, "check", 0, &[]);
    home.start().log_in(NEW, "a-new-password").expect(200);
}

#[test]
fn integrations_are_added_listed_and_removed() {
    let home = Home::new();
    check(&home, "integration add acme new", 0, &[]);
    check(
        &home,
        "integration add acme other --state 3=resolved --state 4=closed",
        0,
        &[],
    );
    let states = |id: &str| {
        let list = list(&home, "integration");
        list.iter()
            .find(|integration| integration["id"] == id)
            .map(|integration| integration["states"].clone())
    };
    assert_eq!(
        states("new"),
        Some(serde_json::json!({"6": "resolved", "7": "closed"}))
    );
    assert_eq!(
        states("other"),
        Some(serde_json::json!({"3": "resolved", "4": "closed"}))
    );
    check(&home, "integration add acme new", 1, &["new"]);
    check(&home, "integration add nobody new", 1, &["nobody"]);
    check(&home, "integration remove acme new", 0, &[]);
    assert_eq!(states("new"), None);
    check(&home, "integration remove acme new", 1, &["new"]);
}

#[test]
fn a_command_that_adds_makes_the_directory_and_keeps_comments_in_it() {
    let home = Home::new();
    std::fs::remove_file(home.path("directory.toml")).expect("the directory file");
    check(&home, "customer add first --name First", 0, &[]);
    let text = std::fs::read_to_string(home.path("directory.toml")).expect("the directory file");
    home.write("directory.toml", format!("# Kept by hand.\n{text}"));
    check(&home, "customer add second --name Second", 0, &[]);
    let text = std::fs::read_to_string(home.path("directory.toml")).expect("the directory file");
    assert!(
        text.starts_with("# Kept by hand.\n") && text.contains("second"),
        "{text}"
    );
}

#[test]
fn commands_at_once_lose_no_change() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let home = &home;
            scope.spawn(move || {
                let add = format!("customer add customer-{number} --name N");
                check(home, &add, 0, &[]);
            });
        }
    });
    let ids: Vec<_> = list(&home, "customer")
        .iter()
        .map(|customer| customer["id"].clone())
        .collect();
    for number in 0..8 {
        assert!(
            ids.contains(&Value::from(format!("customer-{number}"))),
            "{number} is lost: {ids:?}"
        );
    }
}
