//! Folders of images by class, as ImageNet's (ILSVRC 2012) are arranged for training: `train/CLASS/*.JPEG` and
//! `val/CLASS/*.JPEG`. Only the names are read here; [`picture`](super::picture) decodes.

use super::DataError;
use super::files;
use std::path::{Path, PathBuf};

const EXTENSIONS: [&str; 3] = ["jpeg", "jpg", "png"];

/// Where the images are, and of which class each is.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    /// The classes, in order of their names.
    pub classes: Vec<String>,
    /// The images to train on.
    pub train: Vec<Entry>,
    /// The images held out.
    pub test: Vec<Entry>,
}

/// An image in a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it is.
    pub path: PathBuf,
    /// Its class, from 0.
    pub label: usize,
}

/// Lists the images below a folder that has `train` and `val`.
pub fn list(root: &Path) -> Result<Listing, DataError> {
    files::is_folder(root, "`train` and `val`")?;
    let folders = ["train", "val"].map(|split| {
        let folder = root.join(split);
        if folder.is_dir() {
            return Ok(folder);
        }
        Err(DataError::Missing {
            folder: files::name(root),
            names: vec![split.to_owned()],
            advice: "arrange the images as `train/CLASS/*.JPEG` and `val/CLASS/*.JPEG`".to_owned(),
        })
    });
    let [train_folder, test_folder] = folders;
    let (train_folder, test_folder) = (train_folder?, test_folder?);
    let classes = classes(&train_folder)?;
    let held_out = self::classes(&test_folder)?;
    if let Some(stranger) = held_out.iter().find(|class| !classes.contains(class)) {
        return Err(DataError::Differ {
            first_file: files::name(&train_folder),
            first: format!("{} classes", classes.len()),
            second_file: files::name(&test_folder),
            second: format!("the class `{stranger}`, which is none of them"),
        });
    }
    let train = images(&train_folder, &classes)?;
    let test = images(&test_folder, &classes)?;
    Ok(Listing { classes, train, test })
}

/// The names of the folders in a folder.
fn classes(folder: &Path) -> Result<Vec<String>, DataError> {
    let entries = files::entries(folder, "a folder a class")?;
    let names: Vec<String> = entries
        .iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
        .collect();
    if names.is_empty() && entries.iter().any(|path| is_image(path)) {
        return Err(DataError::Foreign {
            file: files::name(folder),
            problem: "it has images side by side, whose classes their names do not tell".to_owned(),
            advice: "move each into a folder of its class's name".to_owned(),
        });
    }
    if names.is_empty() {
        return Err(DataError::Empty { file: files::name(folder), what: "folder of a class" });
    }
    Ok(names)
}

fn images(folder: &Path, classes: &[String]) -> Result<Vec<Entry>, DataError> {
    let mut all = Vec::new();
    for (label, class) in classes.iter().enumerate() {
        let folder = folder.join(class);
        let before = all.len();
        let found = files::entries(&folder, "images")?;
        all.extend(found.into_iter().filter(|path| is_image(path)).map(|path| Entry { path, label }));
        if all.len() == before {
            return Err(DataError::Empty {
                file: files::name(&folder),
                what: "images (.JPEG, .jpg or .png)",
            });
        }
    }
    Ok(all)
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}
