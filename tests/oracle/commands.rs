//! All objects and commands of many configurations, on wgpu's noop backend, which validates and computes nothing.

use lookahead_wgpu::{DEFAULT_GROUP, Error, Gradients, Optimizer, Schedule, Snapshot, wgpu};

use crate::{
    cases::{self, Case},
    common::noise,
    places::{build, places},
    record::Record,
    trace,
};

#[test]
fn objects_and_commands_are_as_recorded() {
    let mut record = Record::new("commands");
    for case in cases::all() {
        let calls = trace_of(&case);
        record.case(&case.name, calls.iter().map(String::as_str));
    }
    record.finish();
}

/// Two runs have one trace: nothing in it hangs on addresses, threads or time.
#[test]
fn a_trace_is_the_same_in_every_run() {
    for case in cases::all().iter().step_by(10) {
        assert_eq!(trace_of(case), trace_of(case), "{}", case.name);
    }
}

/// A text for each call.
fn trace_of(case: &Case) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let limits = wgpu::Limits::defaults();
    let required_limits = case.small.map_or(limits.clone(), |small| small.limits(limits));
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor {
        required_limits,
        trace: wgpu::Trace::Directory(folder.path().to_owned()),
        ..Default::default()
    });
    play(case, device, queue);
    trace::read(folder.path())
}

/// An optimizer and its device, on which calls are made one after another.
struct Player<'a> {
    case: &'a Case,
    device: wgpu::Device,
    queue: wgpu::Queue,
    optimizer: Optimizer,
    /// Where gradients lie that are borrowed.
    borrowed: Option<Gradients>,
    /// What was refused in this call, by the error's name.
    refused: String,
}

impl Player<'_> {
    /// Records with `record`, submits, and waits, so that the control ring's slots come free at known places.
    fn call(&mut self, record: impl FnOnce(&mut Self, &mut wgpu::CommandEncoder)) {
        let mut encoder = self.device.create_command_encoder(&Default::default());
        record(self, &mut encoder);
        self.queue.submit([encoder.finish()]);
        self.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    }

    /// Ends a call of the trace.
    fn end(&mut self, name: &str) {
        trace::mark(&self.device, &format!("{name}{}", std::mem::take(&mut self.refused)));
    }

    /// A refusal is part of the trace.
    fn told<T>(&mut self, outcome: Result<T, Error>) -> Option<T> {
        outcome
            .map_err(|error| {
                let debug = format!("{error:?}");
                self.refused += " refused: ";
                self.refused += debug.split([' ', '(']).next().unwrap();
            })
            .ok()
    }

    fn step(&mut self, encoder: &mut wgpu::CommandEncoder) {
        let outcome = match &self.borrowed {
            None => self.optimizer.step(encoder),
            Some(gradients) => self.optimizer.step_with(encoder, gradients),
        };
        self.told(outcome);
    }

    fn set(&mut self, set: impl FnOnce(&mut Optimizer) -> Result<(), Error>) {
        let outcome = set(&mut self.optimizer);
        self.told(outcome);
    }
}

/// Sixteen calls: steps of more than two cycles, and everything that may come between them.
fn play(case: &Case, device: wgpu::Device, queue: wgpu::Queue) {
    let places = places(case, &device);
    let (optimizer, borrowed) = build(case, &device, &queue, &places);
    let mut player = Player { case, device, queue, optimizer, borrowed, refused: String::new() };
    player.end("build");
    steps_and_settings(&mut player);
    exchanges(&mut player);
    beginnings(&mut player);
    if case.is_long {
        player.call(|it, encoder| (0..300).for_each(|_| it.step(encoder)));
        player.end("300 steps in one encoder");
        (0..600).for_each(|_| player.call(Player::step));
        player.end("600 steps");
    }
}

