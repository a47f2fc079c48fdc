//! Upgrades: this release takes what each earlier one has left in its folder.
//!
//! `tests/data/releases` has, for each release, a configuration, a directory, a token key, and the
//! journal of a gateway that was killed while its sink was away, cut behind its last commit; and the
//! records of that journal, as lines of JSON. A new release adds its own folder.

use std::fs;
use std::path::Path;
use std::time::Duration;

use iem_test_support::{Home, eventually};

const RELEASES: [&str; 1] = ["0.1.0"];

#[test]
fn the_files_of_each_release_are_taken() {
    let releases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/releases");
    let folders = fs::read_dir(&releases).expect("the folder").count();
    assert_eq!(folders, RELEASES.len());
    for release in RELEASES {
        let read = |name: &str| fs::read(releases.join(release).join(name)).expect(name);
        let home = Home::empty();
        home.write("gateway.toml", read("gateway.toml"));
        home.write_secret("directory.toml", &read("directory.toml"));
        home.write_secret("token.key", &read("token.key"));
        fs::create_dir_all(home.path("journal/events")).expect("a folder");
        let segment = "journal/events/00000000000000000000.journal";
        home.write(segment, read("events.journal"));
        let check = home.run(&["check"]);
        let text = String::from_utf8_lossy(&check.stdout);
        assert!(check.status.success(), "{text}");
        assert!(text.contains("5 records wait for the sink"), "{text}");

        let gateway = home.start();
        gateway
            .log_in("nifi@example.com", "a-long-password-1")
            .expect(200);
        let records = read("records.jsonl");
        let written = || -> Vec<u8> {
            let files = fs::read_dir(home.path("data/events")).into_iter().flatten();
            let files = files.map(|file| file.expect("a file"));
            let files = files.filter(|file| !file.file_name().as_encoded_bytes().starts_with(b"."));
            let contents = files.map(|file| fs::read(file.path()).expect("a file"));
            contents.flatten().collect()
        };
        eventually(Duration::from_mins(1), "the backlog", || {
            written().len() >= records.len()
        });
        let lines = |bytes: &[u8]| {
            let text = String::from_utf8(bytes.to_vec()).expect("text");
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(lines(&written()), lines(&records), "{release}");
    }
}
