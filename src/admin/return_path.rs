//! The path to which a browser goes after the log-in. It comes from the browser, so it must not lead
//! away from here. Pure.

/// Bytes of the path and its query.
const BYTES_MAX: usize = 1024;

/// Returns the path if it is one of ours to which a log-in can lead back.
///
/// A second slash, or a backslash, which browsers take for one, would begin the name of another host.
pub(super) fn return_path(path: &str) -> Option<&str> {
    let is_safe = path.starts_with('/')
        && !path.starts_with("//")
        && path.len() <= BYTES_MAX
        && path
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let name = path.split(['?', '#']).next().unwrap_or_default();
    let is_log_in = matches!(name.trim_end_matches('/'), "/login" | "/logout");
    (is_safe && !is_log_in).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_of_ours_leads_back() {
        for path in [
            "/",
            "/metrics",
            "/topics/events?since=5m&x=%2F%2Fevil",
            "/a//b",
        ] {
            assert_eq!(return_path(path), Some(path));
        }
        let long = format!("/{}", "x".repeat(BYTES_MAX));
        for path in [
            "",
            "metrics",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            " /metrics",
            "/a b",
            "/\tevil.example",
            "/a\r\nSet-Cookie: a=b",
            "/a\0",
            "/ä",
            "/login",
            "/login/",
            "/login?next=/login",
            "/logout",
            &long,
        ] {
            assert_eq!(return_path(path), None, "{path:?}");
        }
    }
}
