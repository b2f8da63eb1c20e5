//! What can be wrong with a data set.

/// What can be wrong with a data set.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The folder is not there, or is none.
    #[error("`{folder}` is not a folder ({reason}); give the folder that has {wanted}")]
    NoFolder {
        /// The folder.
        folder: String,
        /// What the system said.
        reason: String,
        /// What is looked for in it.
        wanted: String,
    },
    /// A file or folder is missing.
    #[error("`{folder}` has no {}; {advice}", list(.names))]
    Missing {
        /// The folder.
        folder: String,
        /// The names that were looked for, any of which would do.
        names: Vec<String>,
        /// What to do.
        advice: String,
    },
    /// The system could not read a file, or its compression is broken.
    #[error("`{file}` cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A file is of another kind.
    #[error("`{file}` is another kind of file: {problem}; {advice}")]
    Foreign {
        /// The file.
        file: String,
        /// What was found, and what was expected.
        problem: String,
        /// What to do.
        advice: String,
    },
    /// A file ends early.
    #[error("`{file}` is cut short: {expected} {unit} were expected, and it holds {found}; fetch it again")]
    Truncated {
        /// The file.
        file: String,
        /// How many were expected.
        expected: u64,
        /// How many are there.
        found: u64,
        /// Of what.
        unit: &'static str,
    },
    /// A file ends in the middle of something.
    #[error("`{file}` is cut short: it ends in the middle of {what}; fetch it again")]
    Unfinished {
        /// The file.
        file: String,
        /// What is not finished.
        what: String,
    },
    /// A file goes on after its data.
    #[error(
        "`{file}` goes on after the {expected} {unit} that were expected, and holds {found}; it is another \
         file, or two in one"
    )]
    Trailing {
        /// The file.
        file: String,
        /// How many were expected.
        expected: u64,
        /// How many are there.
        found: u64,
        /// Of what.
        unit: &'static str,
    },
    /// A file or folder holds nothing to learn from.
    #[error("`{file}` holds no {what}")]
    Empty {
        /// The file or folder.
        file: String,
        /// What is looked for in it.
        what: &'static str,
    },
    /// A label is not a class.
    #[error("`{file}` gives image {index} (counted from 0) the label {found}; labels are 0 to {}", classes - 1)]
    Label {
        /// The file.
        file: String,
        /// The image.
        index: usize,
        /// Its label.
        found: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// Two files do not belong together.
    #[error("`{first_file}` holds {first}, and `{second_file}` {second}: they do not belong together")]
    Differ {
        /// A file.
        first_file: String,
        /// What it holds.
        first: String,
        /// Another one.
        second_file: String,
        /// What that holds.
        second: String,
    },
    /// The data do not suffice for what is asked.
    #[error("{wanted} needs at least {least} {unit}, and there are {found}; {advice}")]
    TooFew {
        /// What is asked for.
        wanted: String,
        /// How many that takes.
        least: usize,
        /// How many there are.
        found: usize,
        /// Of what.
        unit: &'static str,
        /// What to do.
        advice: &'static str,
    },
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}
