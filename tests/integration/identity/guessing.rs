//! Guesses from many addresses at once: who has the right password logs in all the same.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use iem_test_support::{AMPLE, Connection, Gateway, Home, OpenLoop, Request, eventually, post};

const GUESSERS: usize = 500;
const PASSWORD: &str = "a-right-password";
const OTHER_PASSWORD: &str = "another-right-password";

/// Makes a home whose passwords are hashed at their real cost, and so are those of nobody: all
/// users were added by the command line.
fn home(users: &[&str]) -> Home {
    let home = Home::new();
    std::fs::remove_file(home.path("directory.toml")).expect("the directory file");
    run(&home, "customer add acme --name Acme", "");
    for user in users {
        let add = format!("user add {user} --name User --customer acme --password-stdin");
        run(&home, &add, PASSWORD);
    }
    home
}

fn run(home: &Home, command: &str, input: &str) {
    let arguments: Vec<_> = command.split(' ').collect();
    let output = home.run_with_input(&arguments, &format!("{input}\n"));
    assert!(output.status.success(), "{output:?}");
}

fn login(user: &str, password: &str) -> Request {
    post("/api/v1/user/token", "").basic(user, password)
}

/// Guessers, each from an address of its own and at another user with each guess, as fast as they
/// are answered.
struct Flood {
    stop: Arc<AtomicBool>,
    guessers: Vec<JoinHandle<()>>,
}

impl Flood {
    /// Starts them, and returns once each has sent a guess.
    fn start(gateway: &Gateway) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let begun = Arc::new(AtomicUsize::new(0));
        let guessers = (0..GUESSERS).map(|number| {
            let (address, stop, begun) = (gateway.address, Arc::clone(&stop), Arc::clone(&begun));
            let host = u8::try_from(number % 250).expect("below 250");
            let network = u8::try_from(number / 250).expect("below 250");
            let peer = IpAddr::from([127, 1, network, host + 1]);
            let guess = move || {
                let mut connection = Connection::from_peer(address, peer);
                for round in 0.. {
                    let user = format!("user-{number}-{round}@acme.example");
                    connection.send(login(&user, "a-wrong-password").bytes());
                    if round == 0 {
                        begun.fetch_add(1, Ordering::Relaxed);
                    }
                    let status = connection.answer().status;
                    assert!([401, 429, 503].contains(&status), "{status}");
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                }
            };
            let thread = thread::Builder::new().stack_size(256 << 10);
            thread.spawn(guess).expect("a thread")
        });
        let guessers = guessers.collect();
        eventually(AMPLE, "everybody guesses", || {
            begun.load(Ordering::Relaxed) == GUESSERS
        });
        Self { stop, guessers }
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for guesser in self.guessers {
            guesser.join().expect("every guess is answered");
        }
    }
}

#[test]
fn right_logins_are_answered_while_500_addresses_guess_at_once() {
    let strangers = ["one@acme.example", "two@acme.example", "three@acme.example"];
    let (publisher, known) = ("publisher@acme.example", "known@acme.example");
    let gateway = home(&[&strangers[..], &[publisher, known]].concat()).start();
    let token = gateway.log_in(publisher, PASSWORD).expect(200);
    let customer = OpenLoop::start(
        gateway.address,
        &token.access_token(),
        "good",
        20,
        &["key".to_owned()],
    );
    let office = [127, 0, 0, 2];
    gateway
        .send_from(office, &login(known, PASSWORD))
        .expect(200);
    // Another password, so that what the gateway remembers of the first one does not answer.
    run(
        &gateway.home,
        &format!("user passwd {known} --password-stdin"),
        OTHER_PASSWORD,
    );
    gateway.reload();

    let flood = Flood::start(&gateway);
    gateway
        .send_from(office, &login(known, OTHER_PASSWORD))
        .expect(200);
    for (host, user) in (3..).zip(strangers) {
        let elsewhere = [127, 0, 0, host];
        let right = login(user, PASSWORD);
        gateway.send_from(elsewhere, &right).expect(200);
    }
    flood.end();
    let calls = customer.stop();
    assert!(!calls.0.is_empty());
    assert!(calls.accepted() >= 0.999, "{}", calls.accepted());
}

/// Guesses from ever new IPv6 peers until one has to wait, and returns how many were looked at.
fn guesses_until_bounded(gateway: &Gateway, peers: impl Iterator<Item = String>) -> usize {
    let statuses = peers.map(|peer| {
        let guess = login("alice@acme.example", "wrong").header("X-Forwarded-For", &peer);
        gateway.send(&guess).status
    });
    statuses.take_while(|status| *status == 401).count()
}

#[test]
fn failures_are_bounded_for_the_networks_around_an_ipv6_address_too() {
    let gateway = Home::new()
        .set("server.proxies", vec!["127.0.0.1"])
        .set("login.failures_per_user", 1)
        .set("login.failures_per_peer", 1)
        .start();
    // What a minute allows comes back little by little meanwhile.
    let of_a_56 = (0..256).map(|n| format!("2001:db8:1:{n:x}::1"));
    let looked_at = guesses_until_bounded(&gateway, of_a_56);
    assert!((4..8).contains(&looked_at), "{looked_at} in a /56");
    let of_a_48 = (0..256).map(|n| format!("2001:db8:2:{:x}::1", n << 8));
    let looked_at = guesses_until_bounded(&gateway, of_a_48);
    assert!((16..32).contains(&looked_at), "{looked_at} in a /48");
    let elsewhere = ["2001:db8:3::1", "192.0.2.1"].map(str::to_owned);
    assert_eq!(guesses_until_bounded(&gateway, elsewhere.into_iter()), 2);
}
