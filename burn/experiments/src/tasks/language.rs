//! A text and a language model: section 5.3 of the paper.

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::DataError;
use crate::data::corpus::Corpus;
use crate::data::stream::{Stream, Window};
use crate::models::lstm::{LanguageModel, LanguageModelConfig};
use crate::models::recurrent::State;
use crate::models::smoothing::cross_entropy;
use crate::run::record::Scores;
use crate::task::{Part, Task};

/// A text, a model, and how it is read.
pub struct LanguageTask {
    train: Stream,
    valid: Stream,
    test: Stream,
    model: LanguageModelConfig,
    settings: Settings,
    /// What the layers remember of the windows before.
    state: Vec<State>,
}

/// How a text is read.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Columns that are read side by side.
    pub batch: usize,
    /// Words of a column a step.
    pub length: usize,
    /// Activation regularisation (AWD-LSTM's `alpha`, 2).
    pub activation: f64,
    /// Temporal activation regularisation (AWD-LSTM's `beta`, 1).
    pub temporal: f64,
}

impl LanguageTask {
    /// Of a text, whose windows are all of one length, but for the last of an epoch.
    ///
    /// # Errors
    ///
    /// [`DataError::TooFew`] for a text that does not fill the columns.
    pub fn new(corpus: &Corpus, model: LanguageModelConfig, settings: Settings) -> Result<Self, DataError> {
        let stream = |text: &[u32]| Stream::new(text, settings.batch);
        let (train, valid, test) = (stream(&corpus.train)?, stream(&corpus.valid)?, stream(&corpus.test)?);
        Ok(Self { train, valid, test, model, settings, state: vec![] })
    }
}

fn tensors(window: &Window, device: &Device) -> (Tensor<2, Int>, Tensor<1, Int>) {
    let numbers = |words: &[u32]| words.iter().map(|&word| word as i32).collect::<Vec<_>>();
    let inputs = TensorData::new(numbers(&window.inputs), [window.length, window.batch]);
    let targets = TensorData::new(numbers(&window.targets), [window.length * window.batch]);
    (Tensor::from_data(inputs, device), Tensor::from_data(targets, device))
}

impl Task for LanguageTask {
    type Model = LanguageModel;

    fn epoch_steps(&self) -> u64 {
        (self.train.rows() - 1).div_ceil(self.settings.length.max(1)) as u64
    }

    fn model(&self, device: &Device) -> LanguageModel {
        self.model.init(device)
    }

    fn loss(&mut self, model: &LanguageModel, step: u64) -> Result<Tensor<1>, DataError> {
        let Settings { batch, length, activation, temporal } = self.settings;
        let within = (step % self.epoch_steps()) as usize;
        if within == 0 || self.state.is_empty() {
            self.state = model.state(batch);
        }
        let device = model.bias.device();
        let window = self.train.window(within * length.max(1), length.max(1));
        // There is one for each step of an epoch.
        let Some(window) = window else { return Ok(Tensor::zeros([1], &device)) };
        let (inputs, targets) = tensors(&window, &device);
        let output = model.forward(inputs, std::mem::take(&mut self.state));
        let regularisation = output.activation(activation) + output.temporal(temporal);
        self.state = output.state.into_iter().map(State::detach).collect();
        Ok(cross_entropy(output.logits, targets, 0.0, None) + regularisation)
    }

    fn evaluate(&self, model: &LanguageModel, part: Part) -> Result<Scores, DataError> {
        let stream = match part {
            Part::Valid => &self.valid,
            Part::Test => &self.test,
        };
        let device = model.bias.device();
        let (mut loss, mut count, mut state) = (0.0, 0, model.state(self.settings.batch));
        for window in stream.windows(self.settings.length) {
            let (inputs, targets) = tensors(&window, &device);
            let output = model.forward(inputs, state);
            state = output.state;
            let words = window.targets.len();
            loss += words as f64 * cross_entropy(output.logits, targets, 0.0, None).into_scalar::<f64>();
            count += words;
        }
        Ok(Scores { loss: loss / count.max(1) as f64, score: None })
    }

    fn memory(&self) -> Vec<TensorData> {
        let both = |state: &State| [state.hidden.to_data(), state.cell.to_data()];
        self.state.iter().flat_map(both).collect()
    }

    fn recall(&mut self, memory: Vec<TensorData>, device: &Device) {
        let mut tensors = memory.into_iter().map(|data| Tensor::from_data(data, device));
        self.state.clear();
        while let (Some(hidden), Some(cell)) = (tensors.next(), tensors.next()) {
            self.state.push(State { hidden, cell });
        }
    }
}
