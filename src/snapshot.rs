//! The whole training state on the host: to survive a lost device, or to move to another one.

use crate::{
    access::Slice,
    error::Error,
    guard::ClockWords,
    lookahead::{Clock, StatePolicy},
    optimizer::Optimizer,
    readback::Field,
    transfer::{Reader, Writer},
};

/// All that training goes on from: weights, slow weights, state and counters. A run that is exported,
/// imported into a new optimizer of the same tensors and continued is bit-equal to one that never stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Steps taken, over all cycles.
    pub steps: u64,
    /// Steps that a guard skipped.
    pub skipped: u64,
    /// The loss scale, 1 without loss scaling.
    pub loss_scale: f32,
    /// What gradients are multiplied with: 1 / loss scale, as the GPU rounded it.
    pub loss_unscale: f32,
    /// Finite steps in a row since the loss scale changed.
    pub since_rescaled: u32,
    /// Micro-batches gathered for the next step.
    pub gathered: u32,
    /// Steps taken when the average was begun: 0, or those before the last [`reseed`](Optimizer::reseed).
    pub average_start: u64,
    /// The outer step's name.
    pub outer: String,
    /// One for each group.
    pub groups: Vec<GroupSnapshot>,
    /// One for each tensor.
    pub tensors: Vec<TensorSnapshot>,
}

/// Where a group stands.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSnapshot {
    /// The group's name.
    pub name: String,
    /// Its rule's name.
    pub rule: String,
    /// What a sync does to the state; none for the rule alone.
    pub policy: Option<StatePolicy>,
    /// Inner steps since the state was last initialised.
    pub count: u64,
    /// Steps since the last sync.
    pub position: u32,
    /// The slow weights have been seeded.
    pub seeded: bool,
    /// The learning rate, before schedule and factor.
    pub learning_rate: f64,
    /// The factor on the learning rate.
    pub learning_rate_factor: f64,
    /// k; none for the rule alone.
    pub k: Option<u32>,
    /// alpha; none for the rule alone.
    pub alpha: Option<f64>,
}

/// A tensor's values.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSnapshot {
    /// The tensor's name.
    pub name: String,
    /// Its group's name.
    pub group: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// Each field that the optimizer keeps of it, by its name as [`Field`] displays it (`weights`,
    /// `state.exp_avg`), in the optimizer's order. bf16 values are given as the f32 they stand for.
    pub fields: Vec<(String, Vec<f32>)>,
}

/// Steps that a counter can hold: all of them exact in f64.
const MAX_STEPS: u64 = 1 << 53;

impl Optimizer {
    /// Everything, once all that was submitted is done. Steps that are recorded must have been submitted. All values
    /// are copied side by side, by one submit and with one wait for each 64 MiB, however many tensors there are; the
    /// future ends by itself, as a [`download`](Self::download) does.
    ///
    /// # Errors
    ///
    /// [`Error::Swapped`], [`Error::Range`] where a borrowed buffer lacks the usage `COPY_SRC`,
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub async fn export(&self) -> Result<Snapshot, Error> {
        let (clock, values) = self.read_state().await?;
        self.snapshot(clock, values)
    }

