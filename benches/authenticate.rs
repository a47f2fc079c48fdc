//! What it costs to know who is calling, a token seen before and one never seen, and whether they
//! may send for a customer, in a directory of 100,000 users and customers; and to read such a
//! directory.

#![allow(missing_docs)]

use std::fmt::Write;
use std::fs;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use iem_gateway::config::Config;
use iem_gateway::identity::authentication::{Basic, access_token};
use iem_gateway::identity::directory::{Directory, LiveDirectory};
use iem_gateway::identity::password::{Cost, Password, PasswordHash};
use iem_gateway::identity::token::{SigningKey, Tokens};
use iem_gateway::identity::{Identity, LastToken, authorization};

const USERS: usize = 100_000;

fn directory_text() -> String {
    let cheap = Cost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };
    let hash =
        PasswordHash::new(&Password::new("secret".to_owned()), cheap).expect("the cost is allowed");
    let hash = hash.as_str();
    let mut text = String::new();
    for n in 0..USERS {
        writeln!(
            text,
            "[[customer]]\nid = \"customer-{n}\"\nname = \"Customer {n}\"\n"
        )
        .expect("a string");
        writeln!(
            text,
            "[[user]]\nemail = \"user-{n}@example.com\"\nname = \"User {n}\"\npassword = \"{hash}\"\ncustomers = [\"customer-{n}\"]\n"
        )
        .expect("a string");
    }
    text
}

fn authenticate(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("directory.toml");
    let text = directory_text();
    fs::write(&path, &text).expect("room for the directory");

    let directory = Arc::new(LiveDirectory::open(&path).expect("a directory that holds"));
    let key = SigningKey::random();
    let config = Config::default();
    let fresh = || {
        let tokens = Tokens::new(&key, &config.tokens);
        Identity::new(Arc::clone(&directory), tokens, &config)
    };
    let identity = fresh();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let peer = [127, 0, 0, 1].into();
    let basic = Basic {
        user: "user-50000@example.com".into(),
        password: Password::new("secret".into()),
    };
    let login = || {
        runtime
            .block_on(identity.login(&basic, peer))
            .expect("the password is right")
    };
    let now = SystemTime::now();
    let token = identity.issue(&login(), now).expect("a token").access;
    let header = format!("session=0123456789; access_token={token}");

    let mut group = criterion.benchmark_group("authenticate");
    group.bench_function("token shown before", |bencher| {
        let last = LastToken::default();
        bencher.iter(|| {
            let token = access_token([black_box(header.as_bytes())], None).expect("a cookie");
            identity.principal(token, &last, now).expect("our token")
        });
    });
    group.bench_function("token of another connection", |bencher| {
        bencher.iter(|| {
            identity
                .principal(black_box(token.as_bytes()), &LastToken::default(), now)
                .expect("our token")
        });
    });
    group.bench_function("token never seen", |bencher| {
        bencher.iter_batched(
            fresh,
            |identity| {
                identity
                    .principal(black_box(token.as_bytes()), &LastToken::default(), now)
                    .expect("our token")
            },
            BatchSize::SmallInput,
        );
    });
    group.bench_function("basic seen before", |bencher| bencher.iter(login));
    group.finish();

    let principal = identity
        .principal(token.as_bytes(), &LastToken::default(), now)
        .expect("our token");
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

    let mut group = criterion.benchmark_group("directory");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    group.throughput(Throughput::Elements(2 * USERS as u64));
    group.bench_function("read 100,000 users and as many customers", |bencher| {
        bencher.iter_with_large_drop(|| {
            Directory::parse(black_box(&text), &path).expect("a directory that holds")
        });
    });
    group.finish();
}

criterion_group!(benches, authenticate);
criterion_main!(benches);
