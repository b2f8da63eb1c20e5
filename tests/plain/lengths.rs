//! No function of the library is longer than a screen.

use std::path::Path;

use crate::arrows::rust_files;

const MOST: usize = 60;

#[test]
fn functions_fit_a_screen() {
    let mut long = Vec::new();
    let mut functions = 0;
    for path in rust_files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(&path).unwrap();
        for (name, lines) in lengths(&text) {
            functions += 1;
            if lines > MOST {
                long.push(format!("{}: `{name}` has {lines} lines", path.display()));
            }
        }
    }
    assert!(functions > 800, "{functions} functions were found");
    assert!(long.is_empty(), "{MOST} lines are the most: {long:#?}");
}

/// The functions of a text that rustfmt has laid out, and how many lines each has.
fn lengths(text: &str) -> Vec<(&str, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let length = |index: usize| {
        let line = lines[index];
        let code = line.trim_start();
        let before = &code[..code.find("fn ")?];
        let is_head = before.split_whitespace().all(|word| {
            word.starts_with("pub") || ["in", "crate)", "super)", "const", "async", "unsafe"].contains(&word)
        });
        let name = code[before.len() + 3..].split(['(', '<']).next()?;
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let opens = lines[index..].iter().position(|line| line.ends_with('{') || line.ends_with(';'))?;
        if !is_head || !lines[index + opens].ends_with('{') {
            return None;
        }
        Some((name, lines[index..].iter().position(|line| **line == end)? + 1))
    };
    (0..lines.len()).filter_map(length).collect()
}

#[test]
fn lengths_are_counted() {
    let text = "
pub(crate) const fn one() {
    // fn two() {
}

impl X {
    async fn three(
        a: u32,
    ) {
        a
    }

    fn declared(&self);
}
";
    assert_eq!(lengths(text), [("one", 3), ("three", 5)]);
}
