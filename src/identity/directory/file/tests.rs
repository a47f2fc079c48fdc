#![allow(clippy::unwrap_used)]

use super::*;
use crate::identity::directory::PasswordVersion;
use crate::identity::example;
use crate::identity::password::{Cost, PasswordHash};

#[test]
fn the_example_is_read_as_written() {
    let directory = example::directory();
    let ids: Vec<_> = directory
        .customers()
        .iter()
        .map(|customer| (&*customer.id, customer.active))
        .collect();
    assert_eq!(ids, [("acme", true), ("idle", false)]);
    assert_eq!(directory.users().len(), 4);
    assert_eq!(directory.cost(), example::CHEAP);

    let user = directory.user("nifi@example.com").unwrap();
    assert!(user.enabled && !user.superadmin && !user.organization);
    assert!(user.names_customer("acme") && !user.names_customer("idle"));
    assert!(
        user.password()
            .unwrap()
            .verify(&example::password("nifi@example.com"))
    );
    assert!(!directory.user("gone@example.com").unwrap().enabled);
    assert!(directory.user("NIFI@example.com").is_none());
    assert!(directory.customer("").is_none());
}

#[test]
fn integrations_map_states() {
    let directory = example::directory();
    let check = |id: &str, number: i64, expected: Option<&str>| {
        assert_eq!(
            directory.integration("acme", id).unwrap().state(number),
            expected,
            "{id} {number}"
        );
    };
    check("servicenow", 6, Some("resolved"));
    check("servicenow", 7, Some("closed"));
    check("servicenow", 0, None);
    check("jira", 10, Some("resolved"));
    check("jira", 2, Some("open"));
    check("jira", 6, None);
    assert!(directory.integration("idle", "servicenow").is_none());
    assert!(directory.integration("nobody", "servicenow").is_none());
}

#[test]
fn an_empty_file_is_an_empty_directory() {
    let directory = Directory::parse("", Path::new("x")).unwrap();
    assert!(directory.users().is_empty() && directory.customers().is_empty());
    assert_eq!(directory.cost(), Cost::default());
}

#[test]
fn a_password_version_changes_with_the_hash_alone() {
    let version =
        |text: &str| Directory::parse(text, Path::new("x")).unwrap().users()[0].password_version;
    let hash = || {
        PasswordHash::new(&example::password("a"), example::CHEAP)
            .unwrap()
            .as_str()
            .to_owned()
    };
    let one = hash();
    let other = hash();
    let user =
        |name: &str, hash: &str| format!("[[user]]\nemail='a'\nname='{name}'\npassword='{hash}'\n");
    assert_eq!(version(&user("A", &one)), version(&user("B", &one)));
    assert_ne!(version(&user("A", &one)), version(&user("A", &other)));
}

#[test]
fn a_user_may_have_no_password() {
    let text = format!("{USER}[[user]]\nemail='b'\nname='B'\n[[user]]\nemail='c'\nname='C'\n");
    let text = text.replace("HASH", HASH);
    let directory = Directory::parse(&text, Path::new("x")).unwrap();
    let none = directory.user("b").unwrap();
    assert!(none.password().is_none());
    assert_eq!(none.password_version, PasswordVersion::NONE);
    assert_ne!(
        directory.user("a").unwrap().password_version,
        PasswordVersion::NONE
    );
    assert_eq!(
        directory.cost(),
        example::CHEAP,
        "that of the users who have one"
    );
}

const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA\
                    $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const USER: &str = "[[user]]\nemail='a'\nname='A'\npassword='HASH'\n";
const CUSTOMER: &str = "[[customer]]\nid='c'\nname='C'\n";

/// Asserts that `text`, in which `HASH` is a hash, is refused with `message` and this line.
#[track_caller]
fn check_fault(text: &str, line: usize, message: &str) {
    let text = text.replace("HASH", HASH);
    let error = Directory::parse(&text, Path::new("d.toml")).unwrap_err();
    assert_eq!(error.line, Some(line), "{error}");
    assert!(
        error
            .to_string()
            .starts_with(&format!("directory d.toml, line {line}: ")),
        "{error}"
    );
    assert!(error.message.contains(message), "{error}");
    assert!(
        !error.message.contains("hunter2") && !error.message.contains('$'),
        "{error}"
    );
}

