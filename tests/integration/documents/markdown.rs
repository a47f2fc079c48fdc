//! A page of Markdown, as far as links, headings and snippets go.

use std::fs;
use std::path::{Path, PathBuf};

use super::root;

/// A page, with its path from the root.
pub(super) struct Page {
    pub(super) path: PathBuf,
    text: String,
}

/// A fenced block.
pub(super) struct Snippet {
    /// The page's path and the line of the fence.
    pub(super) place: String,
    /// The words behind the fence, such as `toml`.
    pub(super) kind: String,
    pub(super) text: String,
}

impl Page {
    pub(super) fn read(path: &Path) -> Self {
        Self {
            path: path
                .strip_prefix(root())
                .expect("below the root")
                .to_owned(),
            text: fs::read_to_string(path).expect("a page"),
        }
    }

    /// Its fenced blocks.
    pub(super) fn snippets(&self) -> Vec<Snippet> {
        let mut snippets = Vec::new();
        let mut open: Option<Snippet> = None;
        for (index, line) in self.text.lines().enumerate() {
            let fence = line.trim_start().strip_prefix("```");
            match (fence, &mut open) {
                (Some(_), Some(_)) => snippets.extend(open.take()),
                (Some(kind), None) => {
                    open = Some(Snippet {
                        place: format!("{}:{}", self.path.display(), index + 1),
                        kind: kind.trim().to_owned(),
                        text: String::new(),
                    });
                }
                (None, Some(snippet)) => {
                    snippet.text.push_str(line);
                    snippet.text.push('\n');
                }
                (None, None) => {}
            }
        }
        assert!(
            open.is_none(),
            "{}: a block does not end",
            self.path.display()
        );
        snippets
    }

    /// The text of every code span outside fenced blocks.
    pub(super) fn code_spans(&self) -> Vec<String> {
        self.prose()
            .flat_map(|line| line.split('`').skip(1).step_by(2))
            .map(str::to_owned)
            .collect()
    }

    /// Returns the links that lead nowhere.
    pub(super) fn broken_links(&self) -> Vec<String> {
        let folder = root().join(self.path.parent().unwrap_or(Path::new("")));
        let mut faults = Vec::new();
        for target in self.prose().flat_map(targets) {
            let own = target.strip_prefix('#').map(|anchor| {
                let name = self.path.file_name().unwrap_or_default().to_string_lossy();
                format!("{name}#{anchor}")
            });
            faults.extend(fault(&own.unwrap_or(target), &folder));
        }
        faults
            .into_iter()
            .map(|fault| format!("{}: {fault}", self.path.display()))
            .collect()
    }

    /// The lines outside fenced blocks.
    fn prose(&self) -> impl Iterator<Item = &str> {
        let mut inside = false;
        self.text.lines().filter(move |line| {
            let is_fence = line.trim_start().starts_with("```");
            inside ^= is_fence;
            !inside && !is_fence
        })
    }

    /// The anchors of its headings, as GitHub makes them.
    fn anchors(&self) -> Vec<String> {
        let headings = self.prose().filter(|line| line.starts_with('#'));
        let mut anchors: Vec<String> = Vec::new();
        for heading in headings {
            let anchor = anchor(heading.trim_start_matches('#').trim());
            let same = anchors.iter().filter(|other| **other == anchor).count();
            anchors.push(match same {
                0 => anchor,
                count => format!("{anchor}-{count}"),
            });
        }
        anchors
    }
}

/// Says why a link from `folder` leads nowhere, or `None` where it leads to something.
pub(super) fn fault(target: &str, folder: &Path) -> Option<String> {
    if ["https://", "http://", "mailto:"]
        .iter()
        .any(|scheme| target.starts_with(scheme))
    {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = folder.join(path);
    if !path.exists() {
        return Some(format!("{target}: no such file"));
    }
    let path = path.canonicalize().expect("a file that exists");
    let is_there = anchor.is_empty() || Page::read(&path).anchors().iter().any(|it| it == anchor);
    (!is_there).then(|| format!("{target}: no such heading"))
}

/// The page of `docs/` that a line of source names, with its anchor.
pub(super) fn citation(line: &str) -> Option<String> {
    let at = line.find("docs/")?;
    if line[..at].ends_with(|c: char| c.is_alphanumeric() || "/.".contains(c)) {
        return None;
    }
    let path = &line[at..];
    let end = path.find(|c: char| !(c.is_alphanumeric() || "/.-_#".contains(c)));
    let path = path[..end.unwrap_or(path.len())].trim_end_matches('.');
    path.contains(".md").then(|| path.to_owned())
}

/// The targets of a line's links. Code spans hold none.
fn targets(line: &str) -> Vec<String> {
    let text: String = line.split('`').step_by(2).collect();
    let links = text.split("](").skip(1);
    links
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

fn anchor(heading: &str) -> String {
    heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn anchors_are_those_of_github() {
    assert_eq!(anchor("2. Publish — `POST`"), "2-publish--post");
    assert_eq!(anchor("[server.tls]"), "servertls");
}

#[test]
fn links_and_citations_are_found() {
    assert_eq!(targets("[a](b.md) and `[c](d)` [e](#f)"), ["b.md", "#f"]);
    let line = "/// See `docs/contract.md#3-records`.";
    assert_eq!(
        citation(line).as_deref(),
        Some("docs/contract.md#3-records")
    );
    assert_eq!(citation("// https://example.com/docs/page.md"), None);
}
