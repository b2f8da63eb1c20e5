//! Translation (section 5.4): a Transformer, sub-words of both languages together, smoothed labels, BLEU.

use burn::tensor::{Device, Tensor, s};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::bleu;
use crate::data::DataError;
use crate::data::pairs::Pair;
use crate::data::split::Parts;
use crate::data::subwords::{BEGIN_NUMBER, END_NUMBER, PAD_NUMBER, Subwords};
use crate::models::beam::Beam;
use crate::models::padded::padded;
use crate::models::smoothing::cross_entropy;
use crate::models::transformer::{Transformer, TransformerConfig};
use crate::run::record::Scores;
use crate::task::{Part, Task};

/// So many batches of a shuffled order are sorted by length at a time.
const POOL: usize = 50;
/// The length penalty's power, by Vaswani et al.
const PENALTY: f64 = 0.6;

/// How a translator is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The most sub-words of both languages together, with `<pad>`, `<unk>`, `<bos>` and `<eos>`.
    pub words: usize,
    /// The longest sentence, in sub-words: of every part, pairs with a longer side are left out.
    pub longest: usize,
    /// Sentences of a batch.
    pub batch: usize,
    /// Of the labels.
    pub smoothing: f64,
    /// How many hypotheses the search for a translation follows.
    pub beam: usize,
    /// The model. How many words it has, what fills up its sentences and how long they can be, the task sets.
    pub model: TransformerConfig,
    /// Of the batches' order.
    pub seed: u64,
}

/// A sentence and its translations.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The sentence.
    pub source: String,
    /// Its translation in the data.
    pub reference: String,
    /// Its translation by the model.
    pub hypothesis: String,
}

/// The task. An epoch goes through all pairs once, in batches of sentences of like length.
#[derive(Debug, Clone)]
pub struct Translation {
    settings: Settings,
    subwords: Subwords,
    train: Vec<Encoded>,
    valid: Kept,
    test: Kept,
    /// The epoch that was last asked for, and its batches: places in `train`.
    order: (u64, Vec<Vec<usize>>),
}

/// A pair, as numbers of sub-words.
#[derive(Debug, Clone, PartialEq)]
pub struct Encoded {
    /// The sentence, and what ends it.
    pub source: Vec<u32>,
    /// What a translation begins with, the translation, and what ends it.
    pub target: Vec<u32>,
}

/// The pairs of a part that are not too long.
#[derive(Debug, Clone, Default)]
struct Kept {
    pairs: Vec<Pair>,
    encoded: Vec<Encoded>,
}

impl Translation {
    /// Learns sub-words from the pairs to train on, and splits all parts into them.
    pub fn new(parts: Parts, settings: Settings) -> Result<Self, DataError> {
        let Parts { train, valid, test } = parts;
        let settings = Settings { batch: settings.batch.max(1), ..settings };
        let subwords =
            Subwords::learn(train.iter().flat_map(|pair| [&*pair.source, &*pair.target]), settings.words);
        let kept = |pairs, wanted, least| Kept::new(pairs, &subwords, settings.longest, wanted, least);
        let train = kept(train, "a batch to train on", settings.batch)?.encoded;
        let valid = kept(valid, "the part to choose settings by", 1)?;
        let test = kept(test, "the part that is held out", 1)?;
        let order = (0, batches(&train, settings.batch, settings.seed, 0));
        Ok(Self { settings, subwords, train, valid, test, order })
    }

    /// The sub-words.
    pub fn subwords(&self) -> &Subwords {
        &self.subwords
    }

    /// How many pairs there are to train on, to choose settings by, and held out, without those that are too long.
    pub fn sizes(&self) -> [usize; 3] {
        [self.train.len(), self.valid.pairs.len(), self.test.pairs.len()]
    }

    /// The pairs of a step.
    pub fn batch(&mut self, step: u64) -> Vec<&Encoded> {
        let (epoch, index) = (step / self.epoch_steps(), step % self.epoch_steps());
        if self.order.0 != epoch {
            self.order = (epoch, batches(&self.train, self.settings.batch, self.settings.seed, epoch));
        }
        self.order.1[index as usize].iter().map(|&place| &self.train[place]).collect()
    }

    /// A few translations from all over a part, by a model that is not trained.
    pub fn examples(&self, model: &Transformer, part: Part, count: usize) -> Vec<Example> {
        let part = self.part(part);
        let count = count.clamp(1, part.pairs.len());
        let places: Vec<usize> = (0..count).map(|index| index * part.pairs.len() / count).collect();
        let sources: Vec<&[u32]> = places.iter().map(|&place| &*part.encoded[place].source).collect();
        let hypotheses = self.translate(model, &sources);
        let example = |(place, hypothesis): (usize, String)| {
            let Pair { source, target: reference } = part.pairs[place].clone();
            Example { source, reference, hypothesis }
        };
        places.into_iter().zip(hypotheses).map(example).collect()
    }

    fn part(&self, part: Part) -> &Kept {
        match part {
            Part::Valid => &self.valid,
            Part::Test => &self.test,
        }
    }

    fn bleu(&self, model: &Transformer, part: &Kept) -> f64 {
        let sources: Vec<&[u32]> = part.encoded.iter().map(|pair| &*pair.source).collect();
        let hypotheses = self.translate(model, &sources);
        let references = part.pairs.iter().map(|pair| &*pair.target);
        bleu::corpus(hypotheses.iter().map(String::as_str).zip(references))
    }

