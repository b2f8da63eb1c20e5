//! Settings of workers, and what does not go with them.

use lookahead_wgpu::{Field, Optimizer, wgpu};
use mpi::topology::SimpleCommunicator;

use crate::{
    beside::{Beside, check_threads},
    error::Error,
    fingerprint::{check_alike, fingerprint},
    meeting::{agree, ready, texts},
    packing::Packer,
    settings::{Mode, NEVER, Packing, Settings, Streaming},
    timetable::Timetable,
    wire::Wire,
    workers::Workers,
};

/// Settings of [`Workers`] to be; [`Workers::builder`] begins one.
pub struct Builder {
    world: SimpleCommunicator,
    period: Option<u32>,
    streaming: Option<Streaming>,
    settings: Settings,
}

impl Builder {
    pub(crate) fn new(world: SimpleCommunicator) -> Self {
        let settings = Settings {
            mode: Mode::default(),
            wire: Wire::default(),
            packing: Packing::default(),
            verify: true,
            fragments: vec![],
            timetable: Timetable::whole(1),
            mixing: 0.0,
        };
        Self { world, period: None, streaming: None, settings }
    }

    /// With rounds of so many inner steps: k, or H in DiLoCo. By default it is the optimizer's k.
    pub fn period(self, period: u32) -> Self {
        Self { period: Some(period), ..self }
    }

