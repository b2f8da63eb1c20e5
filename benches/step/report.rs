//! The figures, as text and for JSON.

use indicatif::HumanCount;
use lookahead_wgpu::Shape;
use serde::Serialize;

use crate::{
    busy::WIDE,
    host,
    measure::Effort,
    workload::{K, lookahead},
};

#[derive(Serialize)]
pub struct Report {
    /// Of the crate.
    pub version: &'static str,
    /// Steps of a cycle.
    pub k: u32,
    pub adapters: Vec<Adapter>,
    /// What makes figures doubtful.
    pub warnings: Vec<String>,
}

impl Report {
    /// Says which rows spread so far that the machine must have done other things.
    pub fn doubt_wide_rows(&mut self) {
        for adapter in &self.adapters {
            let steps = adapter.steps.iter().map(|row| (row.optimizer.as_str(), row.spread));
            let added = adapter.sync.iter().chain(&adapter.options);
            let added = added.map(|row| (row.rule.as_str(), row.spread));
            let networks = adapter.tensors.iter().map(|row| (row.network, row.spread));
            let rows: Vec<_> = steps.chain(added).chain(networks).collect();
            let wide: Vec<_> = rows.iter().filter(|(_, spread)| *spread > WIDE).map(|row| row.0).collect();
            if !wide.is_empty() {
                self.warnings.push(format!(
                    "on {}, {} of {} rows spread over more than {:.0} %: {}",
                    adapter.label,
                    wide.len(),
                    rows.len(),
                    100.0 * WIDE,
                    wide.join(", ")
                ));
            }
        }
    }
}

/// One adapter's tables.
#[derive(Serialize)]
pub struct Adapter {
    pub name: String,
    pub backend: String,
    pub driver: String,
    #[serde(skip)]
    pub label: String,
    pub steps: Vec<StepRow>,
    pub sync: Vec<SyncRow>,
    pub options: Vec<SyncRow>,
    pub tensors: Vec<TensorsRow>,
    pub host: Vec<HostRow>,
    pub autotuned: Option<Autotuned>,
}

/// How kernels are best cut.
#[derive(Serialize)]
pub struct Autotuned {
    pub shape: Shape,
    pub seconds: f64,
}

/// The time of a step.
#[derive(Serialize)]
pub struct StepRow {
    pub optimizer: String,
    pub parameters: u64,
    pub tensors: usize,
    pub dispatches: usize,
    pub bytes: f64,
    pub step_ms: f64,
    pub gb_per_s: f64,
    pub copy_gb_per_s: f64,
    pub of_copy: f64,
    pub floor_ms: f64,
    pub over_floor: f64,
    pub spread: f64,
    pub samples: usize,
}

/// What Lookahead adds to a rule, or an option to Lookahead.
#[derive(Serialize)]
pub struct SyncRow {
    pub rule: String,
    pub parameters: u64,
    pub alone_ms: f64,
    pub lookahead_ms: f64,
    pub bytes_ratio: f64,
    pub ratio: f64,
    pub spread: f64,
    pub samples: usize,
}

/// What many tensors add to one.
#[derive(Serialize)]
pub struct TensorsRow {
    pub network: &'static str,
    pub parameters: u64,
    pub tensors: usize,
    pub one_dispatches: usize,
    pub many_dispatches: usize,
    pub one_ms: f64,
    pub many_ms: f64,
    pub ratio: f64,
    pub over_floor: f64,
    pub spread: f64,
    pub samples: usize,
}

/// What a step takes of the host.
#[derive(Serialize)]
pub struct HostRow {
    pub tensors: usize,
    pub groups: usize,
    pub record_us: f64,
    pub finish_us: f64,
    pub submit_us: f64,
}

/// How to read the tables.
pub fn preface(effort: &Effort) -> String {
    let sample = effort.sample.as_millis();
    let alpha = lookahead().alpha;
    format!(
        "Lookahead: k = {K}, alpha = {alpha}, the rule's state maintained where a row does not say otherwise.\n\
         A sample is one submission of whole cycles of {K} steps that lasts at least {sample} ms, timed from\n\
         recording to the end of the wait: what submitting costs is in it, spread over its steps. Times\n\
         are medians of samples, ratios medians of the ratios of two samples taken one after the other,\n\
         and the spread is that of their middle half.\n"
    )
}

impl Adapter {
    /// All tables, at most 100 columns wide.
    pub fn text(&self) -> String {
        let options = self.options_text();
        let all = [self.steps_text(), self.sync_text(), options, self.tensors_text(), self.host_text()];
        let autotuned = self.autotuned.iter().map(Autotuned::text).collect::<String>();
        format!("\n=== {} ===\n", self.label) + &all.concat() + &autotuned
    }

