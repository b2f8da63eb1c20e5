//! What the program says: every optimizer's time beside this library's.

use lookahead_wgpu::gpu::Gpu;
use serde::Serialize;

use crate::{
    check,
    contender::Contender,
    measure::Samples,
    peer::{Failure, K, Method},
    statistics::{median, spread},
    tensors::{List, Tensors},
};

/// What this library is called among its peers.
pub const OURS: &str = "lookahead-wgpu";

/// One that takes part.
pub struct Entry {
    pub peer: String,
    pub method: Method,
    pub contender: Box<dyn Contender>,
}

/// Fails where one computes something else than this library.
pub fn check(entries: &mut [Entry]) -> Result<(), Failure> {
    let mut ours = vec![];
    for entry in entries {
        let weights = entry.contender.check().map_err(|problem| format!("{}: {problem}", entry.peer))?;
        if entry.peer == OURS {
            ours = weights;
            continue;
        }
        let name = format!("{}, {}", entry.peer, entry.method.title());
        let error = check::compare(&name, &weights, &ours)?;
        eprintln!("{name}: this library's weights after {} steps, but for {error:.1e}", check::STEPS);
    }
    Ok(())
}

#[derive(Serialize)]
pub struct Report {
    adapter: String,
    backend: String,
    driver: String,
    device_type: String,
    tensors: &'static str,
    count: usize,
    parameters: usize,
    k: u32,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    optimizer: &'static str,
    peer: String,
    /// Of a step: the median over samples.
    ms: f64,
    /// Their middle half, relative to the median.
    spread: f64,
    /// That a step must move, averaged over a cycle.
    bytes: f64,
    gb_per_s: f64,
    /// The time over this library's, sample by sample: the median.
    ratio: f64,
    ratio_spread: f64,
    samples: usize,
}

impl Report {
    pub fn new(gpu: &Gpu, list: List, tensors: &Tensors, entries: &[Entry], samples: &Samples) -> Self {
        let row = |(place, entry): (usize, &Entry)| {
            let of_ours = |other: &Entry| other.method == entry.method && other.peer == OURS;
            let ours = entries.iter().position(of_ours).unwrap_or(place);
            let seconds = median(&samples.of[place]);
            let bytes = tensors.values() as f64 * entry.method.bytes();
            let ratios = samples.ratios(place, ours);
            Row {
                optimizer: entry.method.title(),
                peer: entry.peer.clone(),
                ms: seconds * 1e3,
                spread: spread(&samples.of[place]),
                bytes,
                gb_per_s: bytes / seconds / 1e9,
                ratio: median(&ratios),
                ratio_spread: spread(&ratios),
                samples: ratios.len(),
            }
        };
        Self {
            adapter: gpu.info.name.clone(),
            backend: gpu.info.backend.to_string(),
            driver: format!("{} {}", gpu.info.driver, gpu.info.driver_info).trim().to_owned(),
            device_type: format!("{:?}", gpu.info.device_type),
            tensors: list.name(),
            count: tensors.shapes.len(),
            parameters: tensors.values(),
            k: K,
            rows: entries.iter().enumerate().map(row).collect(),
        }
    }
}
