#![allow(clippy::unwrap_used)]

use std::fs;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use super::*;
use crate::identity::example;

struct Fixture {
    _folder: tempfile::TempDir,
    path: PathBuf,
    directory: Arc<LiveDirectory>,
    _follower: DirectoryFollower,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.toml");
    fs::write(&path, &*example::TEXT).unwrap();
    let directory = Arc::new(LiveDirectory::open(&path).unwrap());
    let follower = directory.follow().unwrap();
    Fixture {
        _folder: folder,
        path,
        directory,
        _follower: follower,
    }
}

impl Fixture {
    fn wait(&self, holds: impl Fn(&LiveDirectory) -> bool) {
        wait(&self.directory, holds);
    }

    fn replace(&self, text: &str) {
        let beside = self.path.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, &self.path).unwrap();
    }
}

/// Waits until `holds`. The long bound is only there so that a failure ends.
fn wait(directory: &LiveDirectory, holds: impl Fn(&LiveDirectory) -> bool) {
    let begun = Instant::now();
    while !holds(directory) {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "{:?}",
            directory.status()
        );
        thread::sleep(Duration::from_millis(5));
    }
}

fn renamed(to: &str) -> String {
    example::TEXT.replace("name = \"Acme\"", &format!("name = {to:?}"))
}

fn acme_is(name: &'static str) -> impl Fn(&LiveDirectory) -> bool {
    move |directory| {
        directory
            .load()
            .customer("acme")
            .is_some_and(|customer| customer.name == name)
    }
}

#[test]
fn every_way_of_changing_the_file_is_followed() {
    let fixture = fixture();
    fs::write(&fixture.path, renamed("in place")).unwrap();
    fixture.wait(acme_is("in place"));
    fixture.replace(&renamed("by rename"));
    fixture.wait(acme_is("by rename"));
    fs::remove_file(&fixture.path).unwrap();
    fixture.wait(|directory| directory.status().error.is_some());
    assert!(
        acme_is("by rename")(&fixture.directory),
        "the last good one stays"
    );
    fs::write(&fixture.path, renamed("made anew")).unwrap();
    fixture.wait(acme_is("made anew"));
    assert_eq!(fixture.directory.status().error, None);
}

#[test]
fn a_broken_file_is_reported_and_the_last_good_one_stays() {
    let fixture = fixture();
    fixture.replace("[[customer]]\nid = 1\n");
    fixture.wait(|directory| directory.status().error.is_some());
    let status = fixture.directory.status();
    assert_eq!(status.error.unwrap().line, Some(2));
    assert_eq!((status.users, status.customers), (4, 2));
    assert!(acme_is("Acme")(&fixture.directory));
    fixture.replace(&renamed("repaired"));
    fixture.wait(acme_is("repaired"));
    assert_eq!(fixture.directory.status().error, None);
}

#[test]
fn a_change_that_shows_in_nothing_but_the_contents_is_followed() {
    let fixture = fixture();
    for name in ["Acm1", "Acm2", "Acm3", "Acm4"] {
        fs::write(&fixture.path, renamed(name)).unwrap();
    }
    fixture.wait(acme_is("Acm4"));
}

#[cfg(unix)]
#[test]
fn a_mounted_configuration_map_is_followed() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let version = |name: &str, text: &str| {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("directory.toml"), text).unwrap();
        symlink(name, root.join("..data.new")).unwrap();
        fs::rename(root.join("..data.new"), root.join("..data")).unwrap();
    };
    version("..1", &example::TEXT);
    let path = root.join("directory.toml");
    symlink("..data/directory.toml", &path).unwrap();
    let directory = Arc::new(LiveDirectory::open(&path).unwrap());
    let _follower = directory.follow().unwrap();
    version("..2", &renamed("second"));
    wait(&directory, acme_is("second"));
}

#[test]
fn a_reload_on_demand_needs_no_follower() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.toml");
    fs::write(&path, &*example::TEXT).unwrap();
    let directory = LiveDirectory::open(&path).unwrap();
    fs::write(&path, renamed("changed")).unwrap();
    assert!(acme_is("Acme")(&directory));
    directory.reload().unwrap();
    assert!(acme_is("changed")(&directory));

    fs::write(&path, [0xff]).unwrap();
    let error = directory.reload().unwrap_err();
    assert_eq!(
        (error.line, error.message.as_str()),
        (Some(1), "not UTF-8 text")
    );
    assert_eq!(
        directory.reload().unwrap_err(),
        error,
        "still so, though the file is the same"
    );
    assert!(acme_is("changed")(&directory));
    assert!(LiveDirectory::open(&path).is_err());
}

/// Replaces the file by a pipe, which behaves as a file on a network file system that hangs:
/// reading it lasts as long as the test holds its other end.
#[cfg(unix)]
fn replace_by_pipe(path: &std::path::Path) {
    let beside = path.with_extension("new");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&beside)
            .status()
            .unwrap()
            .success()
    );
    fs::rename(&beside, path).unwrap();
}

/// Returns the job's result; a job that hangs fails the test instead of holding it for ever.
#[cfg(unix)]
fn ends<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(job()));
    receiver
        .recv_timeout(Duration::from_mins(1))
        .expect("it hangs with the file system")
}

#[cfg(unix)]
#[test]
fn a_file_system_that_hangs_holds_neither_the_status_nor_the_end() {
    use std::io::Write;
    let Fixture {
        _folder,
        path,
        directory,
        _follower: follower,
    } = fixture();
    replace_by_pipe(&path);
    // Opens once the follower has opened the other end: from here on it reads.
    let at = path.clone();
    let mut pipe = ends(move || fs::File::options().write(true).open(at).unwrap());
    let asked = Arc::clone(&directory);
    assert_eq!(ends(move || asked.status()).error, None);
    ends(move || drop(follower));
    pipe.write_all(renamed("at last").as_bytes()).unwrap();
    drop(pipe);
    wait(&directory, acme_is("at last"));
}
