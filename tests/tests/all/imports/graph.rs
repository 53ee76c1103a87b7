//! The modules of a crate, what each uses of the others, and the circles among them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path as FilePath, PathBuf},
};

use super::source::{self, Path};

/// A module as the segments below `crate`. The root has no segments.
type Module = Vec<String>;

/// How many re-exports a name may pass through.
const MAX_REEXPORTS: usize = 10;

/// The modules of one crate.
#[derive(Debug, Default)]
pub(super) struct Crate {
    modules: BTreeMap<Module, Vec<Path>>,
}

impl Crate {
    /// Reads every source file below `folder`, which has the crate's root. Files of tests are left out.
    pub(super) fn read(folder: &FilePath) -> io::Result<Self> {
        let mut this = Self::default();
        let mut open: Vec<PathBuf> = vec![folder.to_owned()];
        while let Some(next) = open.pop() {
            for entry in fs::read_dir(next)? {
                let path = entry?.path();
                let name = path.file_stem().unwrap_or_default().to_owned();
                if name == "tests" {
                    continue;
                }
                if path.is_dir() {
                    open.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let inside = path.strip_prefix(folder).map_err(io::Error::other)?;
                    if inside == FilePath::new("main.rs") && folder.join("lib.rs").exists() {
                        continue;
                    }
                    let paths = source::paths(&fs::read_to_string(&path)?);
                    this.modules.insert(module(inside), paths);
                }
            }
        }
        Ok(this)
    }

    pub(super) fn has_root(&self) -> bool {
        self.modules.contains_key(&Module::new())
    }

    /// A crate of modules that are given with their sources.
    #[cfg(test)]
    pub(super) fn of(sources: &[(&str, &str)]) -> Self {
        let modules = sources.iter().map(|(name, text)| {
            let name = name.split("::").filter(|segment| !segment.is_empty());
            (name.map(str::to_owned).collect(), source::paths(text))
        });
        Self {
            modules: modules.collect(),
        }
    }

    /// Circles among the modules within one module, each taken with everything in it: sets each of which uses the others. A
    /// module and what is in it are one thing, so they may use each other. To pass something on with `pub use` is not to use
    /// it.
    pub(super) fn circles(&self) -> Vec<Vec<String>> {
        let edges = self.edges();
        let mut found = Vec::new();
        for folder in self.modules.keys() {
            let part = |module: &Module| {
                module
                    .starts_with(folder)
                    .then(|| module.get(..=folder.len()).map(shown))
                    .flatten()
            };
            let within = edges
                .iter()
                .filter_map(|(from, to)| Some((part(from)?, part(to)?)));
            found.extend(circles(&within.filter(|(from, to)| from != to).collect()));
        }
        found
    }

    /// The modules outside of the folder `name` that modules in it use. `None` if the folder does not exist.
    pub(super) fn imports_of(&self, name: &str) -> Option<Vec<String>> {
        let folder = [name.to_owned()];
        let is_inside = |module: &Module| module.starts_with(&folder);
        self.modules.keys().find(|module| is_inside(module))?;
        let edges = self.edges().into_iter();
        let outward = edges.filter(|(from, to)| is_inside(from) && !is_inside(to));
        Some(outward.map(|(_, to)| shown(&to)).collect())
    }

    /// What each module uses of another one.
    fn edges(&self) -> BTreeSet<(Module, Module)> {
        let mut edges = BTreeSet::new();
        for (module, paths) in &self.modules {
            for path in paths.iter().filter(|path| !path.is_reexport) {
                if let Some(used) = self.resolve(module, &path.segments, 0)
                    && used != *module
                {
                    edges.insert((module.clone(), used));
                }
            }
        }
        edges
    }

    /// The module that has what `segments` names in `module`; `None` for another crate's.
    fn resolve(&self, module: &Module, segments: &[String], depth: usize) -> Option<Module> {
        let (first, mut rest) = segments.split_first()?;
        let mut current = module.clone();
        match first.as_str() {
            "crate" => current.clear(),
            "self" => {}
            "super" => {
                current.pop()?;
                while let [next, after @ ..] = rest
                    && next == "super"
                {
                    current.pop()?;
                    rest = after;
                }
            }
            _ if self.child(module, first).is_some() || self.named(module, first).is_some() => {
                rest = segments;
            }
            _ => return None,
        }
        while let [name, after @ ..] = rest {
            if let Some(child) = self.child(&current, name) {
                current = child;
                rest = after;
                continue;
            }
            return match self.named(&current, name) {
                Some(path) if depth < MAX_REEXPORTS => {
                    let longer = [path, after].concat();
                    self.resolve(&current, &longer, depth + 1)
                }
                _ => Some(current),
            };
        }
        Some(current)
    }

