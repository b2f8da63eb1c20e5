//! The files of a crate depend on each other in one direction, and few of them name wgpu.
//!
//! Read from the sources, token by token: every path that begins with `crate`, `super`, `self` or a module of the file
//! leads from the file that has it to the file whose item it names, through re-exports, which are no dependencies
//! themselves. Tests within a file do not count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// Files and folders of the library that name `wgpu`: the device and what stands above it.
const NAME_WGPU: &[&str] = &["gpu/", "lib.rs", "optimizer/autotune.rs", "optimizer/on_wgpu.rs"];

/// The modules of the library, from the bottom up: each depends on those before it alone.
const LAYERS: &[&str] = &[
    "error",
    "rules",
    "config",
    "layout",
    "kernels",
    "plan",
    "twin",
    "analysis",
    "engine",
    "gpu",
    "foreign",
    "optimizer",
    "snapshot",
    "checkpoint",
    "lib",
];

#[test]
fn the_library_has_no_circle() {
    let found = Sources::read("src").in_circles();
    only(&found, &[], "is in a circle of files that depend on each other", "no list");
}

#[test]
fn the_librarys_layers_depend_downwards() {
    let sources = Sources::read("src");
    let layer = |file: &str| {
        let module = file.split(['/', '.']).next().unwrap();
        let place = LAYERS.iter().position(|layer| *layer == module);
        place.unwrap_or_else(|| panic!("{file} is in none of LAYERS"))
    };
    let mut told = String::new();
    for (module, file) in &sources.files {
        // The root only re-exports.
        let others = sources.arrows(module, file).into_iter().filter(|other| *other != "lib.rs");
        for other in others.filter(|other| layer(other) > layer(&file.name)) {
            writeln!(told, "{} depends on {other}, which is above it", file.name).unwrap();
        }
    }
    assert!(told.is_empty(), "\n{told}");
}

#[test]
fn the_tools_have_no_circle() {
    for root in ["xtask/src", "web/tools/src"] {
        let found = Sources::read(root).in_circles();
        only(&found, &[], "is in a circle of files that depend on each other", "no list");
    }
}

#[test]
fn wgpu_is_named_in_few_files() {
    let found = Sources::read("src").naming("wgpu");
    only(&found, NAME_WGPU, "names wgpu", "NAME_WGPU");
}

/// Checks what was found against a list that only shrinks. What ends in `/` is a folder.
#[track_caller]
fn only(found: &[Finding], list: &[&str], what: &str, name: &str) {
    let listed = |file: &str| {
        list.iter().any(|entry| file == *entry || (entry.ends_with('/') && file.starts_with(entry)))
    };
    let mut told = String::new();
    for Finding { file, why } in found.iter().filter(|finding| !listed(&finding.file)) {
        writeln!(told, "{file} {what}: {why}").unwrap();
    }
    let used = |entry: &str| {
        found
            .iter()
            .any(|Finding { file, .. }| file == entry || (entry.ends_with('/') && file.starts_with(entry)))
    };
    for entry in list.iter().filter(|entry| !used(entry)) {
        writeln!(told, "{entry} no longer {what}: strike it off {name}").unwrap();
    }
    assert!(told.is_empty(), "\n{told}");
}

/// A file, and why it was found.
struct Finding {
    file: String,
    why: String,
}

type Module = Vec<String>;

/// The files of a crate.
struct Sources {
    files: BTreeMap<Module, File>,
}

/// What a file says.
#[derive(Default)]
struct File {
    name: String,
    /// Modules that it declares, in files of their own or within it.
    children: BTreeSet<String>,
    /// Paths that it names, from the root of the crate.
    paths: Vec<Module>,
    /// What it re-exports, by the name that it has here.
    exports: BTreeMap<String, Module>,
    /// Modules of which it re-exports everything.
    globs: Vec<Module>,
    /// Every identifier, in its tests, too.
    names: BTreeSet<String>,
}

