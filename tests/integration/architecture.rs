//! Who may import whom, read from the source: each heavy dependency has one home, data goes one
//! way, and sinks know nothing of each other.

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The lines of code of every Rust file below `folder`, with its path from the root. Comments are
/// no code.
fn lines_below(folder: &str) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for path in rust_files(&Path::new(ROOT).join(folder)) {
        let name = path
            .strip_prefix(ROOT)
            .expect("below the root")
            .to_str()
            .expect("a name in UTF-8")
            .to_owned();
        let text = fs::read_to_string(&path).expect("a source file");
        let code = text
            .lines()
            .map(str::trim_start)
            .filter(|line| !line.starts_with("//"));
        lines.extend(code.map(|line| (name.clone(), line.to_owned())));
    }
    assert!(!lines.is_empty(), "no source below {folder}");
    lines
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("a source folder")
        .map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                return rust_files(&path);
            }
            if path.extension().is_some_and(|extension| extension == "rs") {
                vec![path]
            } else {
                Vec::new()
            }
        })
        .collect()
}

fn is_in(file: &str, module: &str) -> bool {
    file == format!("src/{module}.rs") || file.starts_with(&format!("src/{module}/"))
}

/// Whether `name` stands in the line as a path's word, such as `hyper` in `hyper::Request` but not
/// in `hyper_util`.
fn names(line: &str, name: &str) -> bool {
    let word = |letter: char| letter.is_alphanumeric() || letter == '_';
    line.match_indices(name).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(word);
        let after = &line[at + name.len()..];
        !before
            && (after.starts_with("::") || (line.starts_with("use ") && !after.starts_with(word)))
    })
}

#[test]
fn a_name_is_found_as_a_word() {
    assert!(names("use hyper::Request;", "hyper") && names("let x: hyper::Error;", "hyper"));
    assert!(!names("use hyper_util::rt;", "hyper") && !names("let hyper = 1;", "hyper"));
}

#[test]
fn each_dependency_has_one_home() {
    for (dependency, home) in [
        ("hyper", "http"),
        ("hyper_util", "http"),
        ("h2", "http"),
        ("http_body_util", "http"),
        ("simd_json", "record"),
        ("crossbeam_channel", "pipeline"),
        ("moka", "identity"),
        ("governor", "identity"),
        ("jsonwebtoken", "identity"),
        ("argon2", "identity"),
        ("notify", "identity"),
        ("rustls", "tls"),
        ("x509_parser", "tls"),
        ("sha2", "tls"),
        ("tokio_rustls", "http"),
        ("clap", "cli"),
        ("iem_sink_file", "sinks"),
        ("flate2", "encoding"),
        ("zstd", "encoding"),
    ] {
        for (file, line) in lines_below("src") {
            assert!(
                is_in(&file, home) || !names(&line, dependency),
                "{dependency} outside src/{home}: {file}: {line}"
            );
        }
    }
}

#[test]
fn data_goes_one_way() {
    // Each module with those of ours that it must not know.
    for (module, strangers) in [
        (
            "record",
            &["http", "identity", "pipeline", "sinks", "cli"][..],
        ),
        ("identity", &["http", "record", "pipeline", "sinks", "cli"]),
        ("pipeline", &["http", "identity", "cli"]),
        ("config", &["http", "identity", "pipeline", "sinks", "cli"]),
        ("sinks", &["http", "identity", "record", "cli"]),
        (
            "tls",
            &[
                "http", "identity", "record", "pipeline", "sinks", "cli", "config",
            ],
        ),
        ("http", &["cli", "sinks"]),
        (
            "encoding",
            &["http", "identity", "record", "pipeline", "sinks", "cli"],
        ),
    ] {
        for (file, line) in lines_below("src")
            .into_iter()
            .filter(|(file, _)| is_in(file, module))
        {
            for stranger in strangers {
                let known = names(&line, &format!("crate::{stranger}"));
                assert!(!known, "{module} knows {stranger}: {file}: {line}");
            }
        }
    }
}

#[test]
fn nothing_but_the_map_imports_http() {
    for (file, line) in lines_below("src") {
        // The map itself is `lib.rs`; `gateway.rs` puts together what it names.
        let allowed = is_in(&file, "http") || ["src/lib.rs", "src/gateway.rs"].contains(&&*file);
        assert!(allowed || !names(&line, "crate::http"), "{file}: {line}");
    }
}

#[test]
fn a_sink_knows_the_contract_and_no_other_sink() {
    let sinks = fs::read_dir(Path::new(ROOT).join("sinks")).expect("the sinks' folder");
    let sinks: Vec<_> = sinks
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    assert!(
        sinks.len() >= 2 && sinks.iter().any(|name| name == "sink"),
        "{sinks:?}"
    );
    for sink in &sinks {
        let manifest = fs::read_to_string(Path::new(ROOT).join(format!("sinks/{sink}/Cargo.toml")))
            .expect("a manifest");
        for other in sinks
            .iter()
            .filter(|other| *other != sink && *other != "sink")
        {
            assert!(
                !manifest.contains(&format!("iem-sink-{other}")),
                "{sink} depends on {other}"
            );
        }
        for stranger in ["iem-gateway =", "iem-gateway.", "hyper", "\nhttp"] {
            assert!(!manifest.contains(stranger), "{sink} depends on {stranger}");
        }
        if sink == "sink" {
            assert!(
                !manifest.contains("iem-sink-"),
                "the contract depends on no sink"
            );
        }
    }
}

#[test]
fn files_of_a_sitting() {
    for folder in ["src", "sinks", "tests", "benches"] {
        for path in rust_files(&Path::new(ROOT).join(folder)) {
            assert!(
                !path.ends_with("mod.rs"),
                "{}: name it after its folder",
                path.display()
            );
        }
    }
}