    fn child(&self, module: &Module, name: &str) -> Option<Module> {
        let child = [module.as_slice(), &[name.to_owned()]].concat();
        self.modules.contains_key(&child).then_some(child)
    }

    /// What a `use` in `module` calls `name`.
    fn named(&self, module: &Module, name: &str) -> Option<&[String]> {
        let paths = self.modules.get(module)?;
        let mut named = paths
            .iter()
            .filter(|path| path.name.as_deref() == Some(name));
        let path = named.next()?;
        // `use a::a` would name itself.
        let is_itself = matches!(path.segments.as_slice(), [only] if only == name);
        (!is_itself).then_some(&path.segments)
    }
}

fn module(file: &FilePath) -> Module {
    let mut module: Module = file
        .with_extension("")
        .iter()
        .map(|segment| segment.to_string_lossy().into_owned())
        .collect();
    if module.last().is_some_and(|last| last == "mod") || is_root(&module) {
        module.pop();
    }
    module
}

fn is_root(module: &[String]) -> bool {
    matches!(module, [only] if only == "lib" || only == "main")
}

fn shown(module: &[String]) -> String {
    let mut shown = "crate".to_owned();
    for segment in module {
        shown.push_str("::");
        shown.push_str(segment);
    }
    shown
}

/// The sets of nodes that reach each other.
pub(super) fn circles(edges: &BTreeSet<(String, String)>) -> Vec<Vec<String>> {
    let nodes: BTreeSet<&str> = edges.iter().map(|(from, _)| from.as_str()).collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> = nodes
        .iter()
        .map(|node| (*node, reached_from(node, edges)))
        .collect();
    let leads = |from: &str, to: &str| reached.get(from).is_some_and(|set| set.contains(to));
    let mut found = BTreeSet::new();
    for node in nodes.iter().filter(|node| leads(node, node)) {
        let circle = nodes
            .iter()
            .filter(|other| leads(node, other) && leads(other, node));
        found.insert(circle.map(|other| (*other).to_owned()).collect::<Vec<_>>());
    }
    found.into_iter().collect()
}

fn reached_from<'a>(node: &str, edges: &'a BTreeSet<(String, String)>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![node];
    while let Some(node) = open.pop() {
        for (_, to) in edges.iter().filter(|(from, _)| from == node) {
            if reached.insert(to.as_str()) {
                open.push(to);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circle_among_files_is_found() {
        let with = |b: &str| {
            Crate::of(&[
                ("", "pub use self::a::A; mod a; mod b; mod c;"),
                ("a", "use crate::b::B; pub struct A;"),
                ("b", b),
                ("c", "use super::a; fn f() { a::g(); }"),
            ])
        };
        assert_eq!(with("pub struct B;").circles(), Vec::<Vec<String>>::new());
        let circle = [vec!["crate::a".to_owned(), "crate::b".to_owned()]];
        for b in [
            "use crate::a::A;",
            "use crate::A;",
            "use super::{A as Other};",
            "fn f() { crate::a::g(); }",
        ] {
            assert_eq!(with(b).circles(), circle, "{b}");
        }
        let around = with("use crate::c;").circles();
        assert_eq!(around, [["crate::a", "crate::b", "crate::c"]]);
    }

    #[test]
    fn a_circle_among_folders_is_found_where_its_files_have_none() {
        let folders = Crate::of(&[
            ("", ""),
            ("a", ""),
            ("a::one", "use crate::b::one::X;"),
            ("a::two", ""),
            ("b", ""),
            ("b::one", ""),
            ("b::two", "use crate::a::two::Y;"),
        ]);
        assert_eq!(folders.circles(), [["crate::a", "crate::b"]]);
    }

    #[test]
    fn what_a_folder_imports_is_found_behind_re_exports() {
        let with = |one: &str| {
            let sources = [
                ("", "pub use self::a::two::X; pub use b::Y; mod a; mod b;"),
                ("a", "pub mod one; pub mod two;"),
                ("a::one", one),
                ("a::two", "pub struct X;"),
                ("b", "pub struct Y;"),
            ];
            Crate::of(&sources).imports_of("a")
        };
        assert_eq!(with("use crate::X; use super::two;"), Some(vec![]));
        assert_eq!(with("use crate::Y;"), Some(vec!["crate::b".to_owned()]));
        assert_eq!(Crate::of(&[("", "")]).imports_of("a"), None);
    }

    #[test]
    fn to_pass_on_is_not_to_use_and_tests_do_not_count() {
        let crate_ = Crate::of(&[
            ("", "pub use a::A;"),
            ("a", "pub(crate) use self::b::B; use std::fmt;"),
            (
                "a::b",
                "use super::C; use other::D; #[cfg(test)] mod tests { use super::super::E; }",
            ),
        ]);
        assert!(crate_.circles().is_empty());
    }
}
