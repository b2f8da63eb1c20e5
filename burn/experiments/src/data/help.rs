//! LibreOffice's help in two languages, which Debian packages (`libreoffice-help-en-us`, `libreoffice-help-de`, and
//! more): the same pages, whose paragraphs have the same ids. Freely available pairs to train a translator on.

use super::DataError;
use super::files;
use super::html;
use super::pairs::Pair;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Below a language's folder.
const PAGES: &str = "text";

/// Pairs by page and paragraph id, in order of the pages' names. The folders are `.../help/en-US` and the like.
/// Paragraphs that are the same in both (names, code) are left out, and so are pairs that came before.
pub fn pairs(source: &Path, target: &Path) -> Result<Vec<Pair>, DataError> {
    let mut pairs = Vec::new();
    let mut seen = HashSet::new();
    let mut shared = 0;
    for page in pages(source)? {
        let other = target.join(&page);
        // Packages of two versions differ by some pages.
        if !other.is_file() {
            continue;
        }
        shared += 1;
        let translations: HashMap<String, String> = read(&other)?.into_iter().collect();
        for (id, source) in read(&source.join(&page))? {
            let Some(target) = translations.get(&id) else { continue };
            let is_text = !source.is_empty() && !target.is_empty() && source != *target;
            if is_text && seen.insert((source.clone(), target.clone())) {
                pairs.push(Pair { source, target: target.clone() });
            }
        }
    }
    match shared {
        0 => Err(DataError::Missing {
            folder: files::name(target),
            names: vec![format!("{PAGES}/**/*.html")],
            advice: format!("give the folder of a language with the pages of `{}`", files::name(source)),
        }),
        _ => Ok(pairs),
    }
}

fn read(path: &Path) -> Result<Vec<(String, String)>, DataError> {
    let page = files::text(path)?;
    html::paragraphs(&page).map_err(|what| DataError::Unfinished { file: files::name(path), what })
}

/// The pages below a language's folder, relative to it, in order.
fn pages(root: &Path) -> Result<Vec<PathBuf>, DataError> {
    files::is_folder(root, "`text`, with a language's pages")?;
    let mut pages = Vec::new();
    let mut folders = vec![root.join(PAGES)];
    while let Some(folder) = folders.pop() {
        for path in files::entries(&folder, "a language's pages")? {
            let metadata = fs::metadata(&path).map_err(|problem| files::unreadable(&path, &problem))?;
            if metadata.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "html") {
                pages.extend(path.strip_prefix(root).ok().map(Path::to_owned));
            }
        }
    }
    if pages.is_empty() {
        return Err(DataError::Empty { file: files::name(&root.join(PAGES)), what: "pages (.html)" });
    }
    pages.sort();
    Ok(pages)
}
