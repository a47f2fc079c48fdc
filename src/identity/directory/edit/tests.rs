#![allow(clippy::unwrap_used)]

use super::*;
use crate::identity::example;
use crate::identity::password::PasswordHash;

struct File {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn file(text: &str) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.toml");
    fs::write(&path, text).unwrap();
    File {
        _folder: folder,
        path,
    }
}

impl File {
    fn edit<T>(
        &self,
        change: impl FnOnce(&mut Document) -> Result<T, EditError>,
    ) -> Result<T, EditError> {
        edit(&self.path, Missing::Refuse, change)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }
}

fn new_user(email: &str, customers: &[&str]) -> NewUser {
    NewUser {
        email: email.to_owned(),
        name: "New".to_owned(),
        password: Some(PasswordHash::new(&example::password(email), example::CHEAP).unwrap()),
        superadmin: false,
        organization: false,
        customers: customers.iter().map(|id| (*id).to_owned()).collect(),
    }
}

/// Asserts that `change` to the example removes the lines `gone` and adds the lines `came`.
#[track_caller]
fn check_lines(change: impl Fn(&mut Document), gone: &[&str], came: &[&str]) {
    let file = file(&example::TEXT);
    file.edit(|document| {
        change(document);
        Ok(())
    })
    .unwrap();
    let after = file.text();
    assert_eq!(missing(&example::TEXT, &after), gone);
    assert_eq!(missing(&after, &example::TEXT), came);
}

/// Returns the lines of `from` that `of` does not have.
fn missing<'t>(from: &'t str, of: &str) -> Vec<&'t str> {
    from.lines()
        .filter(|line| !of.lines().any(|other| other == *line))
        .collect()
}

#[test]
fn a_change_touches_its_own_lines_only() {
    check_lines(
        |d| d.set_customer_active("idle", true).unwrap(),
        &["active = false"],
        &["active = true"],
    );
    check_lines(
        |d| d.set_user_enabled("gone@example.com", true).unwrap(),
        &["enabled = false # since May"],
        &["enabled = true # since May"],
    );
    check_lines(
        |d| d.set_user_enabled("root@example.com", false).unwrap(),
        &[],
        &["enabled = false"],
    );
    check_lines(
        |d| assert!(d.grant("nifi@example.com", "idle").unwrap()),
        &["customers = [\"acme\"] # the first"],
        &["customers = [\"acme\", \"idle\"] # the first"],
    );
    check_lines(
        |d| assert!(!d.grant("nifi@example.com", "acme").unwrap()),
        &[],
        &[],
    );
    check_lines(
        |d| assert!(d.revoke("nifi@example.com", "acme").unwrap()),
        &["customers = [\"acme\"] # the first"],
        &["customers = [] # the first"],
    );
    check_lines(
        |d| d.add_customer("new", "New").unwrap(),
        &[],
        &["id = \"new\"", "name = \"New\""],
    );
    check_lines(
        |d| d.remove_integration("acme", "jira").unwrap(),
        &[
            "id = \"jira\"",
            "states = { \"10\" = \"resolved\", 2 = \"open\" }",
        ],
        &[],
    );
}

#[test]
fn an_added_entry_is_there() {
    let file = file(&example::TEXT);
    file.edit(|document| {
        document.add_customer("new", "New")?;
        document.add_user(new_user("new@example.com", &["new", "acme"]))?;
        document.add_integration("new", "servicenow", &[])?;
        document.add_integration(
            "new",
            "jira",
            &[(-1, "odd".to_owned()), (10, "resolved".to_owned())],
        )
    })
    .unwrap();
    let directory = Directory::read(&file.path).unwrap();
    let user = directory.user("new@example.com").unwrap();
    assert!(
        user.names_customer("new")
            && user.names_customer("acme")
            && !user.superadmin
            && user.enabled
    );
    assert!(directory.customer("new").unwrap().active);
    assert_eq!(
        directory.integration("new", "servicenow").unwrap().state(6),
        Some("resolved")
    );
    let jira = directory.integration("new", "jira").unwrap();
    assert_eq!(
        (jira.state(-1), jira.state(10), jira.state(6)),
        (Some("odd"), Some("resolved"), None)
    );
}

#[test]
fn a_removed_customer_takes_its_associations_along() {
    let file = file(&example::TEXT);
    let removed = file
        .edit(|document| document.remove_customer("acme"))
        .unwrap();
    assert_eq!(
        removed,
        Removed {
            integrations: 2,
            associations: 3
        }
    );
    file.edit(|document| document.add_customer("acme", "Another Acme"))
        .unwrap();
    let directory = Directory::read(&file.path).unwrap();
    assert!(
        directory
            .users()
            .iter()
            .all(|user| !user.names_customer("acme"))
    );
    assert!(directory.integration("acme", "servicenow").is_none());
}

