//! Workers: their settings, and what they do at each step.

use std::time::Instant;

use lookahead_wgpu::{Field, Optimizer, wgpu};
use mpi::{
    topology::SimpleCommunicator,
    traits::{Communicator, CommunicatorCollectives},
};

use crate::{
    blocks::Blocks,
    error::Error,
    fingerprint::{check_alike, fingerprint},
    mean::Mean,
    meeting::{Hash, Said, Standing, agree, check_same, ready, texts, who},
    packing::Packer,
    report::{Outcome, Report},
    settings::{Mode, NEVER, Packing, Settings},
    wire::Wire,
};

/// Settings of [`Workers`] to be; [`Workers::builder`] begins one.
pub struct Builder {
    world: SimpleCommunicator,
    period: Option<u32>,
    settings: Settings,
}

impl Builder {
    /// With rounds of so many inner steps: k, or H in DiLoCo. By default it is the optimizer's k.
    pub fn period(self, period: u32) -> Self {
        Self { period: Some(period), ..self }
    }

    /// With this exchanged; [`Mode::Local`] by default.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.settings.mode = mode;
        self
    }

    /// With this format on the wire; [`Wire::F32`] by default.
    pub fn wire(mut self, wire: Wire) -> Self {
        self.settings.wire = wire;
        self
    }

    /// Packed there; where it is possible on the GPU by default.
    pub fn packing(mut self, packing: Packing) -> Self {
        self.settings.packing = packing;
        self
    }

    /// Whether the slow weights of all ranks are compared after each round, by a hash, which reads them back; yes by
    /// default. Without it what was received is, at no cost, and [`Workers::check`] compares weights when asked.
    pub fn verify(mut self, verify: bool) -> Self {
        self.settings.verify = verify;
        self
    }

    /// All ranks call this together, each with an optimizer that was built alike and the device that it was built on.
    /// Where each takes its own steps, the optimizer's k becomes [`NEVER`]; an error leaves it as it was. What the optimizer
    /// is to [import](Optimizer::import) it imports before this; [`Workers::restore`] comes after.
    ///
    /// # Errors
    ///
    /// [`Error::Differs`] where ranks were built otherwise, with the first line that differs: version, settings, tensors,
    /// groups, rules, options, steps taken. [`Error::Setting`] where the optimizer has no Lookahead to take outer steps
    /// with, or what does not go with local steps: an average, an adaptive alpha, Anderson acceleration, rounds of tasks, a
    /// rule that reads the slow weights, a guard with the policy reset. Where gradients are exchanged: half-width or borrowed
    /// ones, variance reduction, a curvature that is given. What [`Optimizer::set_k`] gives. [`Error::Elsewhere`].
    pub fn build(
        self,
        optimizer: &mut Optimizer,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
    ) -> Result<Workers, Error> {
        let Self { world, period, mut settings } = self;
        let periods = prepare(optimizer, period, &mut settings);
        let prepared = periods.clone().and_then(|_| {
            let packer = Packer::new(optimizer, &settings, device, queue)?;
            Ok((packer, fingerprint(optimizer, &settings)?))
        });
        let alike = agree(&world, "building", prepared, |_| ready())
            .and_then(|((packer, text), ..)| check_alike(&texts(&world, &text)).map(|()| packer));
        let packer = match alike {
            Ok(packer) => packer,
            Err(error) => {
                for (group, k) in periods.unwrap_or_default() {
                    optimizer.set_k(&group, k)?;
                }
                return Err(error);
            }
        };
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        let mean = Mean::new(settings.wire, Blocks::of(optimizer).count(), rank, size);
        let (device, queue, started) = (device.clone(), queue.clone(), optimizer.steps());
        Ok(Workers { world, settings, device, queue, packer, mean, rounds: 0, started })
    }
}

fn refuse<T>(what: &str, problem: &str) -> Result<T, Error> {
    Err(Error::Setting { what: what.to_owned(), problem: problem.to_owned() })
}

