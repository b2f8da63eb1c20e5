//! Workers: what they do at each step.

use std::time::Instant;

use lookahead_wgpu::{Field, Optimizer, wgpu};
use mpi::{
    topology::SimpleCommunicator,
    traits::{Communicator, CommunicatorCollectives},
};

use crate::{
    beside::Beside,
    builder::Builder,
    error::Error,
    mean::Mean,
    meeting::{Hash, Said, Standing, agree, check_same, ready, who},
    packing::Packer,
    report::{Outcome, Report},
    settings::{Mode, Packing, Settings},
    streaming::Flight,
    timetable::Place,
};

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
    /// A fragment's each.
    pub(crate) means: Vec<Mean>,
    /// Where this worker stands; a turn is a round, or a step where gradients are exchanged.
    pub(crate) place: Place,
    pub(crate) flight: Option<Flight>,
    /// What exchanges fragments beside steps.
    pub(crate) beside: Option<Beside>,
}

impl Workers {
    /// Begins workers over a communicator: `universe.world()`, say.
    pub fn builder(world: SimpleCommunicator) -> Builder {
        Builder::new(world)
    }

    pub(crate) fn new(
        world: SimpleCommunicator,
        settings: Settings,
        (device, queue): (wgpu::Device, wgpu::Queue),
        packer: Packer,
        beside: Option<Beside>,
        steps: u64,
    ) -> Self {
        let (rank, size) = (world.rank() as usize, world.size() as usize);
        let blocks = packer.blocks();
        let mean = |fragment| Mean::new(settings.wire, blocks.blocks(fragment).len(), rank, size);
        let means = (0..blocks.fragments()).map(mean).collect();
        let place = settings.timetable.at(0, steps);
        Self { world, settings, device, queue, packer, means, place, flight: None, beside }
    }

    /// This process's number, from 0.
    pub fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    /// How many there are.
    pub fn size(&self) -> usize {
        self.world.size() as usize
    }

    /// Rounds so far: steps, where gradients are exchanged, and turns of one fragment each, where fragments are streamed.
    pub fn rounds(&self) -> u64 {
        self.place.turn - u64::from(self.place.is_under_way)
    }

    /// Steps of a round; of fragments the steps in which each has its turn.
    pub fn period(&self) -> u32 {
        self.settings.timetable.period
    }

    /// The groups of each fragment; where the model is exchanged as a whole one of all.
    pub fn fragments(&self) -> &[Vec<String>] {
        &self.settings.fragments
    }

    /// Where values are packed.
    pub fn packing(&self) -> Packing {
        self.packer.packing()
    }

