//! scikit-learn's breast-cancer data; `data/README.md` says where they are from.

/// The file.
const FILE: &str = include_str!("../data/breast_cancer.csv");

/// A line of the file cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of breast_cancer.csv is not {} numbers", FEATURES)]
pub struct DataError {
    /// From 1.
    pub line: usize,
}

/// Features of a sample, with the one that is 1.
pub const FEATURES: usize = 31;

/// Samples to be told apart.
#[derive(Debug, Clone)]
pub struct Data {
    /// Each feature has mean 0 and variance 1, and the last is 1.
    pub features: Vec<[f64; FEATURES]>,
    /// 1 for a benign tumour, -1 for a malignant one.
    pub labels: Vec<f64>,
}

impl Data {
    /// Reads the file that comes with the program.
    pub fn read() -> Result<Self, DataError> {
        let mut data = Self { features: vec![], labels: vec![] };
        for (index, text) in FILE.lines().enumerate().skip(1) {
            let line = index + 1;
            let numbers: Option<Vec<f64>> = text.split(',').map(|value| value.trim().parse().ok()).collect();
            let mut sample: [f64; FEATURES] =
                numbers.and_then(|numbers| numbers.try_into().ok()).ok_or(DataError { line })?;
            let label = std::mem::replace(&mut sample[FEATURES - 1], 1.0);
            data.labels.push(2.0 * label - 1.0);
            data.features.push(sample);
        }
        data.standardise();
        Ok(data)
    }

    fn standardise(&mut self) {
        let count = self.features.len() as f64;
        for feature in 0..FEATURES - 1 {
            let mean = self.features.iter().map(|sample| sample[feature]).sum::<f64>() / count;
            let squares = self.features.iter().map(|sample| (sample[feature] - mean).powi(2));
            let deviation = (squares.sum::<f64>() / count).sqrt();
            for sample in &mut self.features {
                sample[feature] = (sample[feature] - mean) / deviation;
            }
        }
    }

    /// How many samples there are.
    pub fn samples(&self) -> usize {
        self.features.len()
    }
}