/// Refuses what does not go with an exchange of gradients.
fn check_gradients(optimizer: &Optimizer, first: &str) -> Result<(), Error> {
    for (name, shape) in optimizer.tensors() {
        let bytes: u64 = optimizer.buffers(Field::Gradients, name)?.iter().map(|slice| slice.size).sum();
        if bytes != 4 * shape.iter().product::<usize>() as u64 {
            return refuse(
                "half-width gradients",
                "cannot be exchanged; choose local steps, or gradients in f32",
            );
        }
    }
    let fields =
        [(Field::SnapshotGradients, "variance reduction"), (Field::Curvature, "a curvature that is given")];
    match fields.into_iter().find(|(field, _)| optimizer.buffers(*field, first).is_ok()) {
        None => Ok(()),
        Some((_, what)) => {
            refuse(what, "would be each rank's own where gradients alone are exchanged; choose local steps")
        }
    }
}

/// Refuses what does not go with local steps, groups aside.
fn check_local(optimizer: &Optimizer, first: &str) -> Result<(), Error> {
    if optimizer.buffers(Field::Average, first).is_ok() {
        return refuse(
            "an average of the weights",
            "would be another on each worker with local steps; the slow weights are averages already",
        );
    }
    if optimizer.alphas().is_some() {
        return refuse("an adaptive alpha", "needs a gradient at the sync, which local steps do not have");
    }
    if optimizer.accelerations().is_some() {
        return refuse("Anderson acceleration", "combines the iterates of one worker; leave it out");
    }
    Ok(())
}

/// Checks and completes the settings, and takes the optimizer's own syncs away where rounds make them. Returns the groups'
/// periods as they were.
fn prepare(
    optimizer: &mut Optimizer,
    period: Option<u32>,
    settings: &mut Settings,
) -> Result<Vec<(String, u32)>, Error> {
    let Some(first) = optimizer.tensors().next().map(|(name, _)| name.to_owned()) else { return Ok(vec![]) };
    if settings.mode == Mode::Gradients {
        settings.period = 1;
        return check_gradients(optimizer, &first).map(|()| vec![]);
    }
    check_local(optimizer, &first)?;
    let groups: Vec<String> = optimizer.groups().map(str::to_owned).collect();
    let mut own = Vec::new();
    for group in &groups {
        if optimizer.rule(group)?.anchored() {
            return refuse(
                "a rule that reads the slow weights",
                "says itself what they move towards, and knows nothing of other workers; exchange gradients",
            );
        }
        match optimizer.lookahead(group)? {
            Some(lookahead) if lookahead.tasks > 1 => {
                return refuse(
                    "a round of several tasks",
                    "is one worker's; give each worker a task of its own",
                );
            }
            Some(lookahead) if lookahead.policy.resets() && optimizer.loss_scale().is_some() => {
                return refuse(
                    "a guard with the policy reset",
                    "ends cycles of at most 4096 steps by itself; choose another policy, or local steps without a guard",
                );
            }
            Some(lookahead) => own.push(lookahead.k),
            None => return refuse("local steps", "end with a step of Lookahead: build with `lookahead`"),
        }
    }
    let same = own.iter().all(|k| *k == own[0]);
    settings.period = match period {
        Some(0) => return refuse("a period of 0", "has no step; give at least 1"),
        Some(period) => period,
        None if same && own[0] != NEVER => own[0],
        None => {
            return refuse(
                "the period",
                "is not the optimizer's k, since groups have several or none; give `period`",
            );
        }
    };
    let before: Vec<_> = groups.into_iter().zip(own).filter(|(_, k)| *k != NEVER).collect();
    for (group, _) in &before {
        optimizer.set_k(group, NEVER)?;
    }
    Ok(before)
}

/// One of several processes that train one model, each on a device of its own, and how it works with the others. All
/// calls but [`rank`](Self::rank) and its like are **collective**: every rank calls them, in the same order.
///
/// It must be dropped before MPI ends, that is before the `Universe`.
pub struct Workers {
    pub(crate) world: SimpleCommunicator,
    pub(crate) settings: Settings,
    device: wgpu::Device,
    queue: wgpu::Queue,
    pub(crate) packer: Packer,
    pub(crate) mean: Mean,
    /// Rounds so far.
    pub(crate) rounds: u64,
    /// The optimizer's steps when the round began.
    pub(crate) started: u64,
}

impl Workers {
    /// Begins workers over a communicator: `universe.world()`, say.
    pub fn builder(world: SimpleCommunicator) -> Builder {
        let (mode, wire, packing) = (Mode::default(), Wire::default(), Packing::default());
        Builder { world, period: None, settings: Settings { mode, wire, period: 1, packing, verify: true } }
    }

