//! The results as text: a table for people, JSON for programs.

use crate::history::{Divergence, Epoch, Guarded, History};
use crate::profile::{Clock, Profile};
use crate::settings::Settings;
use lookahead_wgpu::Memory;
use serde::Serialize;
use serde_json::{Value, json};
use std::fmt::Write;

/// The table's head.
pub const HEAD: &str = concat!(
    "                                        test accuracy\n",
    "epoch  train loss   test loss     fast      slow   average  elapsed s",
);

/// An epoch's line of the table.
pub fn row(epoch: &Epoch) -> String {
    let optional = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), percent);
    format!(
        "{:>5}  {:>10.4}  {:>10.4}  {:>7}  {:>8}  {:>8}  {:>9.1}",
        epoch.epoch,
        epoch.train_loss,
        epoch.test_loss,
        percent(epoch.fast_accuracy),
        optional(epoch.slow_accuracy),
        optional(epoch.average_accuracy),
        epoch.seconds,
    )
}

/// What a guard came to, in words.
pub fn guarded(guard: &Guarded) -> String {
    format!("{} skipped; loss scale {}", count(guard.skipped, "step", "s"), guard.loss_scale)
}

/// Where a step's time goes: a table.
pub fn profile(profile: &Profile) -> String {
    let batch = if profile.calls.iter().any(|call| call.kind == "accumulation") { "batch" } else { "step" };
    let clock = match profile.clock {
        Clock::Timestamps => "by the GPU's timestamps; the host records while the device waits",
        Clock::Host => "by the host's clock, which waits for the device after each part",
    };
    let total = profile.total();
    let line = |name: &str, seconds: f64, share: Option<f64>| {
        let share = share.map(|share| format!("{:>7.1} %", 100.0 * share)).unwrap_or_default();
        format!("\n{name:<22} {:>12.4} {share}", 1e3 * seconds).trim_end().to_owned()
    };
    let whole = |name, seconds| line(name, seconds, Some(seconds / total));
    let calls = profile.calls.iter().map(|call| line(&format!("  {}", call.kind), call.seconds, None));
    let calls = if profile.calls.len() > 1 { calls.collect() } else { String::new() };
    format!(
        "Where the time of a {batch} goes, tests left out: medians of {},\n{clock}\n{:<22} {:>12}     share",
        count(profile.batches as u64, "batch", "es"),
        "part",
        format!("ms a {batch}"),
    ) + &whole("forward", profile.forward)
        + &whole("backward", profile.backward)
        + &whole("optimizer", profile.optimizer)
        + &calls
        + &whole("host", profile.host)
        + &whole("all", total)
}

/// How the batches of an epoch make steps, where there are several to one.
pub fn accumulated(images: usize, settings: &Settings) -> Option<String> {
    let micro_batches = u64::from(settings.options.accumulate?);
    let batches = (images as u64).div_ceil(u64::from(settings.batch));
    let steps = batches.div_ceil(micro_batches);
    let mut text = format!("an epoch's {} make {}", count(batches, "batch", "es"), count(steps, "step", "s"));
    match batches % micro_batches {
        0 => {}
        rest if steps == 1 => text += &format!(", since there are no more than {rest}"),
        rest => text += &format!(", the last of {}", count(rest, "batch", "es")),
    }
    Some(text)
}

/// What a run did not come to, where that leaves it as it began.
pub fn idle(history: &History) -> Option<String> {
    let steps = history.steps;
    if steps == 0 {
        let skipped = history.guard.map(|guard| count(guard.skipped, "step", "s"));
        let why =
            skipped.map(|steps| format!(": the guard skipped {steps}, whose gradients were not finite"));
        return Some(format!("no step was taken{}", why.unwrap_or_default()));
    }
    let k = u64::from(history.lookahead.as_ref()?.k);
    let taken = count(steps, "step", "s");
    (steps < k).then(|| {
        format!("no sync came: the run took {taken}, and k is {k}; the slow weights are the first ones")
    })
}

/// A number with its word, in singular or plural.
pub fn count(number: u64, word: &str, plural: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { plural })
}

