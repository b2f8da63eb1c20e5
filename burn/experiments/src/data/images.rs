//! Labelled images of one size.

/// Images for training, and others, held out, for testing.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSet {
    /// Channels, pixels from top to bottom, and from left to right.
    pub shape: [usize; 3],
    /// How many classes there are.
    pub classes: usize,
    /// The images to train on.
    pub train: Images,
    /// The images held out.
    pub test: Images,
}

/// Images and their labels.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Images {
    /// A byte a value, image after image, channel after channel, row after row.
    pub pixels: Vec<u8>,
    /// A label an image.
    pub labels: Vec<u8>,
}

impl Images {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

impl ImageSet {
    /// Mean and standard deviation of each channel over the images to train on, of values from 0 to 1: what inputs
    /// are normalised by.
    pub fn moments(&self) -> Vec<(f64, f64)> {
        let [channels, height, width] = self.shape;
        let (area, values) = (height * width, channels * height * width);
        let moments = |channel: usize| {
            let images = self.train.pixels.chunks_exact(values);
            let values = images.flat_map(|image| &image[channel * area..(channel + 1) * area]);
            let (mut count, mut sum, mut squares) = (0u64, 0u64, 0u64);
            for &value in values {
                count += 1;
                sum += u64::from(value);
                squares += u64::from(value).pow(2);
            }
            let mean = sum as f64 / count as f64;
            (mean / 255.0, (squares as f64 / count as f64 - mean * mean).max(0.0).sqrt() / 255.0)
        };
        (0..channels).map(moments).collect()
    }
}

impl ImageSet {
    /// The first so many images of each part, in half the height and width: means of two by two pixels.
    pub fn reduced(&self, train: usize, test: usize) -> Self {
        let [channels, height, width] = self.shape;
        let (half_height, half_width) = (height / 2, width / 2);
        let halved = |images: &Images, count: usize| {
            let count = count.min(images.len());
            let mut pixels = Vec::with_capacity(count * channels * half_height * half_width);
            for plane in images.pixels.chunks_exact(height * width).take(count * channels) {
                let pixel = |row: usize, column: usize| u16::from(plane[row * width + column]);
                for row in (0..2 * half_height).step_by(2) {
                    pixels.extend((0..2 * half_width).step_by(2).map(|column| {
                        let upper = pixel(row, column) + pixel(row, column + 1);
                        let lower = pixel(row + 1, column) + pixel(row + 1, column + 1);
                        ((upper + lower + 2) / 4) as u8
                    }));
                }
            }
            Images { pixels, labels: images.labels[..count].to_vec() }
        };
        let (train, test) = (halved(&self.train, train), halved(&self.test, test));
        Self { shape: [channels, half_height, half_width], classes: self.classes, train, test }
    }
}
