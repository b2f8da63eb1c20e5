//! What the program says: a row for each.

use lookahead_burn::lookahead_wgpu::wgpu::AdapterInfo;
use serde::Serialize;

use crate::{
    K,
    contender::Contender,
    measure::Samples,
    statistics::{median, spread},
};

#[derive(Serialize)]
pub struct Report {
    adapter: String,
    backend: String,
    fusion: bool,
    tensors: usize,
    parameters: usize,
    k: u32,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    optimizer: String,
    /// Of a step: the median over samples.
    ms: f64,
    /// Their middle half, relative to the median.
    spread: f64,
    /// The time over that of `ModuleLookahead` with the same method and no clone, sample by sample: the median.
    ratio: f64,
    ratio_spread: f64,
    /// Compute dispatches of the last step, a sync.
    dispatches: Option<usize>,
    copied: Option<usize>,
    /// That a step must move, averaged over a cycle.
    bytes: f64,
    gb_per_s: f64,
    samples: usize,
}

impl Report {
    pub fn new(
        adapter: &AdapterInfo,
        shapes: &[Vec<usize>],
        contenders: &[Box<dyn Contender>],
        samples: &Samples,
    ) -> Self {
        let parameters = shapes.iter().map(|shape| shape.iter().product::<usize>()).sum();
        let row = |(one, of): (&dyn Contender, &Vec<f64>)| {
            let seconds = median(of);
            let bytes = one.bytes() * parameters as f64;
            // Ours come first, those without a clone before the one with it.
            let ours = contenders.iter().position(|other| other.method() == one.method()).unwrap_or(0);
            let ratios: Vec<_> = of.iter().zip(&samples[ours]).map(|(a, b)| a / b).collect();
            Row {
                optimizer: one.title(),
                ms: seconds * 1e3,
                spread: spread(of),
                ratio: median(&ratios),
                ratio_spread: spread(&ratios),
                dispatches: one.dispatches(),
                copied: one.copied(),
                bytes,
                gb_per_s: bytes / seconds / 1e9,
                samples: of.len(),
            }
        };
        Self {
            adapter: adapter.name.clone(),
            backend: adapter.backend.to_string(),
            fusion: cfg!(feature = "fusion"),
            tensors: shapes.len(),
            parameters,
            k: K,
            rows: contenders.iter().map(AsRef::as_ref).zip(samples).map(row).collect(),
        }
    }

    pub fn markdown(&self) -> String {
        let fusion = if self.fusion { "with" } else { "without" };
        let mut text = format!(
            "{} tensors, {} parameters, k = {}; {} ({}), {fusion} fusion\n\n\
             | optimizer | ms a step | spread | over `ModuleLookahead` | dispatches | copied | MB a step | GB/s |\n\
             |---|---|---|---|---|---|---|---|\n",
            self.tensors, self.parameters, self.k, self.adapter, self.backend
        );
        let known = |count: Option<usize>| count.map_or("unknown".to_owned(), |count| count.to_string());
        for row in &self.rows {
            text += &format!(
                "| {} | {:.2} | {:.0}% | {:.2} ± {:.0}% | {} | {} | {:.0} | {:.1} |\n",
                row.optimizer,
                row.ms,
                100.0 * row.spread,
                row.ratio,
                100.0 * row.ratio_spread,
                known(row.dispatches),
                known(row.copied),
                row.bytes / 1e6,
                row.gb_per_s
            );
        }
        text
    }
}