/// The last epoch of each run, side by side.
pub fn comparison(runs: &[History]) -> String {
    let width = runs.iter().map(|run| run.name.len()).max().unwrap_or(0).max("run".len());
    let mut table = format!("{:<width$}   test loss  accuracy     best (epoch)    seconds", "run");
    for run in runs {
        let Some(last) = run.epochs.last() else { continue };
        let Some(best) = best(&run.epochs) else { continue };
        // Writing to a string cannot fail.
        let _ = write!(
            table,
            "\n{:<width$}  {:>10.4}  {:>8}  {:>8} {:>6}  {:>9.1}",
            run.name,
            last.test_loss,
            percent(last.accuracy()),
            percent(best.accuracy()),
            format!("({})", best.epoch),
            last.seconds,
        );
    }
    table
}

/// The first of the most accurate epochs.
fn best(epochs: &[Epoch]) -> Option<&Epoch> {
    epochs.iter().reduce(|best, epoch| if epoch.accuracy() > best.accuracy() { epoch } else { best })
}

/// A share in percent.
pub fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// All runs as JSON; `test_accuracy` is at the slow weights, or at those of a rule alone. A number that is
/// not finite becomes `null`.
pub fn json(adapter: &str, backend: &str, data: &str, runs: &[History]) -> serde_json::Result<String> {
    let runs = runs.iter().map(JsonRun::new).collect();
    let mut text = serde_json::to_string_pretty(&JsonReport { adapter, backend, data, runs })?;
    text.push('\n');
    Ok(text)
}

#[derive(Serialize)]
struct JsonReport<'a> {
    adapter: &'a str,
    backend: &'a str,
    data: &'a str,
    runs: Vec<JsonRun<'a>>,
}

/// A run as JSON.
#[derive(Serialize)]
pub struct JsonRun<'a> {
    name: &'a str,
    rule: &'a str,
    k: Option<u32>,
    alpha: Option<f64>,
    policy: Option<&'a str>,
    steps: u64,
    /// Where and how the run diverged and ended.
    divergence: Option<&'a Divergence>,
    skipped_steps: Option<u64>,
    loss_scale: Option<f32>,
    memory_bytes: Value,
    /// Seconds of a batch, by part.
    profile: Option<&'a Profile>,
    epochs: Vec<JsonEpoch<'a>>,
}

#[derive(Serialize)]
struct JsonEpoch<'a> {
    epoch: u64,
    train_loss: f64,
    test_loss: f64,
    test_accuracy: f64,
    fast_accuracy: f64,
    slow_accuracy: Option<f64>,
    average_accuracy: Option<f64>,
    /// Of the last sync: one for the network, each group or each tensor.
    alphas: Option<&'a [f64]>,
    seconds_since_start: f64,
    seconds_of_epoch: f64,
}

impl<'a> JsonRun<'a> {
    /// Of a run.
    pub fn new(run: &'a History) -> Self {
        let setting = run.lookahead.as_ref();
        let epochs = run.epochs.iter().enumerate().map(|(index, epoch)| JsonEpoch {
            epoch: epoch.epoch,
            train_loss: epoch.train_loss,
            test_loss: epoch.test_loss,
            test_accuracy: epoch.accuracy(),
            fast_accuracy: epoch.fast_accuracy,
            slow_accuracy: epoch.slow_accuracy,
            average_accuracy: epoch.average_accuracy,
            alphas: run.alphas_of(epoch),
            seconds_since_start: epoch.seconds,
            seconds_of_epoch: run.seconds_of(index),
        });
        Self {
            name: &run.name,
            rule: &run.rule,
            k: setting.map(|setting| setting.k),
            alpha: setting.map(|setting| setting.alpha),
            policy: setting.map(|setting| setting.policy.as_str()),
            steps: run.steps,
            divergence: run.divergence.as_ref(),
            skipped_steps: run.guard.map(|guard| guard.skipped),
            loss_scale: run.guard.map(|guard| guard.loss_scale),
            memory_bytes: memory(&run.memory),
            profile: run.profile.as_ref(),
            epochs: epochs.collect(),
        }
    }
}

/// Every kind of memory, and all of it.
fn memory(memory: &Memory) -> Value {
    json!({
        "weights": memory.weights,
        "gradients": memory.gradients,
        "state": memory.state,
        "slow_weights": memory.slow_weights,
        "slow_state": memory.slow_state,
        "outer": memory.outer,
        "curvature": memory.curvature,
        "average": memory.average,
        "accumulated": memory.accumulated,
        "half_weights": memory.half_weights,
        "controls": memory.controls,
        "total": memory.total(),
    })
}
