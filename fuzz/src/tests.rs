//! Every seed of every target, through what the target checks.

use std::fs;
use std::path::Path;

fn check_seeds(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("seeds")
        .join(target);
    let seeds = fs::read_dir(&folder).expect("a target has seeds");
    let seeds: Vec<_> = seeds.map(|entry| entry.expect("an entry").path()).collect();
    assert!(!seeds.is_empty(), "no seed in {}", folder.display());
    for seed in seeds {
        // The last line of a failure's output tells which seed it is of.
        println!("{}", seed.display());
        check(&fs::read(&seed).expect("a seed"));
    }
}

macro_rules! seeds {
    ($($target:ident),* $(,)?) => {
        $(
            #[test]
            fn $target() {
                check_seeds(stringify!($target), crate::$target::check);
            }
        )*
    };
}

seeds!(
    body,
    configuration,
    credentials,
    directory,
    encoding,
    events,
    headers,
    http1,
    http2,
    journal,
    keys,
    sessions
);