    fn steps_text(&self) -> String {
        if self.steps.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "\nA step of {} parameters: the bytes that it must move (averaged over a cycle), its time,\n\
             its rate, that against a plain buffer copy of as many bytes, read and written, and its time\n\
             against that of a kernel written by hand which moves as many values and computes nothing.\n\
             `copy kernel`: no optimizer, a shader that copies. `borrowed`: weights and gradients in one\n\
             buffer of the caller's; `askew`: not at multiples of 16 bytes. `norm clip`: clipped by the\n\
             global norm.\n\
             {:37} {:>10} {:>9} {:>8} {:>6} {:>5} {:>6} {:>6}\n",
            self.steps.last().map_or_else(String::new, |row| count(row.parameters)),
            "optimizer",
            "dispatches",
            "MB/step",
            "ms/step",
            "GB/s",
            "/copy",
            "/floor",
            "spread"
        );
        for row in &self.steps {
            text += &format!(
                "{:37} {:>10} {:>9.1} {:>8} {:>6.1} {:>5.2} {:>6.2} {:>6}\n",
                row.optimizer,
                row.dispatches,
                row.bytes / 1e6,
                milliseconds(row.step_ms),
                row.gb_per_s,
                row.of_copy,
                row.over_floor,
                percent(row.spread)
            );
        }
        text
    }

    fn sync_text(&self) -> String {
        if self.sync.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "\nWhat Lookahead adds, over whole cycles.\n\
             {:25} {:>11} {:>13} {:>18} {:>12} {:>6} {:>6}\n",
            "rule", "parameters", "alone ms/step", "lookahead ms/step", "bytes ratio", "ratio", "spread"
        );
        for row in &self.sync {
            text += &format!(
                "{:25} {:>11} {:>13} {:>18} {:>12.3} {:>6.3} {:>6}\n",
                row.rule,
                count(row.parameters),
                milliseconds(row.alone_ms),
                milliseconds(row.lookahead_ms),
                row.bytes_ratio,
                row.ratio,
                percent(row.spread)
            );
        }
        text
    }

    fn options_text(&self) -> String {
        if self.options.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "\nWhat an option adds to lookahead(adam), over whole cycles of {K} inner steps.\n\
             {:25} {:>11} {:>13} {:>12} {:>12} {:>6} {:>6}\n",
            "option", "parameters", "plain ms/step", "with ms/step", "bytes ratio", "ratio", "spread"
        );
        for row in &self.options {
            text += &format!(
                "{:25} {:>11} {:>13} {:>12} {:>12.3} {:>6.3} {:>6}\n",
                row.rule,
                count(row.parameters),
                milliseconds(row.alone_ms),
                milliseconds(row.lookahead_ms),
                row.bytes_ratio,
                row.ratio,
                percent(row.spread)
            );
        }
        text
    }

    fn tensors_text(&self) -> String {
        if self.tensors.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "\nThe tensors of a network against one of as many parameters: lookahead(adam).\n\
             {:25} {:>7} {:>11} {:>10} {:>8} {:>10} {:>10} {:>6} {:>6} {:>6}\n",
            "network",
            "tensors",
            "parameters",
            "dispatches",
            "ms/step",
            "one tensor",
            "dispatches",
            "ratio",
            "/floor",
            "spread"
        );
        for row in &self.tensors {
            text += &format!(
                "{:25} {:>7} {:>11} {:>10} {:>8} {:>7} ms {:>10} {:>6.3} {:>6.2} {:>6}\n",
                row.network,
                row.tensors,
                count(row.parameters),
                row.many_dispatches,
                milliseconds(row.many_ms),
                milliseconds(row.one_ms),
                row.one_dispatches,
                row.ratio,
                row.over_floor,
                percent(row.spread)
            );
        }
        text
    }

    fn host_text(&self) -> String {
        if self.host.is_empty() {
            return String::new();
        }
        let mut text = format!(
            "\nThe host's time a step of lookahead(adam), {} steps an encoder, without waiting for the device.\n\
             {:>7} {:>6} {:>10} {:>10} {:>10}\n",
            host::STEPS,
            "tensors",
            "groups",
            "record µs",
            "finish µs",
            "submit µs"
        );
        for row in &self.host {
            text += &format!(
                "{:>7} {:>6} {:>10.1} {:>10.1} {:>10.1}\n",
                row.tensors, row.groups, row.record_us, row.finish_us, row.submit_us
            );
        }
        text
    }
}

impl Autotuned {
    fn text(&self) -> String {
        let Shape { workgroup, vec4s, lanes, row_lanes, .. } = self.shape;
        format!(
            "\nAutotune, {:.1} s: workgroups of {workgroup}, {vec4s} vec4s a thread; {lanes} threads sum together, \
             {row_lanes} of a row.\n",
            self.seconds
        )
    }
}

fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

fn percent(part: f64) -> String {
    format!("{:.1} %", 100.0 * part)
}

/// With three digits or more that tell.
fn milliseconds(time: f64) -> String {
    match time {
        ..1.0 => format!("{time:.4}"),
        1.0..10.0 => format!("{time:.3}"),
        _ => format!("{time:.2}"),
    }
}
