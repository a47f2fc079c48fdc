//! Benchmarks of authentication, by a known and an unknown token, and of authorisation for a
//! customer, in a directory of 100,000 users and as many customers; and of reading that directory.

#![allow(missing_docs)]

use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use iem_gateway::config::Config;
use iem_gateway::identity::authentication::{Basic, access_token};
use iem_gateway::identity::directory::{Directory, LiveDirectory};
use iem_gateway::identity::password::{Cost, Password, PasswordHash};
use iem_gateway::identity::sessions::Session;
use iem_gateway::identity::token::{SigningKey, Tokens};
use iem_gateway::identity::{Identity, LastToken, Principal, authorization};

const USERS: usize = 100_000;
const SECRET: &str = "secret";

/// Returns a directory file in which user n has customer n.
fn directory_text() -> String {
    let cheap = Cost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
    let hash =
        PasswordHash::new(&Password::new(SECRET.to_owned()), cheap).expect("the cost is allowed");
    let hash = hash.as_str();
    let mut text = String::new();
    for n in 0..USERS {
        writeln!(
            text,
            "[[customer]]\nid = \"customer-{n}\"\nname = \"Customer {n}\"\n\n\
             [[user]]\nemail = \"user-{n}@example.com\"\nname = \"User {n}\"\n\
             password = \"{hash}\"\ncustomers = [\"customer-{n}\"]\n"
        )
        .expect("a string takes every write");
    }
    text
}

/// Returns an identity that has not authenticated anyone yet.
fn identity(directory: &Arc<LiveDirectory>, key: &SigningKey) -> Identity {
    let config = Config::default();
    let tokens = Tokens::new(key, &config.tokens);
    Identity::new(Arc::clone(directory), tokens, &config)
}

fn principal(identity: &Identity, token: &[u8], last: &LastToken, now: SystemTime) -> Principal {
    identity
        .principal(token, None, last, now)
        .expect("the token is valid")
}

fn identify(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("directory.toml");
    let text = directory_text();
    fs::write(&path, &text).expect("the directory is written");
    let directory = Arc::new(LiveDirectory::open(&path).expect("the directory is valid"));

    let user = authenticate(criterion, &directory);
    authorise(criterion, &directory, &user);
    read(criterion, &text, &path);
}

/// Measures authentication. Returns the authenticated user.
fn authenticate(criterion: &mut Criterion, directory: &Arc<LiveDirectory>) -> Principal {
    let key = SigningKey::random();
    let known = identity(directory, &key);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime is created");
    let basic = Basic {
        user: "user-50000@example.com".into(),
        password: Password::new(SECRET.into()),
    };
    let login = || {
        runtime
            .block_on(known.login(&basic, Ipv4Addr::LOCALHOST.into()))
            .expect("the password is right")
    };
    let now = SystemTime::now();
    let token = known
        .issue(&login(), &Session::begin(now), now)
        .expect("a token is issued")
        .access;
    let header = format!("session=0123456789; access_token={token}");

    let mut group = criterion.benchmark_group("authenticate");
    group.bench_function("token sent before", |bencher| {
        let last = LastToken::default();
        bencher.iter(|| {
            let token =
                access_token([black_box(header.as_bytes())], None).expect("the cookie has a token");
            principal(&known, token, &last, now)
        });
    });
    group.bench_function("token of another connection", |bencher| {
        bencher.iter(|| {
            let token = black_box(token.as_bytes());
            principal(&known, token, &LastToken::default(), now)
        });
    });
    group.bench_function("token never seen", |bencher| {
        bencher.iter_batched(
            || identity(directory, &key),
            |identity| {
                let token = black_box(token.as_bytes());
                principal(&identity, token, &LastToken::default(), now)
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("basic seen before", |bencher| bencher.iter(login));
    group.finish();
    principal(&known, token.as_bytes(), &LastToken::default(), now)
}

fn authorise(criterion: &mut Criterion, directory: &LiveDirectory, principal: &Principal) {
    let mut group = criterion.benchmark_group("authorise");
    for (name, customer) in [
        ("associated", "customer-50000"),
        ("not associated", "customer-50001"),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let directory = directory.load();
                let customer =
                    authorization::customer(&directory, principal.user(), black_box(customer));
                customer.map(Arc::clone)
            });
        });
    }
    group.finish();
}

fn read(criterion: &mut Criterion, text: &str, path: &Path) {
    let mut group = criterion.benchmark_group("directory");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Elements(2 * USERS as u64));
    group.bench_function("read 100,000 users and as many customers", |bencher| {
        bencher.iter_with_large_drop(|| {
            Directory::parse(black_box(text), path).expect("the directory is valid")
        });
    });
    group.finish();
}

criterion_group!(benches, identify);
criterion_main!(benches);