    fn translate(&self, model: &Transformer, sources: &[&[u32]]) -> Vec<String> {
        let beam = Beam {
            width: self.settings.beam,
            penalty: PENALTY,
            longest: self.settings.longest,
            pad: PAD_NUMBER,
            begin: BEGIN_NUMBER,
            end: END_NUMBER,
        };
        let mut places: Vec<usize> = (0..sources.len()).collect();
        places.sort_by_key(|&place| sources[place].len());
        let mut hypotheses = vec![String::new(); sources.len()];
        for places in places.chunks(self.settings.batch) {
            let batch: Vec<&[u32]> = places.iter().map(|&place| sources[place]).collect();
            for (&place, words) in places.iter().zip(beam.translate(model, &batch)) {
                hypotheses[place] = self.subwords.decode(&words);
            }
        }
        hypotheses
    }
}

impl Task for Translation {
    type Model = Transformer;

    fn epoch_steps(&self) -> u64 {
        self.train.len().div_ceil(self.settings.batch) as u64
    }

    fn model(&self, device: &Device) -> Transformer {
        let words = self.subwords.vocabulary().len();
        // With what a sentence begins or ends with.
        let longest = self.settings.longest + 1;
        TransformerConfig { words, pad: PAD_NUMBER, longest, ..self.settings.model.clone() }.init(device)
    }

    fn loss(&mut self, model: &Transformer, step: u64) -> Result<Tensor<1>, DataError> {
        let smoothing = self.settings.smoothing;
        Ok(loss(model, &self.batch(step), smoothing))
    }

    /// The mean cross-entropy a sub-word, ends of sentences among them, with labels that are not smoothed; BLEU of
    /// what is held out.
    fn evaluate(&self, model: &Transformer, part: Part) -> Result<Scores, DataError> {
        let kept = self.part(part);
        let (mut sum, mut words) = (0.0, 0);
        let mut places: Vec<usize> = (0..kept.encoded.len()).collect();
        places.sort_by_key(|&place| kept.encoded[place].lengths());
        for places in places.chunks(self.settings.batch) {
            let batch: Vec<&Encoded> = places.iter().map(|&place| &kept.encoded[place]).collect();
            let predicted: usize = batch.iter().map(|pair| pair.target.len() - 1).sum();
            sum += predicted as f64 * loss(model, &batch, 0.0).into_scalar::<f64>();
            words += predicted;
        }
        let score = match part {
            Part::Valid => None,
            Part::Test => Some(self.bleu(model, kept)),
        };
        Ok(Scores { loss: sum / words as f64, score })
    }
}

impl Encoded {
    fn new(source: Vec<u32>, target: Vec<u32>) -> Self {
        let source = source.into_iter().chain([END_NUMBER]).collect();
        let target = [BEGIN_NUMBER].into_iter().chain(target).chain([END_NUMBER]).collect();
        Self { source, target }
    }

    fn lengths(&self) -> [usize; 2] {
        [self.target.len(), self.source.len()]
    }
}

impl Kept {
    fn new(
        pairs: Vec<Pair>,
        subwords: &Subwords,
        longest: usize,
        wanted: &str,
        least: usize,
    ) -> Result<Self, DataError> {
        let mut kept = Self::default();
        for pair in pairs {
            let [source, target] = [&pair.source, &pair.target].map(|text| subwords.encode(text));
            if source.len().max(target.len()) <= longest {
                kept.encoded.push(Encoded::new(source, target));
                kept.pairs.push(pair);
            }
        }
        match kept.pairs.len() {
            found if found < least => Err(DataError::TooFew {
                wanted: wanted.to_owned(),
                least,
                found,
                unit: "pairs of sentences that are not too long",
                advice: "give more pairs, or let them be longer",
            }),
            _ => Ok(kept),
        }
    }
}

/// An epoch's batches, by the seed and the epoch alone. The shuffled pairs are sorted by length a pool at a time, so
/// that little of a batch is filled up, and no epoch has the batches of another.
fn batches(pairs: &[Encoded], batch: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..16].copy_from_slice(&epoch.to_le_bytes());
    let mut random = StdRng::from_seed(bytes);
    let mut places: Vec<usize> = (0..pairs.len()).collect();
    places.shuffle(&mut random);
    for pool in places.chunks_mut(POOL * batch) {
        pool.sort_by_key(|&place| pairs[place].lengths());
    }
    let mut batches: Vec<Vec<usize>> = places.chunks(batch).map(<[usize]>::to_vec).collect();
    batches.shuffle(&mut random);
    batches
}

fn loss(model: &Transformer, batch: &[&Encoded], smoothing: f64) -> Tensor<1> {
    let device = model.words.weight.val().device();
    let source = padded(batch.iter().map(|pair| &*pair.source), PAD_NUMBER, &device);
    let target = padded(batch.iter().map(|pair| &*pair.target), PAD_NUMBER, &device);
    let [sentences, length] = target.dims();
    let before = target.clone().slice(s![.., ..length - 1]);
    let after = target.slice(s![.., 1..]);
    let logits = model.forward(source, before);
    let [_, _, words] = logits.dims();
    let rows = sentences * (length - 1);
    cross_entropy(logits.reshape([rows, words]), after.reshape([rows]), smoothing, Some(PAD_NUMBER))
}
