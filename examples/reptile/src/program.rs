//! The program: from the command line to the figure.

use crate::arguments::Arguments;
use crate::fit::{Sample, errors, fit};
use crate::learner::Learner;
use crate::network::{LEN, UNITS, first_weights};
use crate::report::{Findings, figure, rows};
use crate::waves::Wave;
use indicatif::{ProgressBar, ProgressStyle};
use lookahead_wgpu::{DEFAULT_GROUP, Field, Lookahead, Optimizer, gpu::Gpu, rules::Sgd, wgpu};
use rand::{SeedableRng, rngs::SmallRng};
use std::error::Error;
use std::io::{self, Write};
use std::time::Instant;
use theory::report::{Files, csv};
use train::{
    output::Output,
    paths::{self, Claim},
};

/// Rounds after which the device is waited for, so that the bar tells the truth.
const AHEAD: u32 = 20;

/// Meta-trains, fits new waves, and writes what was found.
pub fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (files, json) = outputs(arguments)?;
    let gpu = Gpu::open_blocking(arguments.adapter.as_deref())?;
    let mut out = io::stdout();
    writeln!(out, "{}", gpu.label())?;
    writeln!(out, "network: 1-{UNITS}-{UNITS}-1, tanh, {LEN} weights")?;
    let mut random = SmallRng::seed_from_u64(arguments.seed);
    let first = first_weights(&mut random);
    let began = Instant::now();
    let (learned, rounds) = learn(&gpu, arguments, &first, &mut random)?;
    let (seconds, steps) = (began.elapsed().as_secs_f64(), rounds * arguments.tasks * arguments.k);
    let milliseconds = 1e3 * seconds / f64::from(steps);
    writeln!(
        out,
        "meta-training: {rounds} rounds of {} tasks of {} steps, {steps} in {seconds:.1} s, {milliseconds:.2} ms a step",
        arguments.tasks, arguments.k
    )?;

    let mut learner = Learner::new(&gpu, Optimizer::builder(Sgd::new(arguments.lr)), arguments.fit)?;
    let samples: Vec<Sample> = (0..arguments.waves).map(|_| sample(&mut random)).collect();
    let from_first = errors(&mut learner, &first, &samples, arguments.fit)?;
    let from_learned = errors(&mut learner, &learned, &samples, arguments.fit)?;
    writeln!(
        out,
        "mean squared error over x in [-5, 5], of {} new waves with {} steps on 10 points each:",
        arguments.waves, arguments.fit
    )?;
    for (name, errors) in [("first weights", from_first), ("learned weights", from_learned)] {
        writeln!(out, "  {name:16} before {:8.4}, after {:8.4}", errors.before, errors.after)?;
    }

    // A wave that fills the figure.
    let shown = samples.iter().find(|sample| sample.wave.amplitude > 2.0).unwrap_or(&samples[0]);
    let [after, after_from_first] =
        [&learned, &first].map(|from| fit(&mut learner, from, shown, arguments.fit));
    let rows = rows(&shown.wave, [&learned, &after?, &after_from_first?]);
    let mut written = files.write(&figure(arguments, shown, &rows), &[csv(&rows)?])?;
    if let Some(json) = json {
        json.write(&serde_json::to_vec_pretty(&Findings {
            adapter: gpu.label(),
            steps,
            rounds,
            tasks: arguments.tasks,
            k: arguments.k,
            alpha: arguments.alpha,
            learning_rate: arguments.lr,
            fit_steps: arguments.fit,
            seed: arguments.seed,
            seconds,
            milliseconds_per_step: milliseconds,
            waves: arguments.waves,
            first: from_first,
            learned: from_learned,
            wave: shown.wave,
            points: shown.points.to_vec(),
        })?)?;
        written.extend(arguments.json.clone());
    }
    for path in written {
        writeln!(out, "wrote {}", path.display())?;
    }
    Ok(())
}

fn sample(random: &mut SmallRng) -> Sample {
    let wave = Wave::random(random);
    Sample { wave, points: wave.batch(random) }
}

/// Reptile: the slow weights, and how many rounds it was.
pub fn learn(
    gpu: &Gpu,
    arguments: &Arguments,
    first: &[f32],
    random: &mut SmallRng,
) -> Result<(Vec<f32>, u32), Box<dyn Error>> {
    let of_round = arguments.tasks * arguments.k;
    let rounds = arguments.steps.div_ceil(of_round);
    let lookahead = Lookahead::new(arguments.k, arguments.alpha).tasks(arguments.tasks);
    let builder = Optimizer::builder(Sgd::new(arguments.lr)).lookahead(lookahead);
    let mut learner = Learner::new(gpu, builder, of_round)?;
    learner.upload(first)?;
    let bar = ProgressBar::new(u64::from(rounds)).with_message("Meta-training");
    bar.set_style(ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} rounds  {eta} left")?);
    for round in 0..rounds {
        let left = 1.0 - f64::from(round) / f64::from(rounds);
        learner.optimizer.set_alpha(DEFAULT_GROUP, arguments.alpha * left)?;
        let waves: Vec<Wave> = (0..arguments.tasks).map(|_| Wave::random(random)).collect();
        learner.train(of_round, |task| waves[task as usize].batch(random))?;
        if round % AHEAD == AHEAD - 1 {
            gpu.device.poll(wgpu::PollType::wait_indefinitely())?;
        }
        bar.inc(1);
    }
    let learned = learner.download(Field::SlowWeights)?;
    bar.finish_and_clear();
    Ok((learned, rounds))
}

/// Every file to write, looked at before there is anything to write.
fn outputs(arguments: &Arguments) -> Result<(Files, Option<Output>), Box<dyn Error>> {
    let names = ["reptile.csv", "reptile.png", "reptile.svg"];
    let files = names.map(|name| Claim::output("a file of --out", arguments.out.join(name)));
    let json = arguments.json.iter().map(|path| Claim::output("--json", path));
    let claims: Vec<_> =
        [Claim::folder("--out", &arguments.out)].into_iter().chain(json).chain(files).collect();
    paths::check(&claims)?;
    let files = Files::open(&arguments.out, "reptile", &["reptile"])?;
    // The last, since it may lie in the folder that was made.
    Ok((files, arguments.json.as_deref().map(Output::open).transpose()?))
}