fn steps_and_settings(player: &mut Player<'_>) {
    for _ in 0..2 {
        player.call(Player::step);
        player.end("step");
    }
    player.call(|it, encoder| {
        it.set(|optimizer| optimizer.set_learning_rate(DEFAULT_GROUP, 0.02));
        it.set(|optimizer| optimizer.set_alpha(DEFAULT_GROUP, 0.6));
        it.step(encoder);
    });
    player.end("learning rate, alpha, step");
    player.call(|it, encoder| {
        let outcome = it.optimizer.sync_now(encoder);
        it.told(outcome);
    });
    player.end("sync_now");
    player.call(|it, encoder| {
        it.set(|optimizer| optimizer.set_k(DEFAULT_GROUP, 3));
        it.set(|optimizer| optimizer.set_weight_decay(DEFAULT_GROUP, 0.02));
        it.set(|optimizer| optimizer.set_learning_rate_factor(DEFAULT_GROUP, 0.7));
        it.step(encoder);
    });
    player.end("k, weight decay, factor, step");
    if let Some(changed) = player.case.changed {
        player.call(|it, encoder| {
            it.set(|optimizer| optimizer.set_rule(DEFAULT_GROUP, changed()));
            it.step(encoder);
        });
        player.end("rule, step");
    }
    player.call(|it, encoder| (0..4).for_each(|_| it.step(encoder)));
    player.end("four steps in one encoder");
}

fn exchanges(player: &mut Player<'_>) {
    type Swap = fn(&mut Optimizer, &mut wgpu::CommandEncoder) -> Result<(), Error>;
    let swaps: [(&str, Swap); 2] =
        [("swap_slow", Optimizer::swap_slow), ("swap_average", Optimizer::swap_average)];
    for (name, swap) in swaps {
        for _ in 0..2 {
            player.call(|it, encoder| {
                let outcome = swap(&mut it.optimizer, encoder);
                it.told(outcome);
            });
        }
        player.call(Player::step);
        player.end(name);
    }
}

fn beginnings(player: &mut Player<'_>) {
    let last = player.case.groups[player.case.groups.len() - 1];
    player.call(|it, encoder| {
        it.set(|optimizer| optimizer.set_frozen(last, true));
        (0..3).for_each(|_| it.step(encoder));
    });
    player.end("freeze, three steps");
    player.call(|it, encoder| {
        it.set(|optimizer| optimizer.set_frozen(last, false));
        it.set(|optimizer| optimizer.set_schedule(Schedule::cosine(2, 20, 0.1)));
        it.step(encoder);
    });
    player.end("unfreeze, schedule, step");
    player.call(|it, encoder| {
        let outcome = it.optimizer.init_synced(encoder);
        it.told(outcome);
        it.step(encoder);
    });
    player.end("reseed, step"); // the word of the first record
    player.call(|it, encoder| {
        let outcome = it.optimizer.flush(encoder);
        it.told(outcome);
        it.step(encoder);
        it.optimizer.discard();
        it.step(encoder);
    });
    player.end("flush, step, discard, step");
    let exported = player.optimizer.export_blocking();
    let mut snapshot = player.told(exported).unwrap();
    player.end("export");
    fill(&mut snapshot);
    player.set(|optimizer| optimizer.import(&snapshot));
    player.end("import");
    for _ in 0..2 {
        player.call(Player::step);
    }
    player.end("two steps");
    let (name, shape) = player.case.tensors().swap_remove(0);
    player.set(|optimizer| optimizer.upload(&name, &noise(shape.iter().product(), 9)));
    player.call(Player::step);
    player.end("upload, step");
    readings(player);
}

fn readings(player: &mut Player<'_>) {
    let counters = player.optimizer.counters_blocking();
    player.told(counters);
    let alphas = player.optimizer.download_alphas_blocking();
    player.told(alphas);
    let norms = player.optimizer.download_gradient_norms_blocking();
    player.told(norms);
    player.end("counters, alphas, norms");
}

/// Nothing is computed here: values that can be told apart, and a clock at which training could stand.
fn fill(snapshot: &mut Snapshot) {
    snapshot.steps = 20;
    snapshot.since_rescaled = 1;
    if snapshot.loss_scaling == Some(true) {
        (snapshot.loss_scale, snapshot.loss_unscale) = (512.0, 1.0 / 512.0);
    } else {
        (snapshot.loss_scale, snapshot.loss_unscale) = (1.0, 1.0);
    }
    let fields = snapshot.tensors.iter_mut().flat_map(|tensor| &mut tensor.fields);
    for ((_, values), seed) in fields.zip(1000..) {
        *values = noise(values.len(), seed).iter().map(|value| value.abs()).collect();
    }
}
