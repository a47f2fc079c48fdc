//! The architecture, read from the source: each dependency has one home, data goes one way, no two
//! files import each other, and files stay short.

mod imports;
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use imports::{Crate, Import};
use source::{ROOT, rust_files, tokens};

/// Each dependency with the rooms that use it.
const HOMES: [(&str, &[&str]); 39] = [
    ("argon2", &["identity"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("crossbeam_channel", &["pipeline"]),
    ("crossbeam_utils", &["background", "pipeline"]),
    ("flate2", &["encoding"]),
    ("form_urlencoded", &["http", "admin"]),
    ("governor", &["identity", "telemetry"]),
    ("h2", &["http"]),
    ("hashbrown", &["identity"]),
    ("hdrhistogram", &["prove"]),
    ("http_body_util", &["http", "admin", "client", "prove"]),
    ("hyper", &["http", "admin", "client", "prove"]),
    ("hyper_util", &["http", "client"]),
    ("iem_journal", &["cli", "gateway", "pipeline", "replay"]),
    ("iem_postgres", &["identity"]),
    ("iem_sink_file", &["cli", "replay", "sinks"]),
    ("iem_sink_kafka", &["sinks"]),
    ("iem_sink_pubsub", &["sinks"]),
    ("jsonwebtoken", &["identity"]),
    ("listenfd", &["systemd"]),
    ("moka", &["identity"]),
    ("notify", &["follow"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_proto", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("rustix", &["cli", "identity", "systemd", "telemetry"]),
    ("rustls", &["tls"]),
    ("rustls_native_certs", &["tls"]),
    ("serde_path_to_error", &["config"]),
    ("sha2", &["tls"]),
    ("simd_json", &["record"]),
    ("tokio_rustls", &["http", "client", "prove"]),
    ("toml_edit", &["identity"]),
    ("tonic", &["telemetry"]),
    ("tracing_appender", &["telemetry"]),
    ("x509_parser", &["tls"]),
    ("zstd", &["encoding"]),
];

/// Each room with those of ours that it must not import.
const STRANGERS: [(&str, &[&str]); 13] = [
    (
        "client",
        &[
            "admin", "cli", "config", "gateway", "http", "identity", "pipeline", "prove", "record",
            "sinks",
        ],
    ),
    (
        "record",
        &["admin", "cli", "http", "identity", "pipeline", "sinks"],
    ),
    (
        "identity",
        &["admin", "cli", "http", "pipeline", "record", "sinks"],
    ),
    ("pipeline", &["admin", "cli", "http", "identity"]),
    (
        "config",
        &["admin", "cli", "http", "identity", "pipeline", "sinks"],
    ),
    ("telemetry", &["admin", "cli", "http", "identity", "sinks"]),
    ("sinks", &["admin", "cli", "http", "identity", "record"]),
    (
        "tls",
        &[
            "admin", "cli", "http", "identity", "pipeline", "record", "sinks",
        ],
    ),
    (
        "encoding",
        &[
            "admin", "cli", "http", "identity", "pipeline", "record", "sinks",
        ],
    ),
    ("admin", &["cli", "record", "sinks"]),
    ("http", &["admin", "cli", "gateway", "sinks"]),
    (
        "prove",
        &[
            "admin", "cli", "config", "gateway", "http", "identity", "pipeline", "record",
        ],
    ),
    ("http/transport", &["http/api", "pipeline", "record"]),
];

/// The files outside `http` that import it: the one that puts the gateway together, and the admin
/// listener, which is served by the same transport.
const IMPORTERS_OF_HTTP: [&str; 2] = ["gateway", "admin"];

/// The folders below `sinks` that hold no sink, but what sinks share. None depends on another.
const SHARED: [&str; 2] = ["disk", "sink"];

/// Words that say nothing of what a file holds.
const EMPTY_NAMES: [&str; 6] = [
    "util", "utils", "manager", "managers", "handler", "handlers",
];
const LINES_MAX: usize = 400;

/// Whether a file belongs to a room of the gateway.
fn is_in(file: &str, room: &str) -> bool {
    file == format!("src/{room}.rs") || file.starts_with(&format!("src/{room}/"))
}

fn gateway() -> Crate {
    Crate::new("src", &rust_files("src"))
}

/// The names of the folders below `sinks`.
fn sinks() -> Vec<String> {
    let entries = fs::read_dir(Path::new(ROOT).join("sinks")).expect("the sinks' folder");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("a name");
    let sinks: Vec<_> = entries
        .map(|entry| name(entry.expect("an entry")))
        .collect();
    assert!(
        sinks.len() > SHARED.len()
            && SHARED
                .iter()
                .all(|name| sinks.iter().any(|sink| sink == name)),
        "{sinks:?}"
    );
    sinks
}

fn manifest(folder: &str) -> String {
    let path = Path::new(ROOT).join(folder).join("Cargo.toml");
    fs::read_to_string(path).expect("a manifest")
}

/// Fails the test with all faults at once.
#[track_caller]
fn assert_none(faults: &BTreeSet<String>) {
    let list: Vec<_> = faults.iter().map(String::as_str).collect();
    assert!(
        list.is_empty(),
        "{} faults:\n{}",
        list.len(),
        list.join("\n")
    );
}

/// Whether the crate `name` is used: in a path or by a `use`.
fn uses_crate(tokens: &[String], name: &str) -> bool {
    tokens.windows(3).any(|window| {
        let [before, token, after] = window else {
            return false;
        };
        before != "::" && token == name && (after == "::" || before == "use")
    })
}

#[test]
fn a_crate_is_found_by_its_whole_name() {
    let is_used = |text| uses_crate(&tokens(text), "hyper");
    assert!(is_used("; use hyper::Request;") && is_used("let x: hyper::Error;"));
    assert!(is_used("; use hyper;"));
    assert!(!is_used("; use hyper_util::rt;") && !is_used("; let hyper = 1;"));
}

#[test]
fn every_rule_is_of_a_room_and_a_dependency_that_exist() {
    let files: Vec<_> = rust_files("src")
        .into_iter()
        .map(|(file, text)| (file, tokens(&text)))
        .collect();
    let manifest = manifest("");
    let mut faults = BTreeSet::new();
    let homes = HOMES.iter().flat_map(|(_, homes)| *homes);
    let rooms = STRANGERS
        .iter()
        .flat_map(|(room, strangers)| [room].into_iter().chain(*strangers));
    for room in homes.chain(rooms).chain(&IMPORTERS_OF_HTTP) {
        if !files.iter().any(|(file, _)| is_in(file, room)) {
            faults.insert(format!("no room {room}: adjust the rules"));
        }
    }
    for (dependency, homes) in HOMES {
        let names = [dependency.to_owned(), dependency.replace('_', "-")];
        let is_declared = |name: &String| manifest.contains(&format!("\n{name}"));
        let is_used = |home: &&str| {
            let mut files = files.iter().filter(|(file, _)| is_in(file, home));
            files.any(|(_, tokens)| uses_crate(tokens, dependency))
        };
        if !names.iter().any(is_declared) || !homes.iter().any(is_used) {
            faults.insert(format!(
                "{dependency} is not used at home: adjust the rules"
            ));
        }
    }
    assert_none(&faults);
}

#[test]
fn each_dependency_has_one_home() {
    let mut faults = BTreeSet::new();
    for (file, text) in rust_files("src") {
        let tokens = tokens(&text);
        for (dependency, homes) in HOMES {
            let is_home = homes.iter().any(|home| is_in(&file, home));
            if !is_home && uses_crate(&tokens, dependency) {
                faults.insert(format!("{file} uses {dependency}, whose home is {homes:?}"));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn data_goes_one_way() {
    let mut faults = BTreeSet::new();
    for Import { importer, imported } in gateway().imports() {
        for (room, strangers) in STRANGERS {
            let is_stranger = strangers.iter().any(|stranger| is_in(&imported, stranger));
            if is_in(&importer, room) && is_stranger {
                faults.insert(format!("{importer} imports {imported}"));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn only_the_gateway_and_the_admin_listener_import_http() {
    let mut faults = BTreeSet::new();
    for Import { importer, imported } in gateway().imports() {
        let mut allowed = ["http"].iter().chain(&IMPORTERS_OF_HTTP);
        if is_in(&imported, "http") && !allowed.any(|room| is_in(&importer, room)) {
            faults.insert(format!("{importer} imports {imported}"));
        }
    }
    assert_none(&faults);
}

#[test]
fn the_configuration_imports_no_room_that_imports_it() {
    let imports = gateway().imports();
    let room = |file: &str| {
        let path = file.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').next().unwrap_or_default().to_owned()
    };
    let importers: BTreeSet<_> = imports
        .iter()
        .filter(|import| room(&import.imported) == "config")
        .map(|import| room(&import.importer))
        .filter(|room| room != "config")
        .collect();
    let faults = imports
        .iter()
        .filter(|import| room(&import.importer) == "config")
        .filter(|import| importers.contains(&room(&import.imported)))
        .map(|import| format!("{} imports {}", import.importer, import.imported))
        .collect();
    assert_none(&faults);
}

#[test]
fn a_sink_depends_on_the_contract_and_on_no_other_sink() {
    let sinks = sinks();
    let mut faults = BTreeSet::new();
    for sink in &sinks {
        let manifest = manifest(&format!("sinks/{sink}"));
        let dependencies = manifest
            .split("[dev-dependencies]")
            .next()
            .unwrap_or_default();
        let is_shared = SHARED.contains(&sink.as_str());
        let others = sinks
            .iter()
            .filter(|other| *other != sink && !SHARED.contains(&other.as_str()));
        let others = others.map(|other| format!("\niem-sink-{other}"));
        let strangers = ["\niem-gateway", "\nhyper", "\nhttp"].map(str::to_owned);
        let disk = is_shared.then(|| "\niem-disk".to_owned());
        for stranger in others.chain(strangers).chain(disk) {
            if dependencies.contains(&stranger) {
                faults.insert(format!("{sink} depends on {}", stranger.trim_start()));
            }
        }
        let knows_contract = dependencies.contains("\niem-sink.");
        if knows_contract == is_shared {
            faults.insert(format!("{sink} does not depend on the contract alone"));
        }
    }
    assert_none(&faults);
}

#[test]
fn no_two_files_import_each_other() {
    let roots = sinks().into_iter().map(|sink| format!("sinks/{sink}/src"));
    let mut faults = BTreeSet::new();
    for root in roots.chain(["journal/src", "postgres/src", "src"].map(str::to_owned)) {
        for (one, other) in Crate::new(&root, &rust_files(&root)).cycles() {
            faults.insert(format!("{one} and {other} import each other"));
        }
    }
    assert_none(&faults);
}

#[test]
fn files_are_short_and_have_names_that_say_something() {
    let mut faults = BTreeSet::new();
    for folder in [
        "src", "journal", "postgres", "sinks", "tests", "benches", "fuzz",
    ] {
        for (file, text) in rust_files(folder) {
            let lines = text.lines().count();
            if lines > LINES_MAX {
                faults.insert(format!("{file} has {lines} lines of at most {LINES_MAX}"));
            }
            let name = Path::new(&file).file_stem().expect("a file has a name");
            let name = name.to_str().expect("a name in UTF-8");
            if name == "mod" {
                faults.insert(format!("{file} is to be named after its folder"));
            }
            if name.split('_').any(|word| EMPTY_NAMES.contains(&word)) {
                faults.insert(format!("{file} has a name that says nothing"));
            }
        }
    }
    assert_none(&faults);
}
