//! The lock on a folder, beside those who look who holds it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::{FolderLock, holder};

#[test]
fn looking_who_holds_a_folder_keeps_nobody_from_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path();
    drop(FolderLock::acquire(path).expect("a free folder"));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    let _ = holder(path);
                    thread::yield_now();
                }
            });
        }
        let taken = (0..2_000).all(|_| FolderLock::acquire(path).is_ok());
        is_over.store(true, Ordering::Relaxed);
        assert!(taken);
    });
}

#[test]
fn the_holder_is_named_and_only_while_it_holds_the_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(holder(folder.path()), None);
    let lock = FolderLock::acquire(folder.path()).expect("a free folder");
    let told = holder(folder.path()).expect("a holder");
    let process = format!("process {}, since ", std::process::id());
    assert!(told.starts_with(&process), "{told}");
    assert!(FolderLock::acquire(folder.path()).is_err());
    drop(lock);
    assert_eq!(holder(folder.path()), None);
}
