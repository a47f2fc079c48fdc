//! Other users of the machine: what they may change is not believed, what the gateway makes is
//! closed to them, and a lock that one of them holds is not waited for without end.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;

use iem_test_support::{Gateway, Home};

const RECORD: &str = r#"{"envcustomerid":"acme"}"#;

fn mode(path: &Path) -> u32 {
    let metadata = fs::metadata(path).expect("a file or folder");
    metadata.permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("the test's own file");
}

/// A home with its directory in a folder of its own.
fn home() -> Home {
    let home = Home::new();
    fs::create_dir(home.path("etc")).expect("a folder");
    fs::rename(home.path("directory.toml"), home.path("etc/directory.toml")).expect("a rename");
    home.set("directory.path", "etc/directory.toml")
}

/// Checks that a start, and each of these commands, fails and says these words.
#[track_caller]
fn refuses(home: &Home, commands: &[&[&str]], words: &[&str]) {
    let mut gateway = home.spawn_without_waiting();
    assert_eq!(gateway.wait().code(), Some(78), "{}", gateway.log());
    let mut all_said = vec![gateway.log()];
    for command in commands {
        let output = home.run(command);
        assert_eq!(output.status.code(), Some(78), "{output:?}");
        let said = [output.stdout, output.stderr].concat();
        all_said.push(String::from_utf8_lossy(&said).into_owned());
    }
    for said in all_said {
        for word in words {
            assert!(said.contains(word), "no {word}:\n{said}");
        }
    }
}

#[test]
fn a_directory_that_everybody_may_change_or_replace_refuses_to_start() {
    let home = home();
    let (folder, file) = (home.path("etc"), home.path("etc/directory.toml"));
    for (path, usual, shared) in [(&file, 0o640, 0o646), (&folder, 0o750, 0o777)] {
        set_mode(path, shared);
        let mode = format!("mode {shared:04o}");
        let commands: [&[&str]; 2] = [&["check"], &["customer", "add", "new", "--name", "New"]];
        let words = ["directory.toml: everybody may", &mode, "chmod o-w"];
        refuses(&home, &commands, &words);
        set_mode(path, usual);
    }
    // Its group is the operator's choice, and in a folder like /tmp only owners replace files.
    set_mode(&file, 0o660);
    set_mode(&folder, 0o1777);
    let gateway = home.start();
    gateway.publish("/publish/allevents/", RECORD).expect(200);

    // While it runs, what it has read before stays.
    set_mode(&file, 0o666);
    gateway.reload();
    gateway.publish("/publish/allevents/", RECORD).expect(200);
    let loaded = |gateway: &Gateway| gateway.metric("iem_gateway_directory_loaded", &[]);
    assert!(loaded(&gateway).abs() < 1e-9);
    set_mode(&file, 0o640);
    gateway.reload();
    assert!((loaded(&gateway) - 1.0).abs() < 1e-9);
}

#[test]
fn a_directory_that_is_mounted_as_a_link_is_read() {
    let home = home();
    fs::create_dir(home.path("etc/..2026")).expect("a folder");
    let file = home.path("etc/directory.toml");
    fs::rename(&file, home.path("etc/..2026/directory.toml")).expect("a rename");
    symlink("..2026", home.path("etc/..data")).expect("a link");
    symlink("..data/directory.toml", &file).expect("a link");
    let gateway = home.start();
    gateway.publish("/publish/allevents/", RECORD).expect(200);
}

/// Calls `check` with all that is below a folder.
fn for_each_below(folder: &Path, check: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        check(&path);
        if path.is_dir() {
            for_each_below(&path, check);
        }
    }
}

#[test]
fn what_the_gateway_makes_is_closed_to_strangers() {
    let home = Home::new().set("sink.file.path", "made/data");
    {
        let gateway = home.spawn();
        gateway.publish("/publish/allevents/", RECORD).expect(200);
    }
    let output = home.run(&["customer", "add", "new", "--name", "New"]);
    assert!(output.status.success(), "{output:?}");
    let mut records = 0;
    let made = home.path("made");
    assert_eq!(mode(&made) & 0o027, 0);
    for_each_below(&made, &mut |path| {
        let found = mode(path);
        assert_eq!(found & 0o027, 0, "{} has mode {found:o}", path.display());
        records += usize::from(path.extension().is_some_and(|end| end == "ndjson"));
    });
    assert_eq!(records, 1);
    for secret in ["made/data/.lock", "directory.toml.lock", "token.key"] {
        assert_eq!(mode(&home.path(secret)), 0o600, "{secret}");
    }
}

#[test]
fn a_change_waits_for_the_lock_on_the_directory_only_for_a_time() {
    let home = Home::new();
    let held = File::create(home.path("directory.toml.lock")).expect("the lock");
    held.lock().expect("the lock");
    let before = fs::read(home.path("directory.toml")).expect("the directory file");
    let add = ["customer", "add", "new", "--name", "New"];
    let output = home.run(&add);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("directory.toml.lock for 10s"), "{said}");
    let after = fs::read(home.path("directory.toml")).expect("the directory file");
    assert_eq!(before, after);
    drop(held);
    assert!(home.run(&add).status.success());
}

/// An administrator who runs a command must not take the files away from the gateway's user.
#[test]
fn what_root_makes_belongs_to_the_owner_of_the_folder() {
    let home = Home::new()
        .set("tokens.keys", "etc/keys")
        .set("directory.path", "etc/directory.toml");
    fs::create_dir_all(home.path("etc/keys")).expect("a folder");
    fs::rename(home.path("directory.toml"), home.path("etc/directory.toml")).expect("a rename");
    let places = ["etc", "etc/keys", "etc/directory.toml"].map(|name| home.path(name));
    // Others than root cannot give files away, and make files that are their own.
    let gives_away = rustix::process::geteuid().is_root();
    for place in &places {
        if gives_away {
            chown(place, Some(65_534), Some(65_534)).expect("root may");
        }
    }
    let owner = |path: &Path| fs::metadata(path).expect("a file").uid();
    let expected = owner(&places[0]);
    for command in [
        &["keys", "rotate"][..],
        &["customer", "add", "new", "--name", "New"],
    ] {
        let output = home.run(command);
        assert!(output.status.success(), "{output:?}");
    }
    let mut seen = 0;
    for_each_below(&home.path("etc"), &mut |path| {
        seen += 1;
        assert_eq!(owner(path), expected, "{}", path.display());
    });
    assert!(seen >= 3, "a folder, a key and the directory: {seen}");
}
