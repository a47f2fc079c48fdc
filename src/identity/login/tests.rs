#![allow(clippy::unwrap_used)]

use std::sync::mpsc;

use super::*;
use crate::identity::example;

/// Neither wait may have a time of its own: together they would outlast the client's timeout.
#[tokio::test]
async fn the_wait_for_the_turn_and_for_the_hash_share_one_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.toml");
    std::fs::write(&path, &*example::TEXT).unwrap();
    let directory = LiveDirectory::open(&path).unwrap();
    let mut logins = Logins::new(&Config::default());
    logins.hashing = Hashing::new(1, WAITING_MAX);
    let logins = Arc::new(logins);
    let user = "nifi@example.com";
    let basic = Basic {
        user: user.to_owned(),
        password: example::password(user),
    };
    let peer = "192.0.2.1".parse().unwrap();
    let expect_busy = async || {
        let now = Instant::now();
        tokio::select! {
            biased;
            login = logins.login_by(now, &directory, std::slice::from_ref(&basic), peer) => {
                assert_eq!(login.map(|_| ()), Err(LoginError::Busy(Busy)));
            }
            () = tokio::time::sleep_until(now + Duration::from_secs(1)) => {
                panic!("waits beyond its deadline")
            }
        }
    };

    let later = Instant::now() + Duration::from_mins(1);
    let origin = logins.attempt(&basic, peer).origin;
    let turn = logins.turns.take(origin, later).await.unwrap();
    expect_busy().await;
    drop(turn);

    let (release, held) = mpsc::channel::<()>();
    let (started, running) = tokio::sync::oneshot::channel();
    let hashing = Arc::clone(&logins);
    let hash = tokio::spawn(async move {
        let anybody = hashing.standings.of(&origin);
        hashing
            .hashing
            .run(&anybody, later, move || {
                started.send(()).unwrap();
                held.recv().unwrap();
            })
            .await
    });
    running.await.unwrap();
    expect_busy().await;
    release.send(()).unwrap();
    assert_eq!(hash.await.unwrap(), Ok(()));
    assert!(
        logins
            .login_by(later, &directory, std::slice::from_ref(&basic), peer)
            .await
            .is_ok()
    );
}
