//! The tests' directory, `tests/data/directory.toml`: its users, and the hashes of their passwords.

/// The directory file, with `{{hash:PASSWORD}}` for the hash of a password.
pub const DIRECTORY: &str = include_str!("../../data/directory.toml");

/// Returns `text` with the hash of each `{{hash:PASSWORD}}` in its place.
pub fn with_hashes(text: &str, mut hash: impl FnMut(&str) -> String) -> String {
    let mut parts = text.split("{{hash:");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (password, rest) = part.split_once("}}").expect("a placeholder ends");
        whole.push_str(&hash(password));
        whole.push_str(rest);
    }
    whole
}

/// Returns the full email of a user of the tests' directory.
pub fn email(user: &str) -> &'static str {
    match user {
        "alice" => "alice@acme.example",
        "bob" => "bob@globex.example",
        "carol" => "carol@acme.example",
        "root" => "root@iem.example",
        "org" => "org@acme.example",
        "off" => "off@acme.example",
        other => panic!("no user {other} in the tests' directory"),
    }
}
