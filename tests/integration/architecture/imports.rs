//! Imports between the files of a crate: each path that code names, resolved to the file that
//! defines what it names.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{tokens, without_tests};

/// The path of a module from the crate's root.
type Module = Vec<String>;

/// A bound on names that are bound by way of other names.
const DEPTH_MAX: usize = 8;

/// The modules of a crate, without those that only tests compile.
#[derive(Default)]
pub(crate) struct Crate {
    /// Each module with its file. A module within a file has the file of its parent.
    files: BTreeMap<Module, String>,
    sources: BTreeMap<Module, Vec<String>>,
    uses: BTreeMap<Module, Vec<Use>>,
}

/// A name that a `use` binds.
struct Use {
    path: Vec<String>,
    name: String,
    public: bool,
}

/// An import of one file by another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Import {
    pub(crate) importer: String,
    pub(crate) imported: String,
}

impl Crate {
    /// Reads a crate whose sources stand in `root`.
    pub(crate) fn new(root: &str, sources: &[(String, String)]) -> Self {
        let mut read = Self::default();
        let mut of_tests = BTreeSet::new();
        for (file, text) in sources {
            let Some(module) = module_of(root, file) else {
                continue;
            };
            let (source, modules) = without_tests(&tokens(text));
            for name in modules {
                of_tests.insert([&*module, &[name]].concat());
            }
            read.files.insert(module.clone(), file.clone());
            read.sources.insert(module, source);
        }
        let is_of_tests =
            |module: &Module| (0..=module.len()).any(|length| of_tests.contains(&module[..length]));
        read.files.retain(|module, _| !is_of_tests(module));
        read.sources.retain(|module, _| !is_of_tests(module));
        for (module, source) in std::mem::take(&mut read.sources) {
            read.add_inline_modules(&module, &source);
        }
        for (module, source) in &read.sources {
            read.uses.insert(module.clone(), uses(source));
        }
        read
    }

    /// Adds a module, and those that stand within it.
    fn add_inline_modules(&mut self, module: &Module, source: &[String]) {
        let mut own = Vec::new();
        let mut rest = source;
        while let [first, others @ ..] = rest {
            if let [keyword, name, brace, ..] = rest
                && keyword == "mod"
                && brace == "{"
            {
                let length = block_length(&rest[2..]);
                let inner = child(module, name);
                self.files.insert(inner.clone(), self.files[module].clone());
                self.add_inline_modules(&inner, &rest[3..2 + length]);
                rest = &rest[2 + length..];
                continue;
            }
            own.push(first.clone());
            rest = others;
        }
        self.sources.insert(module.clone(), own);
    }

    /// Lists the imports between files. A module that only offers what its child defines imports
    /// nothing.
    pub(crate) fn imports(&self) -> BTreeSet<Import> {
        let mut imports = BTreeSet::new();
        for (module, source) in &self.sources {
            let importer = &self.files[module];
            for binding in &self.uses[module] {
                let offers_child = binding.public && self.is_below(&binding.path, module);
                if !offers_child && let Some(imported) = self.resolve(&binding.path, module, 0) {
                    imports.insert(Import::new(importer, imported));
                }
            }
            for path in inline_paths(source) {
                if let Some(imported) = self.resolve(&path, module, 0) {
                    imports.insert(Import::new(importer, imported));
                }
            }
        }
        imports.retain(|import| import.importer != import.imported);
        imports
    }

    /// Lists the pairs of files that import each other.
    pub(crate) fn cycles(&self) -> Vec<(String, String)> {
        let imports = self.imports();
        let mut cycles = Vec::new();
        for Import { importer, imported } in &imports {
            if importer < imported && imports.contains(&Import::new(imported, importer)) {
                cycles.push((importer.clone(), imported.clone()));
            }
        }
        cycles
    }

    fn is_below(&self, path: &[String], module: &Module) -> bool {
        self.walk(path, module)
            .is_some_and(|(found, _)| found.len() > module.len() && found.starts_with(module))
    }

    /// The file that defines what `path` names within `module`; `None` where it is of another
    /// crate.
    fn resolve(&self, path: &[String], module: &Module, depth: usize) -> Option<&str> {
        let (found, rest) = self.walk(path, module)?;
        if let [name, ..] = rest
            && name != "*"
            && depth < DEPTH_MAX
            && let Some(binding) = self.uses[&found].iter().find(|bound| bound.name == *name)
            && let Some(file) = self.resolve(&binding.path, &found, depth + 1)
        {
            return Some(file);
        }
        Some(&self.files[&found])
    }

    /// Follows a path to its deepest module; returns that with the rest of the path.
    fn walk<'a>(&self, path: &'a [String], module: &Module) -> Option<(Module, &'a [String])> {
        let (mut found, mut rest) = match &*path[0] {
            "crate" => (Vec::new(), &path[1..]),
            "self" => (module.clone(), &path[1..]),
            "super" => (module.clone(), path),
            name if self.files.contains_key(&child(module, name)) => (module.clone(), path),
            _ => return None,
        };
        while let [first, others @ ..] = rest {
            if first == "super" {
                found.pop();
            } else if self.files.contains_key(&child(&found, first)) {
                found.push(first.clone());
            } else {
                break;
            }
            rest = others;
        }
        self.files.contains_key(&found).then_some((found, rest))
    }
}

impl Import {
    fn new(file: &str, target: &str) -> Self {
        Self {
            importer: file.to_owned(),
            imported: target.to_owned(),
        }
    }
}

fn child(module: &[String], name: &str) -> Module {
    [module, &[name.to_owned()]].concat()
}

