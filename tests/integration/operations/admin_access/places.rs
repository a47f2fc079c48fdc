//! Strangers that hold connections keep neither probes nor viewers out.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use iem_test_support::{AMPLE, Authority, Connection, Curl, client_hello, eventually};

use super::{ask, guarded, request, roots_cookie};

/// The most connections of the admin listener beside event streams.
const PLACES: usize = 64;
/// The time between two connections of a flooder.
const PAUSE: Duration = Duration::from_millis(2);

/// The addresses of those who flood it.
fn flooders() -> impl Iterator<Item = IpAddr> {
    (1..=4).map(|number| Ipv4Addr::new(127, 0, 9, number).into())
}

#[test]
fn a_flood_of_connections_and_half_handshakes_keeps_no_probe_out() {
    let authority = Authority::new("authority");
    let home = guarded()
        .set("admin.tls.certificate", "admin.pem")
        .set("admin.tls.key", "admin.key");
    home.write_identity("admin", &authority.gateway());
    home.write("ca.pem", authority.pem());
    let gateway = home.start();
    let hello = client_hello(&authority);
    let (stop, opened) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        for peer in flooders() {
            let (gateway, hello, stop, opened) = (&gateway, &hello, &stop, &opened);
            scope.spawn(move || {
                let mut held = std::collections::VecDeque::new();
                while !stop.load(Ordering::Relaxed) {
                    let Ok(mut connection) = Connection::try_from_peer(gateway.admin, peer) else {
                        continue;
                    };
                    let sent = match opened.fetch_add(1, Ordering::Relaxed) % 3 {
                        0 => 0,
                        1 => hello.len() / 2,
                        _ => hello.len(),
                    };
                    let _ = connection.try_send(&hello[..sent]);
                    held.push_back(connection);
                    if held.len() > 2 * PLACES {
                        held.pop_front();
                    }
                    thread::sleep(PAUSE);
                }
            });
        }
        eventually(AMPLE, "the flood has begun", || {
            opened.load(Ordering::Relaxed) > 8 * PLACES
        });
        for number in 0..12 {
            let path = ["/livez", "/readyz", "/metrics", "/login"][number % 4];
            let answer = Curl::new(&gateway.home, "ca.pem")
                .args(&["--user", "root@iem.example:root-password"])
                .arg(format!("https://{}{path}", gateway.admin))
                .answer();
            assert_eq!(answer.status, 200, "{path} {number}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(opened.load(Ordering::Relaxed) > 8 * PLACES);
}

#[test]
fn strangers_who_ask_and_do_not_finish_keep_no_viewer_out() {
    let gateway = guarded().start();
    let cookie = roots_cookie(&gateway);
    let form = [("Content-Type", super::FORM)];
    let begun = request("POST", "/login", &form, "email=a");
    let mut held: Vec<_> = flooders()
        .flat_map(|peer| (0..PLACES).map(move |_| peer))
        .map(|peer| {
            let mut connection = Connection::from_peer(gateway.admin, peer);
            let _ = connection.try_send(&begun[..begun.len() - 1]);
            connection
        })
        .collect();
    for _ in 0..16 {
        ask(&gateway, "GET", "/livez", &[]).expect(200);
        ask(&gateway, "GET", "/session", &[("Cookie", &cookie)]).expect(200);
    }
    // The last ones are there, and are answered once they finish.
    let last = held.last_mut().expect("many");
    last.send(&begun[begun.len() - 1..]).answer().expect(401);
}
