//! Decodes an image file and cuts it to size.

use super::DataError;
use super::files;
use image::imageops::{self, FilterType};
use std::io::Cursor;
use std::path::Path;

/// A JPEG file begins so.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];
const START_OF_SCAN: [u8; 2] = [0xff, 0xda];
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

/// Decodes a JPEG or PNG file, whatever its name says: some of ImageNet's are the other kind.
pub fn decode(path: &Path) -> Result<image::RgbImage, DataError> {
    let data = files::bytes(path)?;
    let unfinished = || DataError::Unfinished { file: files::name(path), what: "the image".to_owned() };
    if data.is_empty() {
        return Err(unfinished());
    }
    // The decoder paints grey what is missing of a JPEG; a file that has its end has had all of it. Thumbnails have
    // ends of their own, but come before the scans.
    if data.starts_with(&JPEG) && last(&data, END_OF_IMAGE) <= last(&data, START_OF_SCAN) {
        return Err(unfinished());
    }
    let reader = image::ImageReader::new(Cursor::new(&data));
    let reader = reader.with_guessed_format().map_err(|problem| files::unreadable(path, &problem))?;
    if reader.format().is_none() {
        let kind = files::kind_of(&data);
        return Err(DataError::Foreign {
            file: files::name(path),
            problem: kind
                .map_or("it begins as neither JPEG nor PNG".to_owned(), |(kind, _)| format!("it is {kind}")),
            advice: kind.map_or("give images of these kinds", |(_, advice)| advice).to_owned(),
        });
    }
    let decoded = reader
        .decode()
        .map_err(|problem| DataError::Unreadable { file: files::name(path), reason: problem.to_string() })?;
    Ok(decoded.into_rgb8())
}

/// The image with its shorter side of `shorter` pixels, and of that the square of `side` in the middle: values from 0
/// to 255, channel after channel. What ResNets are tested on is `shorter` 256 and `side` 224.
pub fn centre(image: &image::RgbImage, shorter: u32, side: u32) -> Vec<u8> {
    let (width, height) = image.dimensions();
    let scale = f64::from(shorter) / f64::from(width.min(height));
    let scaled = |length: u32| ((f64::from(length) * scale).round() as u32).max(side);
    let resized = imageops::resize(image, scaled(width), scaled(height), FilterType::Triangle);
    let (left, top) = ((resized.width() - side) / 2, (resized.height() - side) / 2);
    let cut = imageops::crop_imm(&resized, left, top, side, side).to_image();
    (0..3).flat_map(|channel| cut.pixels().map(move |pixel| pixel.0[channel])).collect()
}

/// Where the last such marker is. In a scan 0xff is followed by neither of the two.
fn last(data: &[u8], marker: [u8; 2]) -> Option<usize> {
    data.windows(2).rposition(|bytes| bytes == marker)
}
