//! Beam search, as [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762) translate.

use super::padded::padded;
use super::transformer::Transformer;
use burn::tensor::activation::log_softmax;
use burn::tensor::s;
use std::iter;

/// How translations are searched for.
#[derive(Debug, Clone, PartialEq)]
pub struct Beam {
    /// How many hypotheses of a sentence are followed; with 1 the search is greedy.
    pub width: usize,
    /// The power of the length penalty `((5 + length) / 6)^penalty`
    /// ([Wu et al., 2016](https://arxiv.org/abs/1609.08144)), which logarithms of probabilities are divided by.
    pub penalty: f64,
    /// The longest translation, in words.
    pub longest: usize,
    /// What fills up short sentences.
    pub pad: u32,
    /// What a translation begins with.
    pub begin: u32,
    /// What it ends with.
    pub end: u32,
}

/// The search for a sentence's translation.
struct Search {
    /// Unfinished hypotheses, the most probable first: all of the same length.
    live: Vec<Hypothesis>,
    /// Finished ones, with penalised scores.
    finished: Vec<Hypothesis>,
}

#[derive(Clone)]
struct Hypothesis {
    /// From the word on that it begins with, and without the one that it ends with.
    words: Vec<u32>,
    /// The logarithm of its probability.
    score: f64,
}

/// A word after a live hypothesis.
#[derive(Clone, Copy)]
struct Candidate {
    before: usize,
    word: u32,
    score: f64,
}

impl Beam {
    /// Translations of sentences by a model that is not trained. A sentence's search is over when as many hypotheses
    /// are finished as are followed; those that are as long as can be end there. A sentence whose probabilities are
    /// no numbers has an empty translation.
    pub fn translate(&self, model: &Transformer, sentences: &[&[u32]]) -> Vec<Vec<u32>> {
        if sentences.is_empty() {
            return vec![];
        }
        let width = self.width.max(1);
        let device = model.words.weight.val().device();
        let start = Hypothesis { words: vec![self.begin], score: 0.0 };
        let start = || Search { live: vec![start.clone()], finished: vec![] };
        let mut searches: Vec<Search> = sentences.iter().map(|_| start()).collect();
        let sources = sentences.iter().flat_map(|sentence| iter::repeat_n(*sentence, width));
        let memory = model.encode(padded(sources, self.pad, &device));
        for length in 1..=self.longest + 1 {
            if searches.iter().all(|search| search.is_over(width)) {
                break;
            }
            let rows: Vec<Vec<u32>> =
                searches.iter().flat_map(|search| search.rows(width, length, self.end)).collect();
            let target = padded(rows.iter().map(Vec::as_slice), self.pad, &device);
            let logits = model.decode(&memory, target).slice(s![.., length - 1..length, ..]);
            let [rows, _, words] = logits.dims();
            let logarithms = log_softmax(logits.reshape([rows, words]), 1).into_data();
            let logarithms: Vec<f32> = logarithms.iter().collect();
            for (search, logarithms) in searches.iter_mut().zip(logarithms.chunks(width * words)) {
                if !search.is_over(width) {
                    let candidates = self.candidates(search, logarithms.chunks(words), length > self.longest);
                    self.extend(search, &candidates);
                }
            }
        }
        searches.into_iter().map(Search::best).collect()
    }

    /// The best words after any of the hypotheses, the best first: twice as many as are followed, so that there are
    /// enough even where each hypothesis may end.
    fn candidates<'a>(
        &self,
        search: &Search,
        logarithms: impl Iterator<Item = &'a [f32]>,
        must_end: bool,
    ) -> Vec<Candidate> {
        let most = 2 * self.width.max(1);
        let mut best: Vec<Candidate> = Vec::with_capacity(most + 1);
        for (before, (hypothesis, logarithms)) in search.live.iter().zip(logarithms).enumerate() {
            for (word, &logarithm) in (0..).zip(logarithms) {
                let score = hypothesis.score + f64::from(logarithm);
                let is_word =
                    if must_end { word == self.end } else { word != self.pad && word != self.begin };
                let is_good = best.get(most - 1).is_none_or(|worst| score > worst.score);
                if is_word && is_good && score.is_finite() {
                    let place = best.partition_point(|other| other.score >= score);
                    best.insert(place, Candidate { before, word, score });
                    best.truncate(most);
                }
            }
        }
        best
    }

    fn extend(&self, search: &mut Search, candidates: &[Candidate]) {
        let width = self.width.max(1);
        let before = std::mem::take(&mut search.live);
        for (rank, &Candidate { before: index, word, score }) in candidates.iter().enumerate() {
            let words = &before[index].words;
            if word != self.end {
                let words = words.iter().copied().chain([word]).collect();
                search.live.push(Hypothesis { words, score });
            } else if rank < width {
                // As long as its words and the one that ends it, which here the one that begins it stands for.
                let penalty = ((5.0 + words.len() as f64) / 6.0).powf(self.penalty);
                search.finished.push(Hypothesis { words: words.clone(), score: score / penalty });
            }
            if search.live.len() == width {
                break;
            }
        }
    }
}

impl Search {
    fn is_over(&self, width: usize) -> bool {
        self.finished.len() >= width || self.live.is_empty()
    }

    /// The live hypotheses, and others as long in place of those that there are not: a batch is rectangular.
    fn rows(&self, width: usize, length: usize, filler: u32) -> impl Iterator<Item = Vec<u32>> {
        let live = self.live.iter().map(move |hypothesis| {
            let mut words = hypothesis.words.clone();
            words.resize(length, filler);
            words
        });
        live.chain(iter::repeat_with(move || vec![filler; length])).take(width)
    }

    /// The best finished hypothesis, the first of equally good ones.
    fn best(self) -> Vec<u32> {
        let better = |a: Hypothesis, b: Hypothesis| if b.score > a.score { b } else { a };
        let best = self.finished.into_iter().reduce(better);
        best.map(|best| best.words[1..].to_vec()).unwrap_or_default()
    }
}
