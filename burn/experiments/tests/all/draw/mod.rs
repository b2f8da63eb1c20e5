//! Figures, tables and files of made records.

mod curves;
mod files;
mod grid;
mod group;
mod inner_loop;
pub mod made;
mod plane;
mod table;

use experiments::draw::Picture;

/// Both encodings, and that the PNG is as large as it says.
fn check(picture: &Picture) {
    let png = image::load_from_memory(&picture.png().unwrap()).unwrap();
    assert_eq!((png.width(), png.height()), picture.size());
    let svg = picture.svg().unwrap();
    let (width, height) = picture.size();
    assert!(svg.starts_with(&format!("<svg width=\"{width}\" height=\"{height}\"")), "{}", &svg[..80]);
    assert!(svg.trim_end().ends_with("</svg>"));
    for broken in ["NaN", "inf"] {
        assert!(!svg.contains(broken), "{broken}");
    }
}