    /// This process's number, from 0.
    pub fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.world.size() as usize
    }

    /// Rounds so far: steps, where gradients are exchanged.
    pub fn rounds(&self) -> u64 {
        self.rounds
    }

    /// Steps of a round.
    pub fn period(&self) -> u32 {
        self.settings.period
    }

    /// Where values are packed.
    pub fn packing(&self) -> Packing {
        self.packer.packing()
    }

    /// Takes one step with the gradients that `encoder` writes, and submits it. With local steps the last of a round ends
    /// it, as [`round`](Self::round) does. Where gradients are exchanged, each is a round.
    ///
    /// # Errors
    ///
    /// As [`Optimizer::step`] and [`round`](Self::round). An error that this rank alone has is to end the job, by
    /// `universe.world().abort(1)`: the others wait for it.
    pub fn step(
        &mut self,
        optimizer: &mut Optimizer,
        mut encoder: wgpu::CommandEncoder,
    ) -> Result<Option<Report>, Error> {
        match self.settings.mode {
            Mode::Local => {
                optimizer.step(&mut encoder)?;
                self.queue.submit([encoder.finish()]);
                self.stepped(optimizer)
            }
            Mode::Gradients => {
                self.queue.submit([encoder.finish()]);
                self.gradients(optimizer).map(Some)
            }
        }
    }

    /// For local steps that the caller took and submitted, as over borrowed buffers: ends the round if this was its last
    /// one.
    ///
    /// # Errors
    ///
    /// As [`round`](Self::round).
    pub fn stepped(&mut self, optimizer: &mut Optimizer) -> Result<Option<Report>, Error> {
        let is_last = optimizer.steps().saturating_sub(self.started) >= u64::from(self.settings.period);
        if is_last { self.round(optimizer).map(Some) } else { Ok(None) }
    }

    /// Ends the round now, at the end of training, say: the mean of the fast weights of all ranks becomes theta on each,
    /// and the outer step moves the slow weights towards it, where the fast weights restart.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where gradients are exchanged; [`Error::Elsewhere`] where another rank failed;
    /// [`Error::Diverged`]; what reading and writing weights and
    /// [`Optimizer::sync_last_step`] give.
    pub fn round(&mut self, optimizer: &mut Optimizer) -> Result<Report, Error> {
        if self.settings.mode == Mode::Gradients {
            let problem = "is for local steps; where gradients are exchanged each step is a round".to_owned();
            return Err(Error::Setting { what: "`round`".to_owned(), problem });
        }
        let start = Instant::now();
        let standing = self.packer.read_weights(optimizer).and_then(|finite| standing(optimizer, finite));
        let say = |standing: &Standing| Said { standing: *standing, ..ready() };
        let (standing, said, waited) = agree(&self.world, "reading weights", standing, say)?;
        let (broken, idle) = (who(&said, Standing::NotFinite), who(&said, Standing::NoStep));
        let mut bytes = 0;
        let (outcome, done) = if !broken.is_empty() {
            let done = self.packer.discard(optimizer, standing == Standing::NotFinite);
            (Outcome::Discarded { ranks: broken }, done.map(|()| 0))
        } else if !idle.is_empty() {
            (Outcome::Postponed { ranks: idle }, Ok(0))
        } else {
            let packed;
            (packed, bytes) = self.exchange()?;
            (Outcome::Synchronised, self.outer_step(optimizer, &packed))
        };
        (self.rounds, self.started) = (self.rounds + 1, optimizer.steps());
        self.conclude(optimizer, start, waited, bytes, outcome, done)
    }

    /// The packed mean of what all ranks have read, and how many bytes were sent for it.
    fn exchange(&mut self) -> Result<(Vec<u8>, u64), Error> {
        let (mut packed, ..) = agree(&self.world, "packing", self.packer.pack(), |_| ready())?;
        let bytes = self.mean.exchange(&self.world, &mut packed);
        Ok((packed, bytes))
    }

    /// Takes the mean as fast weights, and the outer step. Returns a hash.
    fn outer_step(&mut self, optimizer: &mut Optimizer, packed: &[u8]) -> Result<u64, Error> {
        self.packer.write_weights(optimizer, packed)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        optimizer.sync_last_step(&mut encoder)?;
        self.queue.submit([encoder.finish()]);
        if self.settings.verify { slow_hash(optimizer) } else { Ok(Hash::of_bytes(packed)) }
    }

    /// The step on the mean of the gradients that each rank has.
    fn gradients(&mut self, optimizer: &mut Optimizer) -> Result<Report, Error> {
        let start = Instant::now();
        let finite = self.packer.read_gradients(optimizer);
        let say = |finite: &bool| Said {
            standing: if *finite { Standing::Ready } else { Standing::NotFinite },
            ..ready()
        };
        let (_, said, waited) = agree(&self.world, "reading gradients", finite, say)?;
        let broken = who(&said, Standing::NotFinite);
        let is_guarded = optimizer.loss_scale().is_some();
        let mut bytes = 0;
        let (outcome, done) = if broken.is_empty() {
            let packed;
            (packed, bytes) = self.exchange()?;
            let written = self.packer.write_gradients(optimizer, &packed);
            let done = written.and_then(|()| self.inner_step(optimizer));
            (Outcome::Synchronised, done.map(|()| Hash::of_bytes(&packed)))
        } else if is_guarded {
            // The guards of all ranks skip the step, and lower the loss scale alike.
            let done = self.packer.break_gradients(optimizer).and_then(|()| self.inner_step(optimizer));
            (Outcome::Discarded { ranks: broken }, done.map(|()| 0))
        } else {
            (Outcome::Discarded { ranks: broken }, Ok(0))
        };
        (self.rounds, self.started) = (self.rounds + 1, optimizer.steps());
        self.conclude(optimizer, start, waited, bytes, outcome, done)
    }

    fn inner_step(&mut self, optimizer: &mut Optimizer) -> Result<(), Error> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        optimizer.step(&mut encoder)?;
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// Compares hashes, and reports.
    fn conclude(
        &mut self,
        optimizer: &Optimizer,
        start: Instant,
        waited: f64,
        bytes: u64,
        outcome: Outcome,
        hash: Result<u64, Error>,
    ) -> Result<Report, Error> {
        let say = |hash: &u64| Said { word: *hash, seconds: waited, ..ready() };
        let (hash, said, _) = agree(&self.world, "taking the outer step", hash, say)?;
        let is_of_weights = self.settings.mode == Mode::Local && self.settings.verify;
        check_same(&said, if is_of_weights { "slow weights" } else { "bytes received" })?;
        let waited = said.iter().map(|said| said.seconds).collect();
        let seconds = start.elapsed().as_secs_f64();
        let (round, steps) = (self.rounds, optimizer.steps());
        Ok(Report { round, steps, outcome, bytes, seconds, waited, hash })
    }

    /// Whether all ranks have the same bits: the slow weights with local steps, the weights where gradients are exchanged.
    /// Returns their hash.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`], [`Error::Elsewhere`], and what reading weights gives.
    pub fn check(&self, optimizer: &Optimizer) -> Result<u64, Error> {
        let (hash, what) = match self.settings.mode {
            Mode::Local => (slow_hash(optimizer), "slow weights"),
            Mode::Gradients => (hash(optimizer, Field::Weights), "weights"),
        };
        let (hash, said, _) =
            agree(&self.world, "comparing weights", hash, |hash| Said { word: *hash, ..ready() })?;
        check_same(&said, what)?;
        Ok(hash)
    }

    /// The mean of a number over all ranks, summed in their order: a loss, say.
    pub fn mean(&self, value: f64) -> f64 {
        let mut all = vec![0.0f64; self.size()];
        self.world.all_gather_into(&value, &mut all[..]);
        all.iter().sum::<f64>() / all.len() as f64
    }
}

/// How this rank stands at the end of a round.
fn standing(optimizer: &Optimizer, finite: bool) -> Result<Standing, Error> {
    if !finite {
        return Ok(Standing::NotFinite);
    }
    // A guard alone knows which steps were taken.
    if optimizer.loss_scale().is_some() {
        let counters = optimizer.counters_blocking()?;
        for (group, counters) in optimizer.groups().zip(&counters.groups) {
            if counters.position == 0 && !optimizer.is_frozen(group)? {
                return Ok(Standing::NoStep);
            }
        }
    }
    Ok(Standing::Ready)
}

fn slow_hash(optimizer: &Optimizer) -> Result<u64, Error> {
    hash(optimizer, Field::SlowWeights)
}

fn hash(optimizer: &Optimizer, field: Field<'_>) -> Result<u64, Error> {
    Ok(Hash::of(optimizer.download_all_blocking(field)?.iter().map(Vec::as_slice)))
}