    /// With parts of the model exchanged one after the other, beside steps; as a whole and between steps by default.
    pub fn streaming(self, streaming: Streaming) -> Self {
        Self { streaming: Some(streaming), ..self }
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
    /// default. Without it what was received is, at no cost, and [`Workers::check`] compares weights when asked. Where
    /// fragments are exchanged beside steps do without: ranks wait for each other where they compare.
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
    /// rule that reads the slow weights, a guard with the policy reset or in the middle of a cycle. Where gradients are
    /// exchanged: half-width or borrowed ones, variance reduction, a curvature that is given. Fragments that do not have
    /// each group once, or do not go into the period. [`Error::Threads`]. What [`Optimizer::set_k`] gives. [`Error::Elsewhere`].
    pub fn build(
        self,
        optimizer: &mut Optimizer,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
    ) -> Result<Workers, Error> {
        let Self { world, period, streaming, mut settings } = self;
        let periods = prepare(optimizer, period, streaming, &mut settings);
        let prepared = periods.clone().and_then(|_| {
            let packer = Packer::new(optimizer, &settings, device, queue)?;
            Ok((packer, fingerprint(optimizer, &settings)?))
        });
        let alike = agree(&world, "building", prepared, |_| ready())
            .and_then(|((packer, text), ..)| check_alike(&texts(&world, &text)).map(|()| packer));
        let made = alike.and_then(|packer| {
            let is_beside = settings.timetable.overlap > 0;
            Ok((packer, if is_beside { Some(beside(&world)?) } else { None }))
        });
        match made {
            Ok((packer, beside)) => {
                let device = (device.clone(), queue.clone());
                Ok(Workers::new(world, settings, device, packer, beside, optimizer.steps()))
            }
            Err(error) => {
                for (group, k) in periods.unwrap_or_default() {
                    optimizer.set_k(&group, k)?;
                }
                Err(error)
            }
        }
    }
}

/// A thread that all ranks have.
fn beside(world: &SimpleCommunicator) -> Result<Beside, Error> {
    let (mut beside, ..) = agree(world, "beginning a thread", Beside::new(world), |_| ready())?;
    let started = beside.start();
    agree(world, "beginning a thread", started, |()| ready())?;
    Ok(beside)
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
    streaming: Option<Streaming>,
    settings: &mut Settings,
) -> Result<Vec<(String, u32)>, Error> {
    let groups: Vec<String> = optimizer.groups().map(str::to_owned).collect();
    settings.fragments = vec![groups.clone()];
    let Some(first) = optimizer.tensors().next().map(|(name, _)| name.to_owned()) else { return Ok(vec![]) };
    if settings.mode == Mode::Gradients {
        if streaming.is_some() {
            return refuse(
                "streaming",
                "is for local steps; gradients are exchanged in each step, as a whole",
            );
        }
        return check_gradients(optimizer, &first).map(|()| vec![]);
    }
    check_local(optimizer, &first)?;
    let own = own_periods(optimizer, &groups)?;
    let same = own.iter().all(|k| *k == own[0]);
    let period = match period {
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
    settings.timetable = Timetable::whole(period);
    if let Some(streaming) = streaming {
        stream(streaming, &with_tensors(optimizer)?, settings)?;
    }
    let before: Vec<_> = groups.into_iter().zip(own).filter(|(_, k)| *k != NEVER).collect();
    if !before.is_empty() {
        check_begins(optimizer)?;
    }
    for (index, (group, _)) in before.iter().enumerate() {
        if let Err(problem) = optimizer.set_k(group, NEVER) {
            for (group, k) in &before[..index] {
                optimizer.set_k(group, *k)?;
            }
            return Err(problem.into());
        }
    }
    Ok(before)
}

/// Refuses cycles under way that a guard ends by itself.
fn check_begins(optimizer: &Optimizer) -> Result<(), Error> {
    if optimizer.loss_scale().is_some()
        && optimizer.counters_blocking()?.groups.iter().any(|group| group.position > 0)
    {
        return refuse(
            "a cycle under way",
            "is ended by the guard, on this worker's weights alone; call `sync_now` before, or build workers at its start",
        );
    }
    Ok(())
}

/// The groups' k, of groups that go with local steps.
fn own_periods(optimizer: &Optimizer, groups: &[String]) -> Result<Vec<u32>, Error> {
    let mut own = Vec::new();
    for group in groups {
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
    Ok(own)
}

/// The groups that have tensors.
fn with_tensors(optimizer: &Optimizer) -> Result<Vec<String>, Error> {
    let of_tensors = optimizer.tensors().map(|(tensor, _)| optimizer.group_of(tensor));
    let of_tensors = of_tensors.collect::<Result<Vec<_>, _>>()?;
    Ok(optimizer.groups().filter(|group| of_tensors.contains(group)).map(str::to_owned).collect())
}

/// Takes fragments and their timetable into the settings.
fn stream(streaming: Streaming, groups: &[String], settings: &mut Settings) -> Result<(), Error> {
    let Streaming { overlap, mixing, fragments } = streaming;
    let fragments = fragments.unwrap_or_else(|| groups.iter().map(|group| vec![group.clone()]).collect());
    let mut named: Vec<&str> = fragments.iter().flatten().map(String::as_str).collect();
    let mut expected: Vec<&str> = groups.iter().map(String::as_str).collect();
    named.sort_unstable();
    expected.sort_unstable();
    if fragments.iter().any(Vec::is_empty) {
        return refuse("a fragment without groups", "has nothing to exchange; leave it out");
    }
    if named != expected {
        let problem = format!("have the groups {named:?}; name each of {expected:?} once");
        return refuse("the fragments", &problem);
    }
    let count = fragments.len() as u32;
    let timetable = Timetable { fragments: count, overlap, ..settings.timetable };
    let period = timetable.period;
    if count > period {
        let problem =
            format!("do not have a step each in a period of {period}; give fewer, or a longer period");
        return refuse(&format!("{count} fragments"), &problem);
    }
    if overlap > 0 && overlap >= timetable.least_gap() {
        let gap = timetable.least_gap();
        let problem =
            format!("reaches the next fragment's turn, {gap} steps later; give less, or a longer period");
        return refuse(&format!("an overlap of {overlap} steps"), &problem);
    }
    if !(0.0..1.0).contains(&mixing) {
        let problem = "is not at least 0 and below 1, with which nobody would take note of the slow weights";
        return refuse(&format!("a mixing factor of {mixing}"), problem);
    }
    if overlap > 0 {
        check_threads()?;
    }
    (settings.fragments, settings.timetable, settings.mixing) = (fragments, timetable, mixing);
    Ok(())
}