    /// [`Self::export`], waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::export`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn export_blocking(&self) -> Result<Snapshot, Error> {
        pollster::block_on(self.export())
    }

    /// The clock, and every field of every tensor in the order in which `snapshot` takes their values.
    async fn read_state(&self) -> Result<(ClockWords, Vec<Vec<f32>>), Error> {
        let fields = (0..self.layout.tensors.len())
            .flat_map(|tensor| self.fields_of(tensor).into_iter().map(move |field| (tensor, field)));
        let sources = fields.map(|(tensor, field)| self.source(field, tensor));
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        let clock = self.guard.as_ref().map(|guard| Slice::whole(&guard.clock));
        let slices = clock.iter().chain(sources.iter().flat_map(|source| &source.slices));
        let mut reader = Reader::new(self, slices.cloned());
        let clock = match &clock {
            Some(clock) => ClockWords::from_bytes(&reader.slice(clock).await?),
            None => self.host_clock(),
        };
        Ok((clock, reader.all(&sources).await?))
    }

    /// Goes on from a snapshot. Tensors, rules, policies and what is kept of each tensor must be those of the
    /// optimizer that exported it. Learning rates, k, alpha and which groups are frozen may differ, and stay the
    /// optimizer's: a cycle that was under way ends with its k and alpha.
    ///
    /// # Errors
    ///
    /// [`Error::Snapshot`], with nothing written; [`Error::Swapped`].
    pub fn import(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        self.check_not_swapped("import")?;
        self.check_snapshot(snapshot)?;
        let mut writer = Writer::new(self);
        for (index, from) in snapshot.tensors.iter().enumerate() {
            for (field, values) in self.fields_of(index).into_iter().zip(&from.fields) {
                writer.field(field, index, &values.1)?;
            }
        }
        writer.finish()?;
        for (group, from) in self.groups.iter_mut().zip(&snapshot.groups) {
            group.clock = Clock { count: from.count, position: from.position, seed: !from.seeded };
        }
        self.steps = snapshot.steps;
        self.gathered = snapshot.gathered;
        self.average_start = snapshot.average_start;
        self.write_clock(snapshot)
    }

    /// Sets the guard's clock.
    fn write_clock(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let Some(guard) = &self.guard else { return Ok(()) };
        let clock = ClockWords {
            steps: snapshot.steps,
            skipped: snapshot.skipped,
            tracker: snapshot.since_rescaled,
            scale: snapshot.loss_scale,
            unscale: snapshot.loss_unscale,
            average_start: snapshot.average_start,
            groups: snapshot.groups.iter().map(|group| (group.count, group.position)).collect(),
        };
        let latched: Vec<_> = self
            .groups
            .iter()
            .map(|group| group.lookahead.map_or((1, 0.0), |l| (l.k, (1.0 - l.alpha) as f32)))
            .collect();
        let words = clock.encode(&latched);
        let (_, problem) = crate::gpu::scoped(&self.device, || {
            self.queue.write_buffer(&guard.clock, 0, bytemuck::cast_slice(&words));
        });
        match futures::FutureExt::now_or_never(problem) {
            Some(Some(problem)) => Err(crate::gpu::error(&self.device, &problem, "writing the clock")),
            _ => Ok(()),
        }
    }

    /// What is kept of a tensor. Gradients come anew with every step.
    pub(crate) fn fields_of(&self, tensor: usize) -> Vec<Field<'static>> {
        let group = self.layout.tensors[tensor].group;
        let mut fields = vec![Field::Weights];
        if self.groups[group].lookahead.is_some() {
            fields.push(Field::SlowWeights);
        }
        fields.extend(self.planes[group].fields());
        fields.extend(self.moment_fields(tensor));
        fields
    }

    fn snapshot(&self, clock: ClockWords, values: Vec<Vec<f32>>) -> Result<Snapshot, Error> {
        let mut values = values.into_iter();
        let tensors = self.layout.tensors.iter().enumerate().map(|(index, tensor)| TensorSnapshot {
            name: tensor.name.clone(),
            group: self.groups[tensor.group].name.clone(),
            shape: tensor.shape.clone(),
            fields: self.fields_of(index).iter().map(Field::to_string).zip(values.by_ref()).collect(),
        });
        let tensors = tensors.collect();
        let group = |(group, &(count, position)): (&crate::group::GroupState, &(u64, u32))| GroupSnapshot {
            name: group.name.clone(),
            rule: group.rule.name().to_owned(),
            policy: group.lookahead.map(|lookahead| lookahead.policy),
            count,
            position,
            seeded: !group.clock.seed,
            learning_rate: group.learning_rate,
            learning_rate_factor: group.factor,
            k: group.lookahead.map(|lookahead| lookahead.k),
            alpha: group.lookahead.map(|lookahead| lookahead.alpha),
        };
        let groups = self.groups.iter().zip(&clock.groups).map(group).collect();
        Ok(Snapshot {
            steps: clock.steps,
            skipped: clock.skipped,
            loss_scale: clock.scale,
            loss_unscale: clock.unscale,
            since_rescaled: clock.tracker,
            gathered: self.gathered,
            average_start: clock.average_start,
            outer: self.options.outer.name().to_owned(),
            groups,
            tensors,
        })
    }

    fn check_snapshot(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let differ = |problem: String| Err(Error::Snapshot { problem });
        let steps =
            snapshot.groups.iter().map(|group| group.count).chain([snapshot.steps]).max().unwrap_or(0);
        if steps >= MAX_STEPS {
            return differ(format!("it counts {steps} steps, and 2^53 is the most"));
        }
        if snapshot.average_start > snapshot.steps {
            let (start, steps) = (snapshot.average_start, snapshot.steps);
            return differ(format!("its average began after {start} steps, and it counts {steps}"));
        }
        if self.guard.is_some() && steps.max(snapshot.skipped) > u64::from(u32::MAX) {
            return differ(format!("it counts {steps} steps, and a guard counts to 2^32"));
        }
        let scale = snapshot.loss_scale;
        if !(1e-30..=1e30).contains(&scale) {
            return differ(format!("its loss scale is {scale}, and must be in [1e-30, 1e30]"));
        }
        let unscale = snapshot.loss_unscale;
        if !(0.999..=1.001).contains(&(unscale * scale)) {
            return differ(format!("its loss scale is {scale}, and the inverse of it {unscale}"));
        }
        let (here, there) = (self.options.micro_batches(), snapshot.gathered);
        if there >= here {
            return differ(format!("{there} micro-batches are gathered in it, and a step has {here} here"));
        }
        if self.guard.is_none() && there > 0 && snapshot.loss_scale != 1.0 {
            return differ(format!(
                "what it has gathered is scaled by {}, and nothing unscales it here",
                snapshot.loss_scale
            ));
        }
        let (here, there) = (self.options.outer.name(), &snapshot.outer);
        if here != there {
            return differ(format!("its outer step is `{there}`, and `{here}` here"));
        }
        let (here, there) = (self.groups.len(), snapshot.groups.len());
        if here != there {
            return differ(format!("it has {there} groups, and the optimizer has {here}"));
        }
        for (group, from) in self.groups.iter().zip(&snapshot.groups) {
            let name = &group.name;
            if *name != from.name {
                return differ(format!("its group `{}` is `{name}` here", from.name));
            }
            if group.rule.name() != from.rule {
                let (there, here) = (&from.rule, group.rule.name());
                return differ(format!(
                    "the rule of the group `{name}` is `{there}` in it and `{here}` here"
                ));
            }
            let policy = group.lookahead.map(|lookahead| lookahead.policy);
            if policy != from.policy {
                let there = from.policy;
                return differ(format!(
                    "the policy of the group `{name}` is {there:?} in it and {policy:?} here"
                ));
            }
            // A cycle whose alpha takes a gradient at theta_k has one more step.
            let synchronised = self.options.adaptive.map(|adaptive| adaptive.gradient)
                == Some(crate::alpha::GradientAt::Synchronised);
            let k =
                group.lookahead.map_or(1, |lookahead| lookahead.k.saturating_add(u32::from(synchronised)));
            if from.position >= k {
                let position = from.position;
                return differ(format!("the group `{name}` is at step {position} of a cycle of {k} here"));
            }
        }
        let (here, there) = (self.layout.tensors.len(), snapshot.tensors.len());
        if here != there {
            return differ(format!("it has {there} tensors, and the optimizer has {here}"));
        }
        for (index, (tensor, from)) in self.layout.tensors.iter().zip(&snapshot.tensors).enumerate() {
            let name = &tensor.name;
            if *name != from.name || tensor.shape != from.shape {
                let (there, here) = (&from.shape, &tensor.shape);
                return differ(format!("its tensor `{}` {there:?} is `{name}` {here:?} here", from.name));
            }
            let (there, here) = (&from.group, &self.groups[tensor.group].name);
            if here != there {
                return differ(format!("the group of its tensor `{name}` is `{there}`, and `{here}` here"));
            }
            let mut expected = self.fields_of(index).into_iter();
            for (kept, values) in &from.fields {
                let len = match expected.next() {
                    Some(field) if field.to_string() == *kept => self.field_len(field, index),
                    Some(field) => {
                        return differ(format!("`{name}` has `{kept}` in it where `{field}` is due here"));
                    }
                    None => return differ(format!("`{name}` has `{kept}` in it, which is not due here")),
                };
                if values.len() as u64 != len {
                    let found = values.len();
                    return differ(format!("`{kept}` of `{name}` has {found} values, not {len}"));
                }
            }
            if let Some(field) = expected.next() {
                return differ(format!("`{field}` of `{name}` is missing in it"));
            }
            if let Some(slices) = &self.borrowed {
                slices[index].check_usage("weights", name, wgpu::BufferUsages::COPY_DST)?;
            }
        }
        Ok(())
    }
}

impl TensorSnapshot {
    /// The values of a field, if it is there.
    pub fn field(&self, field: Field<'_>) -> Option<&[f32]> {
        let name = field.to_string();
        self.fields.iter().find(|(other, _)| *other == name).map(|(_, values)| values.as_slice())
    }
}
