#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use super::*;
use crate::identity::example;

struct Watched {
    _folder: tempfile::TempDir,
    path: PathBuf,
    directory: Arc<LiveDirectory>,
    _watcher: Watcher,
}

fn watched() -> Watched {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.toml");
    fs::write(&path, &*example::TEXT).unwrap();
    let directory = Arc::new(LiveDirectory::open(&path).unwrap());
    let watcher = Watcher::start(Arc::clone(&directory)).unwrap();
    Watched {
        _folder: folder,
        path,
        directory,
        _watcher: watcher,
    }
}

impl Watched {
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
    let watched = watched();
    fs::write(&watched.path, renamed("in place")).unwrap();
    watched.wait(acme_is("in place"));
    watched.replace(&renamed("by rename"));
    watched.wait(acme_is("by rename"));
    fs::remove_file(&watched.path).unwrap();
    watched.wait(|directory| directory.status().error.is_some());
    assert!(
        acme_is("by rename")(&watched.directory),
        "the last good one stays"
    );
    fs::write(&watched.path, renamed("made anew")).unwrap();
    watched.wait(acme_is("made anew"));
    assert_eq!(watched.directory.status().error, None);
}

#[test]
fn a_broken_file_is_reported_and_the_last_good_one_stays() {
    let watched = watched();
    watched.replace("[[customer]]\nid = 1\n");
    watched.wait(|directory| directory.status().error.is_some());
    let status = watched.directory.status();
    assert_eq!(status.error.unwrap().line, Some(2));
    assert_eq!((status.users, status.customers), (4, 2));
    assert!(acme_is("Acme")(&watched.directory));
    watched.replace(&renamed("repaired"));
    watched.wait(acme_is("repaired"));
    assert_eq!(watched.directory.status().error, None);
}

#[test]
fn a_change_that_shows_in_nothing_but_the_contents_is_followed() {
    let watched = watched();
    for name in ["Acm1", "Acm2", "Acm3", "Acm4"] {
        fs::write(&watched.path, renamed(name)).unwrap();
    }
    watched.wait(acme_is("Acm4"));
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
    let _watcher = Watcher::start(Arc::clone(&directory)).unwrap();
    version("..2", &renamed("second"));
    wait(&directory, acme_is("second"));
}

#[test]
fn reading_on_demand_needs_no_watcher() {
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

/// Puts in the file's place what behaves as a file on a network file system that hangs: a pipe,
/// which is read for as long as somebody holds its other end.
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

/// What `job` gives; a job that hangs fails the test instead of holding it for ever.
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
    let Watched {
        _folder,
        path,
        directory,
        _watcher: watcher,
    } = watched();
    replace_by_pipe(&path);
    // Opens once the watcher has opened the other end: from here on it reads.
    let at = path.clone();
    let mut pipe = ends(move || fs::File::options().write(true).open(at).unwrap());
    let asked = Arc::clone(&directory);
    assert_eq!(ends(move || asked.status()).error, None);
    ends(move || drop(watcher));
    pipe.write_all(renamed("at last").as_bytes()).unwrap();
    drop(pipe);
    wait(&directory, acme_is("at last"));
}