#[test]
fn refused_changes_leave_the_file_and_say_why() {
    let check = |change: &dyn Fn(&mut Document) -> Result<(), EditError>, reason: &str| {
        let file = file(&example::TEXT);
        let error = file.edit(change).unwrap_err();
        assert!(matches!(error, EditError::Refused(_)), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(file.text(), *example::TEXT);
    };
    check(&|d| d.add_customer("acme", "Acme"), "exists already");
    check(&|d| d.add_customer("", "Nobody"), "customer id is empty");
    check(
        &|d| d.set_customer_active("nobody", true),
        "no customer \"nobody\"",
    );
    check(
        &|d| d.remove_customer("nobody").map(|_| ()),
        "no customer \"nobody\"",
    );
    check(
        &|d| d.add_user(new_user("nifi@example.com", &[])),
        "exists already",
    );
    check(
        &|d| d.add_user(new_user("new@example.com", &["nobody"])),
        "no customer \"nobody\"",
    );
    check(&|d| d.add_user(new_user("a:b", &[])), "colon");
    check(
        &|d| d.set_user_enabled("nobody@example.com", true),
        "no user \"nobody@example.com\"",
    );
    check(
        &|d| d.grant("nifi@example.com", "nobody").map(|_| ()),
        "no customer \"nobody\"",
    );
    check(
        &|d| d.revoke("nobody@example.com", "acme").map(|_| ()),
        "no user",
    );
    check(&|d| d.remove_user("nobody@example.com"), "no user");
    check(
        &|d| d.add_integration("acme", "jira", &[]),
        "exists already",
    );
    let twice = [(6, "a".to_owned()), (6, "b".to_owned())];
    check(
        &|d| d.add_integration("acme", "new", &twice),
        "state 6 is given twice",
    );
    check(&|d| d.add_integration("nobody", "jira", &[]), "no customer");
    check(
        &|d| d.remove_integration("idle", "jira"),
        "has no integration \"jira\"",
    );
}

#[test]
fn a_file_at_fault_is_not_edited() {
    for text in ["[[customer]\n", "[[customer]]\nid = 'c'\n"] {
        let file = file(text);
        let error = file
            .edit(|document| document.add_customer("new", "New"))
            .unwrap_err();
        assert!(matches!(error, EditError::Faulty(_)), "{error}");
        assert_eq!(file.text(), text);
    }
}

#[test]
fn a_missing_file_is_made_only_by_adding() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/directory.toml");
    let refused = edit(&path, Missing::Refuse, |document| {
        document.add_customer("c", "C")
    });
    assert!(
        matches!(refused, Err(EditError::Lock(LockError::Io { .. }))),
        "{refused:?}"
    );
    edit(&path, Missing::Create, |document| {
        document.add_customer("c", "C")
    })
    .unwrap();
    assert!(
        fs::read_to_string(&path)
            .unwrap()
            .starts_with("# The directory of iem-gateway")
    );
    assert!(Directory::read(&path).unwrap().customer("c").is_some());
}

#[test]
fn comments_at_the_start_stay_there() {
    let check = |before: &str, after: &str| {
        let file = file(before);
        file.edit(|document| {
            document.add_customer("new", "New")?;
            document.remove_customer("old").map(|_| ()).or(Ok(()))
        })
        .unwrap();
        assert_eq!(file.text(), after);
    };
    let (old, new) = (
        "[[customer]]\nid = 'old'\nname = 'Old'\n",
        "[[customer]]\nid = \"new\"\nname = \"New\"\n",
    );
    check("", new);
    check("# ours", &format!("# ours\n{new}"));
    check("# ours\n\n", &format!("# ours\n\n{new}"));
    check(
        &format!("# ours\n\n# theirs\n{old}"),
        &format!("# ours\n\n{new}"),
    );
}

#[test]
fn inline_tables_can_be_edited_too() {
    let file = file("customer = [{ id = 'c', name = 'C' }]\n");
    file.edit(|document| {
        document.add_customer("d", "D")?;
        document.set_customer_active("c", false)
    })
    .unwrap();
    let directory = Directory::read(&file.path).unwrap();
    assert!(!directory.customer("c").unwrap().active && directory.customer("d").unwrap().active);
}

#[test]
fn an_empty_list_is_a_list_of_tables_too() {
    let file = file("user = []\nintegration = []\n[[customer]]\nid = 'c'\nname = 'C'\n");
    file.edit(|document| {
        document.add_user(new_user("a@b.c", &["c"]))?;
        document.add_customer("d", "D")?;
        document.add_integration("d", "i", &[])?;
        document.remove_customer("c").map(|_| ())
    })
    .unwrap();
    let directory = Directory::read(&file.path).unwrap();
    assert!(
        directory.customer("c").is_none()
            && directory.user("a@b.c").unwrap().customers().is_empty()
    );
    assert!(directory.integration("d", "i").is_some());
}

#[test]
fn concurrent_edits_lose_none() {
    let file = file("");
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let file = &file;
            scope.spawn(move || {
                for n in 0..8 {
                    file.edit(|document| document.add_customer(&format!("{writer}-{n}"), "C"))
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(Directory::read(&file.path).unwrap().customers().len(), 64);
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_stays_one() {
    let file = file("");
    let link = file.path.with_file_name("link.toml");
    std::os::unix::fs::symlink(&file.path, &link).unwrap();
    edit(&link, Missing::Refuse, |document| {
        document.add_customer("c", "C")
    })
    .unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(Directory::read(&file.path).unwrap().customer("c").is_some());
}
