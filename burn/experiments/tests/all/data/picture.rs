use super::{message, write};
use experiments::data::DataError;
use experiments::data::picture::{centre, decode};
use image::{ImageFormat, Rgb, RgbImage};
use std::io::Cursor;

/// Left half red, right half blue.
fn halves(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, _| if x < width / 2 { Rgb([255, 0, 0]) } else { Rgb([0, 0, 255]) })
}

fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).expect("memory");
    bytes.into_inner()
}

#[test]
fn either_kind_is_decoded_whatever_its_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = halves(48, 32);
    write(folder.path(), "a.JPEG", encoded(&image, ImageFormat::Png));
    assert_eq!(decode(&folder.path().join("a.JPEG")).expect("an image"), image);
    write(folder.path(), "b.JPEG", encoded(&image, ImageFormat::Jpeg));
    let decoded = decode(&folder.path().join("b.JPEG")).expect("an image");
    let far = |(a, b): (&u8, &u8)| a.abs_diff(*b) > 60;
    assert_eq!(decoded.dimensions(), (48, 32));
    assert!(decoded.as_raw().iter().zip(image.as_raw()).filter(|&pair| far(pair)).count() < 48 * 32 / 10);
}

#[test]
fn an_image_cut_anywhere_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, format) in [("a.png", ImageFormat::Png), ("b.JPEG", ImageFormat::Jpeg)] {
        let whole = encoded(&halves(48, 32), format);
        // What follows the data of a PNG holds none of it.
        let most = if format == ImageFormat::Png { whole.len() - 12 } else { whole.len() };
        for length in 0..most {
            write(folder.path(), name, &whole[..length]);
            message(decode(&folder.path().join(name)), name);
        }
    }
    let text = message(decode(&folder.path().join("b.JPEG")), "b.JPEG");
    assert!(text.contains("in the middle of the image"), "{text}");
}

#[test]
fn foreign_files_are_told() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "a.JPEG", "<html>not found</html>");
    let problem = decode(&folder.path().join("a.JPEG")).expect_err("an error");
    assert!(matches!(&problem, DataError::Foreign { .. }), "{problem}");
    assert!(problem.to_string().contains("web page"), "{problem}");
}

#[test]
fn the_middle_is_cut_out() {
    let pixels = centre(&halves(64, 32), 16, 8);
    assert_eq!(pixels.len(), 3 * 8 * 8);
    let at = |channel: usize, x: usize| pixels[channel * 64 + 3 * 8 + x];
    assert_eq!((at(0, 0), at(2, 0), at(0, 7), at(2, 7)), (255, 0, 0, 255));
}