impl Sources {
    /// Reads the crate in a folder of the workspace.
    fn read(folder: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut files = BTreeMap::new();
        for path in rust_files(&root) {
            let inside = path.strip_prefix(&root).unwrap().with_extension("");
            let mut module: Module = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            let last = module.last().unwrap().as_str();
            if last == "mod" || (module.len() == 1 && ["lib", "main"].contains(&last)) {
                module.pop();
            }
            let text = std::fs::read_to_string(&path).unwrap();
            let tokens: TokenStream =
                text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
            files.insert(module.clone(), File::parse(name, &module, tokens));
        }
        assert!(files.len() > 1, "{} has sources", root.display());
        Self { files }
    }

    /// The files that have this identifier.
    fn naming(&self, name: &str) -> Vec<Finding> {
        let files = self.files.values().filter(|file| file.names.contains(name));
        files.map(|file| Finding { file: file.name.clone(), why: format!("`{name}`") }).collect()
    }

    /// The files that depend on themselves through others.
    fn in_circles(&self) -> Vec<Finding> {
        let arrows: BTreeMap<&str, BTreeSet<&str>> =
            self.files.iter().map(|(module, file)| (file.name.as_str(), self.arrows(module, file))).collect();
        let finding = |file: &&str| {
            let way = way(&arrows, file)?;
            Some(Finding { file: (*file).to_owned(), why: way.join(" -> ") })
        };
        arrows.keys().filter_map(finding).collect()
    }

    /// The other files whose items a file names.
    fn arrows(&self, module: &Module, file: &File) -> BTreeSet<&str> {
        let files = file.paths.iter().filter_map(|path| self.home(path, 0));
        files.filter(|home| *home != module).map(|home| self.files[home].name.as_str()).collect()
    }

    /// The module whose file has what a path names.
    fn home(&self, path: &[String], depth: usize) -> Option<&Module> {
        assert!(depth < 100, "{} is re-exported in a circle", path.join("::"));
        let known = (0..=path.len()).rev().find(|len| self.files.contains_key(&path[..*len]))?;
        let (module, file) = self.files.get_key_value(&path[..known])?;
        let Some(item) = path.get(known) else { return Some(module) };
        if let Some(target) = file.exports.get(item) {
            let target = [target, &path[known + 1..]].concat();
            // What another crate has is nobody's.
            return self.home(&target, depth + 1);
        }
        let all = file.globs.iter().filter_map(|glob| {
            let target = [glob.as_slice(), &path[known..]].concat();
            let home = self.home(&target, depth + 1)?;
            self.files[home].names.contains(item).then_some(home)
        });
        all.into_iter().next().or(Some(module))
    }
}

/// The shortest way from a file back to it.
fn way<'a>(arrows: &BTreeMap<&'a str, BTreeSet<&'a str>>, start: &'a str) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in &arrows[way.last()?] {
                let longer_way = [&way[..], &[*next]].concat();
                if *next == start {
                    return Some(longer_way);
                }
                if seen.insert(*next) {
                    longer.push(longer_way);
                }
            }
        }
        ways = longer;
    }
    None
}

/// All Rust files below a folder.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    let files = paths.flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] });
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

impl File {
    fn parse(name: String, module: &Module, tokens: TokenStream) -> Self {
        let mut file = Self { name, ..Self::default() };
        let tokens: Vec<_> = tokens.into_iter().collect();
        file.children = tokens.windows(2).filter_map(declared).collect();
        file.read(module, &tokens);
        file
    }

    /// Reads tokens in a module, which may lie within the file.
    fn read(&mut self, module: &Module, tokens: &[TokenTree]) {
        let mut at = 0;
        while at < tokens.len() {
            let rest = &tokens[at..];
            at += match rest {
                [TokenTree::Punct(hash), TokenTree::Group(attribute), ..]
                    if hash.as_char() == '#' && is_test(attribute.stream()) =>
                {
                    2 + item(&rest[2..])
                }
                [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Group(body), ..]
                    if word == "mod" =>
                {
                    let inner = [module.as_slice(), &[name.to_string()]].concat();
                    self.read(&inner, &body.stream().into_iter().collect::<Vec<_>>());
                    3
                }
                [TokenTree::Ident(word), ..] if word == "use" => {
                    let len = rest.iter().position(|token| is_punct(token, ';')).unwrap_or(rest.len());
                    let exported = at > 0 && is_visibility(&tokens[at - 1]);
                    self.import(module, &[], &rest[1..len], exported);
                    len
                }
                [TokenTree::Ident(word), ..] => {
                    self.names.insert(word.to_string());
                    let begins =
                        at == 0 || !(is_punct(&tokens[at - 1], ':') || is_punct(&tokens[at - 1], '.'));
                    let (path, len) = path(rest);
                    if begins && path.len() > 1 {
                        self.names.extend(path.iter().cloned());
                        self.paths.extend(self.absolute(module, &path));
                    }
                    if begins { len } else { 1 }
                }
                [TokenTree::Group(group), ..] => {
                    self.read(module, &group.stream().into_iter().collect::<Vec<_>>());
                    1
                }
                _ => 1,
            };
        }
    }