    /// Takes one step with the gradients that `encoder` writes, and submits it. With local steps the last of a round ends
    /// it, as [`round`](Self::round) does; with streamed fragments steps begin exchanges and merge what has come. Where
    /// gradients are exchanged, each is a round.
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
        let (timetable, steps) = (self.settings.timetable, optimizer.steps());
        if timetable.merges(&self.place, steps) {
            return self.merge(optimizer).map(Some);
        }
        if self.place.is_under_way {
            self.look_after()?;
        } else if timetable.begins(&self.place, steps) {
            if timetable.overlap > 0 {
                self.begin(optimizer)?;
            } else {
                let turn = self.place.turn;
                let report = self.exchange_now(optimizer, timetable.fragment(turn), turn + 1)?;
                // Other ones, where a guard's count was imported.
                self.place = timetable.at(turn + 1, optimizer.steps());
                return Ok(Some(report));
            }
        }
        Ok(None)
    }

    /// Ends the round now, at the end of training, say: the mean of the fast weights of all ranks becomes theta on each,
    /// and the outer step moves the slow weights towards it, where the fast weights restart. With streamed fragments what is
    /// under way is merged first, and then every fragment is exchanged in its turn, as the report tells of all together; a new
    /// period begins, of which `overlap` steps count as taken, as after any merge. A fragment that was merged just now has no step
    /// to exchange, and its fast weights go to the slow ones.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`] where gradients are exchanged; [`Error::Elsewhere`] where another rank failed;
    /// [`Error::Diverged`]; what reading and writing weights and
    /// [`Optimizer::sync_last_step_of`] give.
    pub fn round(&mut self, optimizer: &mut Optimizer) -> Result<Report, Error> {
        if self.settings.mode == Mode::Gradients {
            let problem = "is for local steps; where gradients are exchanged each step is a round".to_owned();
            return Err(Error::Setting { what: "`round`".to_owned(), problem });
        }
        let mut reports = Vec::new();
        if self.place.is_under_way {
            reports.push(self.merge(optimizer)?);
        }
        let (timetable, place) = (self.settings.timetable, self.place);
        let turn = timetable.next_period(place.turn);
        let last = place.turn.checked_sub(1).filter(|_| place.is_settled(optimizer.steps()));
        let last = last.map(|turn| timetable.fragment(turn));
        for fragment in 0..self.settings.fragments.len() {
            if last == Some(fragment) && self.rests(optimizer, fragment)? {
                let done = self.packer.discard(optimizer, fragment, false);
                agree(&self.world, "returning to the slow weights", done, |()| ready())?;
            } else {
                reports.push(self.exchange_now(optimizer, fragment, turn)?);
            }
        }
        self.place = timetable.at(turn, optimizer.steps());
        Ok(Report::of_all(reports, turn, optimizer.steps(), self.size()))
    }

    /// Exchanges a fragment between two steps, which ends this round.
    fn exchange_now(
        &mut self,
        optimizer: &mut Optimizer,
        fragment: usize,
        round: u64,
    ) -> Result<Report, Error> {
        let start = Instant::now();
        let finite = self.packer.read_weights(optimizer, fragment);
        let standing = finite.and_then(|finite| self.standing(optimizer, fragment, finite));
        let say = |standing: &Standing| Said { standing: *standing, ..ready() };
        let (standing, said, waited) = agree(&self.world, "reading weights", standing, say)?;
        let (broken, idle) = (who(&said, Standing::NotFinite), who(&said, Standing::NoStep));
        let mut bytes = 0;
        let (outcome, done) = if !broken.is_empty() {
            let done = self.packer.discard(optimizer, fragment, standing == Standing::NotFinite);
            (Outcome::Discarded { ranks: broken }, done.map(|()| 0))
        } else if !idle.is_empty() {
            (Outcome::Postponed { ranks: idle }, Ok(0))
        } else {
            let packed;
            (packed, bytes) = self.exchange(fragment)?;
            (Outcome::Synchronised, self.outer_step(optimizer, fragment, &packed))
        };
        let said = self.tell(done, waited)?;
        let mended = if self.settings.verify {
            self.mend(optimizer, fragment, &said, true)?
        } else {
            check_same(&said, "bytes received")?;
            vec![]
        };
        let (hash, waited) = (said[0].word, said.iter().map(|said| said.seconds).collect());
        let seconds = start.elapsed().as_secs_f64();
        let (fragment, steps) = (self.told(fragment), optimizer.steps());
        Ok(Report { round, fragment, steps, outcome, bytes, seconds, overlapped: 0.0, waited, mended, hash })
    }

    /// A fragment's number as reports have it.
    pub(crate) fn told(&self, fragment: usize) -> Option<usize> {
        (self.settings.fragments.len() > 1).then_some(fragment)
    }

    /// The packed mean of what all ranks have read of a fragment, and how many bytes were sent for it.
    fn exchange(&mut self, fragment: usize) -> Result<(Vec<u8>, u64), Error> {
        let (mut packed, ..) = agree(&self.world, "packing", self.packer.pack(fragment), |_| ready())?;
        let bytes = self.means[fragment].exchange(&self.world, &mut packed, None);
        Ok((packed, bytes))
    }

    /// Takes a fragment's mean as fast weights, and the outer step. Returns a hash.
    pub(crate) fn outer_step(
        &mut self,
        optimizer: &mut Optimizer,
        fragment: usize,
        packed: &[u8],
    ) -> Result<u64, Error> {
        self.packer.write_weights(optimizer, fragment, packed)?;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        optimizer.sync_last_step_of(&self.settings.fragments[fragment], &mut encoder)?;
        self.queue.submit([encoder.finish()]);
        if !self.settings.verify {
            return Ok(Hash::of_bytes(packed));
        }
        let slow = self.packer.blocks().read(optimizer, Field::SlowWeights, fragment)?;
        Ok(Hash::of(slow.iter().map(Vec::as_slice)))
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
            (packed, bytes) = self.exchange(0)?;
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
        let said = self.tell(done, waited)?;
        check_same(&said, "bytes received")?;
        let (hash, waited) = (said[0].word, said.iter().map(|said| said.seconds).collect());
        let (round, steps) = (self.place.turn + 1, optimizer.steps());
        self.place = self.settings.timetable.at(round, steps);
        let seconds = start.elapsed().as_secs_f64();
        Ok(Report {
            round,
            fragment: None,
            steps,
            outcome,
            bytes,
            seconds,
            overlapped: 0.0,
            waited,
            mended: vec![],
            hash,
        })
    }

    fn inner_step(&mut self, optimizer: &mut Optimizer) -> Result<(), Error> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        optimizer.step(&mut encoder)?;
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    /// What all ranks have come to: their hashes, and how long they have waited.
    pub(crate) fn tell(&self, hash: Result<u64, Error>, waited: f64) -> Result<Vec<Said>, Error> {
        let say = |hash: &u64| Said { word: *hash, seconds: waited, ..ready() };
        Ok(agree(&self.world, "taking the outer step", hash, say)?.1)
    }

    /// Whether all ranks have the same bits: the slow weights with local steps, the weights where gradients are exchanged.
    /// Returns their hash.
    ///
    /// # Errors
    ///
    /// [`Error::Diverged`], [`Error::Elsewhere`], and what reading weights gives.
    pub fn check(&self, optimizer: &Optimizer) -> Result<u64, Error> {
        let (hash, what) = match self.settings.mode {
            Mode::Local => (hash(optimizer, Field::SlowWeights), "slow weights"),
            Mode::Gradients => (hash(optimizer, Field::Weights), "weights"),
        };
        let (hash, said, _) =
            agree(&self.world, "comparing weights", hash, |hash| Said { word: *hash, ..ready() })?;
        check_same(&said, what)?;
        Ok(hash)
    }

    /// How this rank stands at a fragment's turn.
    pub(crate) fn standing(
        &self,
        optimizer: &Optimizer,
        fragment: usize,
        finite: bool,
    ) -> Result<Standing, Error> {
        if !finite {
            return Ok(Standing::NotFinite);
        }
        // A guard alone knows which steps were taken.
        let is_idle = optimizer.loss_scale().is_some() && self.has_idle(optimizer, fragment)?;
        Ok(if is_idle { Standing::NoStep } else { Standing::Ready })
    }

    /// Whether a group of a fragment has taken no step since its last sync.
    fn has_idle(&self, optimizer: &Optimizer, fragment: usize) -> Result<bool, Error> {
        let counters = optimizer.counters_blocking()?;
        for (group, counters) in optimizer.groups().zip(&counters.groups) {
            let is_here = self.settings.fragments[fragment].iter().any(|other| other == group);
            if is_here && counters.position == 0 && !optimizer.is_frozen(group)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a fragment has taken no step on any rank.
    fn rests(&self, optimizer: &Optimizer, fragment: usize) -> Result<bool, Error> {
        let say = |is_idle: &bool| Said { word: u64::from(*is_idle), ..ready() };
        let is_idle = self.has_idle(optimizer, fragment);
        let (_, said, _) = agree(&self.world, "looking for steps", is_idle, say)?;
        Ok(said.iter().all(|said| said.word == 1))
    }

    /// The mean of a number over all ranks, summed in their order: a loss, say.
    pub fn mean(&self, value: f64) -> f64 {
        let mut all = vec![0.0f64; self.size()];
        self.world.all_gather_into(&value, &mut all[..]);
        all.iter().sum::<f64>() / all.len() as f64
    }
}

fn hash(optimizer: &Optimizer, field: Field<'_>) -> Result<u64, Error> {
    Ok(Hash::of(optimizer.download_all_blocking(field)?.iter().map(Vec::as_slice)))
}

impl Drop for Workers {
    /// Others may have sent already what this one has not.
    fn drop(&mut self) {
        self.give_up();
    }
}
