//! Data of the packaged sets' formats, made up.

use std::fs;
use std::path::Path;

/// Images whose class is where they are bright.
pub fn images(folder: &Path) {
    for (split, count) in [("train", 2_600u32), ("t10k", 64)] {
        let labels: Vec<u8> = (0..count).map(|index| (index * 7 % 10) as u8).collect();
        let pixel = |index: u32, at: u32| {
            let is_bright = at / 28 / 3 == u32::from(labels[index as usize]);
            (index * 31 + at * 17) as u8 / 4 + if is_bright { 150 } else { 0 }
        };
        let pixels = (0..count).flat_map(|index| (0..784).map(move |at| (index, at)));
        let pixels: Vec<u8> = pixels.map(|(index, at)| pixel(index, at)).collect();
        let head = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
        let file = |name: &str, head: Vec<u8>, data: &[u8]| {
            fs::write(folder.join(name), [&head, data].concat()).expect("a file");
        };
        file(&format!("{split}-images-idx3-ubyte"), head(&[0x803, count, 28, 28]), &pixels);
        file(&format!("{split}-labels-idx1-ubyte"), head(&[0x801, count]), &labels);
    }
}

/// As many verses as the King James Bible has.
pub fn bible(file: &Path) {
    let words = ["light", "earth", "water", "day", "night", "seed"];
    let verse = |index: usize| {
        let words: Vec<_> = (0..2 + index % 3).map(|at| words[(index * (at + 1)) % words.len()]).collect();
        format!("Ge{}:{} {}.\n", index / 30 + 1, index % 30 + 1, words.join(" "))
    };
    fs::write(file, (0..31_102).map(verse).collect::<String>()).expect("a file");
}