/// The module that a file holds; `None` for a program's own root.
fn module_of(root: &str, file: &str) -> Option<Module> {
    let path = file.strip_prefix(root)?.trim_start_matches('/');
    match path.strip_suffix(".rs")? {
        "lib" => Some(Vec::new()),
        "main" => None,
        path => Some(path.split('/').map(str::to_owned).collect()),
    }
}

/// The length of a block, from its opening brace to its closing one.
fn block_length(tokens: &[String]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match &**token {
            "{" => depth += 1,
            "}" if depth == 1 => return at + 1,
            "}" => depth -= 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The names that the `use` statements of a source bind.
fn uses(source: &[String]) -> Vec<Use> {
    let mut uses = Vec::new();
    for (at, token) in source.iter().enumerate() {
        let is_statement = token == "use" && source.get(at + 1).is_none_or(|next| next != "<");
        if is_statement {
            let end = source[at..].iter().position(|token| token == ";");
            let tree = &source[at + 1..at + end.unwrap_or(0).max(1)];
            let public = at > 0 && (source[at - 1] == "pub" || is_restricted(&source[..at]));
            add_tree(tree, &[], public, &mut uses);
        }
    }
    uses
}

/// Whether a visibility such as `pub(crate)` ends here.
fn is_restricted(before: &[String]) -> bool {
    let open = before.iter().rposition(|token| token == "(");
    before.last().is_some_and(|last| last == ")")
        && open.is_some_and(|open| open > 0 && before[open - 1] == "pub")
}

fn add_tree(tree: &[String], prefix: &[String], public: bool, uses: &mut Vec<Use>) {
    let Some(brace) = tree.iter().position(|token| token == "{") else {
        let mut path = prefix.to_vec();
        path.extend(tree.iter().filter(|token| *token != "::").cloned());
        let alias = path.iter().position(|token| token == "as");
        let name = path.last().cloned().unwrap_or_default();
        path.truncate(alias.unwrap_or(path.len()));
        // `a::{self}` binds `a`.
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = if name == "self" {
            path.last().cloned().unwrap_or_default()
        } else {
            name
        };
        if !path.is_empty() {
            uses.push(Use { path, name, public });
        }
        return;
    };
    let mut prefix = prefix.to_vec();
    prefix.extend(tree[..brace].iter().filter(|token| *token != "::").cloned());
    let mut depth = 0;
    let mut begin = brace + 1;
    for at in brace + 1..tree.len() {
        match &*tree[at] {
            "{" => depth += 1,
            "}" if depth > 0 => depth -= 1,
            "," | "}" if depth == 0 => {
                add_tree(&tree[begin..at], &prefix, public, uses);
                begin = at + 1;
            }
            _ => {}
        }
    }
}

/// The paths outside `use` statements that begin with `crate`, `super` or `self`.
fn inline_paths(source: &[String]) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let mut in_use = false;
    for at in 0..source.len() {
        in_use = match &*source[at] {
            "use" => source.get(at + 1).is_none_or(|next| next != "<"),
            ";" => false,
            _ => in_use,
        };
        let is_root = ["crate", "super", "self"].contains(&&*source[at]);
        let continues = at > 0 && source[at - 1] == "::";
        if in_use || !is_root || continues || source.get(at + 1).is_none_or(|next| next != "::") {
            continue;
        }
        let mut path = vec![source[at].clone()];
        let mut rest = &source[at + 1..];
        while let [colons, name, others @ ..] = rest
            && colons == "::"
            && name != "<"
        {
            path.push(name.clone());
            rest = others;
        }
        paths.push(path);
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sources: &[(&str, &str)], expected: &[(&str, &str)]) {
        let sources: Vec<_> = sources
            .iter()
            .map(|(file, text)| (format!("src/{file}"), (*text).to_owned()))
            .collect();
        let imports = Crate::new("src", &sources).imports();
        let expected: BTreeSet<_> = expected
            .iter()
            .map(|(importer, imported)| {
                Import::new(&format!("src/{importer}"), &format!("src/{imported}"))
            })
            .collect();
        assert_eq!(imports, expected);
    }

    #[test]
    fn a_use_is_an_import_of_the_file_that_defines_the_name() {
        let parent = "mod b; mod c; pub use b::Thing; pub(crate) use c::{Other as One, other::*};";
        check(
            &[
                ("lib.rs", "mod a; pub mod d;"),
                ("a.rs", parent),
                ("a/b.rs", "pub struct Thing;"),
                ("a/c.rs", "use super::Thing; pub struct Other;"),
                (
                    "d.rs",
                    "use crate::a::{One, Thing}; use std::fmt; use hyper::a;",
                ),
            ],
            &[("a/c.rs", "a/b.rs"), ("d.rs", "a/b.rs"), ("d.rs", "a/c.rs")],
        );
    }

    #[test]
    fn a_path_within_code_is_an_import() {
        check(
            &[
                ("lib.rs", "mod a; mod b;"),
                (
                    "a.rs",
                    "pub(in crate::b) fn x() { crate::b::y(self::z::Z) } mod z { use super::x; }",
                ),
                ("b.rs", "fn y() -> super::a::X<{ 1 }> {}"),
            ],
            &[("a.rs", "b.rs"), ("b.rs", "a.rs")],
        );
    }

    #[test]
    fn what_only_tests_compile_imports_nothing() {
        check(
            &[
                ("lib.rs", "mod a; #[cfg(test)] mod b;"),
                (
                    "a.rs",
                    "#[cfg(test)] use crate::b::B; #[cfg(test)] mod t { use crate::b::B; }",
                ),
                ("b.rs", "use crate::a;"),
            ],
            &[],
        );
    }
}