#[test]
fn a_fault_of_a_quota_is_named_with_its_line() {
    let quota = |quota: &str| format!("[[customer]]\nid='a'\nname='A'\nquota={quota}\n");
    check_fault(
        &quota("{ bytes = '5' }"),
        4,
        "\"5\" is not a size with its unit, such as \"2 MiB\"",
    );
    check_fault(
        &quota("{ bytes = '4 GiB' }"),
        4,
        "\"4 GiB\" is 4 GiB or more",
    );
}

#[test]
fn a_fault_of_a_customer_is_named_with_its_line() {
    check_fault("\n[[customer]\n", 2, "");
    check_fault("[[customer]]\nid='c'\n", 1, "missing field `name`");
    check_fault(
        "[[customer]]\nid='c'\nname='C'\nactiv=true\n",
        4,
        "unknown field `activ`",
    );
    check_fault("[[customers]]\n", 1, "unknown field `customers`");
    check_fault("[[customer]]\nid=1001\nname='C'\n", 2, "integer");
    check_fault("[[customer]]\nid=''\nname='C'\n", 2, "customer id is empty");
    check_fault(
        "[[customer]]\nid=' c'\nname='C'\n",
        2,
        "space at its start or end",
    );
    check_fault(
        "[[customer]]\nid=\"c\\n\"\nname='C'\n",
        2,
        "control characters",
    );
    check_fault(
        &format!("{CUSTOMER}{CUSTOMER}"),
        5,
        "customer \"c\" is there twice",
    );
}

#[test]
fn a_fault_of_a_user_is_named_with_its_line() {
    check_fault(&format!("{USER}{USER}"), 6, "user \"a\" is there twice");
    check_fault(
        &format!("{USER}customers=['c']"),
        5,
        "customer \"c\" that is not there",
    );
    check_fault(
        &format!("{CUSTOMER}{USER}customers=[\n'c',\n'd']"),
        10,
        "customer \"d\" that is not there",
    );
    check_fault(
        "[[user]]\nemail=''\nname='A'\npassword='HASH'\n",
        2,
        "email is empty",
    );
    check_fault(
        &USER.replace("'a'", &format!("'{}'", "a".repeat(255))),
        2,
        "longer than 254 bytes",
    );
    check_fault(
        "[[user]]\nemail='a:b'\nname='A'\npassword='HASH'\n",
        2,
        "colon",
    );
}

#[test]
fn a_fault_of_a_password_is_named_with_its_line_and_without_the_text() {
    check_fault(
        "[[user]]\nemail='a'\nname='A'\npassword='hunter2'\n",
        4,
        "user \"a\": not a password hash",
    );
    check_fault(
        "[[user]]\nemail='a'\nname='A'\npassword=''\n",
        4,
        "not a password hash",
    );
    check_fault(
        "[[user]]\nemail='a'\nname='A'\npassword=['hunter2']\n",
        4,
        "must be a string",
    );
    check_fault(
        "[[user]]\nemail='a'\nname='A'\npassword='$2b$12$abcdefghijklmnopqrstuv'\n",
        4,
        "not an argon2id hash",
    );
    check_fault(
        &USER
            .replace("m=8", "m=9")
            .replace("HASH", &HASH.replace("m=8", "m=999999")),
        4,
        "cost out of bounds",
    );
    check_fault(&format!("{USER}enabled='yes'"), 5, "expected a boolean");
}

#[test]
fn a_fault_of_an_integration_is_named_with_its_line() {
    const INTEGRATION: &str = "[[integration]]\ncustomer='c'\nid='i'\n";
    check_fault(
        "[[integration]]\ncustomer='c'\nid='i'\n",
        2,
        "customer \"c\" that is not there",
    );
    check_fault(
        &format!("{CUSTOMER}{INTEGRATION}{INTEGRATION}"),
        9,
        "integration \"i\" of customer \"c\" is there twice",
    );
    check_fault(
        &format!("{CUSTOMER}{INTEGRATION}states={{six='resolved'}}"),
        6,
        "state \"six\" is not an integer",
    );
    check_fault(
        &format!("{CUSTOMER}{INTEGRATION}states={{06='resolved'}}"),
        6,
        "state \"06\" is not an integer",
    );
    check_fault(
        &format!("{CUSTOMER}{INTEGRATION}states={{6=''}}"),
        6,
        "state 6 maps to an empty name",
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = Directory::read(Path::new("/nonexistent/directory.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("directory /nonexistent/directory.toml: cannot be read: "),
        "{error}"
    );
}