    /// Reads what follows `use`, after the segments before it.
    fn import(&mut self, module: &Module, before: &[String], tokens: &[TokenTree], exported: bool) {
        for tree in tokens.split(|token| is_punct(token, ',')) {
            let (segments, len) = path(tree);
            self.names.extend(segments.iter().cloned());
            let mut segments = [before, &segments].concat();
            match &tree[len..] {
                [.., TokenTree::Group(group)] if group.delimiter() == Delimiter::Brace => {
                    let inner: Vec<_> = group.stream().into_iter().collect();
                    self.import(module, &segments, &inner, exported);
                }
                rest => {
                    if segments.last().is_some_and(|last| last == "self") && segments.len() > 1 {
                        segments.pop();
                    }
                    let Some(target) = self.absolute(module, &segments) else { continue };
                    let is_glob = rest.last().is_some_and(|token| is_punct(token, '*'));
                    let name = match rest.last() {
                        Some(TokenTree::Ident(other)) => other.to_string(),
                        _ => segments.last().cloned().unwrap_or_default(),
                    };
                    match (exported, is_glob) {
                        (true, true) => self.globs.push(target),
                        (true, false) => drop(self.exports.insert(name, target)),
                        (false, _) => self.paths.push(target),
                    }
                }
            }
        }
    }

    /// A path from the root of the crate; none where it leads to another crate or begins with an item.
    fn absolute(&self, module: &Module, path: &[String]) -> Option<Module> {
        let mut base = module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => {
                base.clear();
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    base.pop();
                    rest = &rest[1..];
                }
            }
            first if self.children.contains(first) => {}
            _ => return None,
        }
        Some([base.as_slice(), rest].concat())
    }
}

/// The segments at the beginning, and the number of tokens that they are.
fn path(tokens: &[TokenTree]) -> (Vec<String>, usize) {
    let mut segments = Vec::new();
    let mut at = 0;
    while let Some(TokenTree::Ident(segment)) = tokens.get(at) {
        segments.push(plain(segment));
        at += 1;
        match tokens.get(at..at + 2) {
            Some([first, second]) if is_punct(first, ':') && is_punct(second, ':') => at += 2,
            _ => break,
        }
    }
    (segments, at)
}

fn plain(ident: &Ident) -> String {
    ident.to_string().trim_start_matches("r#").to_owned()
}

/// The name of a module that is declared here.
fn declared(pair: &[TokenTree]) -> Option<String> {
    match pair {
        [TokenTree::Ident(word), TokenTree::Ident(name)] if word == "mod" => Some(plain(name)),
        _ => None,
    }
}

/// The tokens up to the end of an item.
fn item(tokens: &[TokenTree]) -> usize {
    let ends = |token: &TokenTree| {
        is_punct(token, ';')
            || matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace)
    };
    tokens.iter().position(ends).map_or(tokens.len(), |at| at + 1)
}

fn is_test(attribute: TokenStream) -> bool {
    let text: String = attribute.to_string().split_whitespace().collect();
    text == "cfg(test)"
}

/// `pub`, or what restricts it.
fn is_visibility(token: &TokenTree) -> bool {
    match token {
        TokenTree::Ident(word) => word == "pub",
        TokenTree::Group(group) => group.delimiter() == Delimiter::Parenthesis,
        _ => false,
    }
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}
