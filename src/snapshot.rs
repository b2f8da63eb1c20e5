//! The whole training state on the host: to survive a lost device, or to move to another one.

use crate::{
    error::Error,
    layout::Tensor,
    lookahead::{Clock, StatePolicy},
    optimizer::Optimizer,
    readback::Field,
};

/// All that training goes on from: weights, slow weights, state and counters. A run that is exported,
/// imported into a new optimizer of the same tensors and continued is bit-equal to one that never stopped.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Steps taken, over all cycles.
    pub steps: u64,
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
    /// Inner steps since the last sync.
    pub position: u32,
    /// The slow weights have been seeded.
    pub seeded: bool,
    /// The state is at its initial values.
    pub initial: bool,
    /// No sync has been yet.
    pub first_cycle: bool,
}

/// A tensor's values.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorSnapshot {
    /// The tensor's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The fast weights.
    pub weights: Vec<f32>,
    /// The slow weights; none for the rule alone.
    pub slow_weights: Option<Vec<f32>>,
    /// Each state slot, by name.
    pub state: Vec<(String, Vec<f32>)>,
    /// The slow copy of each, where the policy is to interpolate.
    pub slow_state: Vec<(String, Vec<f32>)>,
}

/// Steps that a counter can hold: all of them exact in f64.
const MAX_STEPS: u64 = 1 << 53;

impl Optimizer {
    /// Everything, once all that was submitted is done. Steps that are recorded must have been submitted. On
    /// native targets something must poll the device meanwhile; [`export_blocking`](Self::export_blocking)
    /// does.
    ///
    /// # Errors
    ///
    /// [`Error::Swapped`], [`Error::Range`] where a borrowed buffer lacks the usage `COPY_SRC`,
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub async fn export(&self) -> Result<Snapshot, Error> {
        let mut tensors = Vec::new();
        for (name, field) in self.fields() {
            tensors.push(self.download(field, name).await?);
        }
        self.snapshot(tensors)
    }

    /// [`Self::export`], polling the device and waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::export`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn export_blocking(&self) -> Result<Snapshot, Error> {
        let values = self.fields().into_iter().map(|(name, field)| self.download_blocking(field, name));
        self.snapshot(values.collect::<Result<_, _>>()?)
    }

    /// Goes on from a snapshot. Tensors, rules and policies must be those of the optimizer that exported it;
    /// learning rates, k and alpha may differ.
    ///
    /// # Errors
    ///
    /// [`Error::Snapshot`], with nothing written; [`Error::Swapped`].
    pub fn import(&mut self, snapshot: &Snapshot) -> Result<(), Error> {
        self.check_not_swapped("import")?;
        self.check_snapshot(snapshot)?;
        for tensor in &snapshot.tensors {
            self.write(&self.weights_slices(&tensor.name)?, &tensor.weights)?;
            if let Some(slow) = &tensor.slow_weights {
                self.write(&self.slow_weights_slices(&tensor.name)?, slow)?;
            }
            for (slot, (_, values)) in tensor.state.iter().enumerate() {
                self.write(&self.state_slices(&tensor.name, slot, |window| window.state.as_ref())?, values)?;
            }
            for (slot, (_, values)) in tensor.slow_state.iter().enumerate() {
                let slices = self.state_slices(&tensor.name, slot, |window| window.slow_state.as_ref())?;
                self.write(&slices, values)?;
            }
        }
        for (group, from) in self.groups.iter_mut().zip(&snapshot.groups) {
            group.clock = Clock {
                count: from.count,
                position: from.position,
                seed: !from.seeded,
                init: from.initial,
                first_cycle: from.first_cycle,
            };
        }
        self.steps = snapshot.steps;
        Ok(())
    }

    /// Every field of every tensor, in the order in which `snapshot` takes their values.
    fn fields(&self) -> Vec<(&str, Field<'static>)> {
        let of = |tensor| self.fields_of(tensor).into_iter().map(|field| (tensor.name.as_str(), field));
        self.layout.tensors.iter().flat_map(of).collect()
    }

    fn fields_of(&self, tensor: &Tensor) -> Vec<Field<'static>> {
        let group = &self.groups[tensor.group];
        let policy = group.lookahead.map(|lookahead| lookahead.policy);
        let mut fields = vec![Field::Weights];
        if policy.is_some() {
            fields.push(Field::SlowWeights);
        }
        let slots = group.rule.slots();
        fields.extend(slots.iter().map(|slot| Field::State(slot.name)));
        if policy == Some(StatePolicy::Interpolate) {
            fields.extend(slots.iter().map(|slot| Field::SlowState(slot.name)));
        }
        fields
    }

    fn snapshot(&self, values: Vec<Vec<f32>>) -> Result<Snapshot, Error> {
        let blank = |tensor: &Tensor| TensorSnapshot {
            name: tensor.name.clone(),
            shape: tensor.shape.clone(),
            weights: vec![],
            slow_weights: None,
            state: vec![],
            slow_state: vec![],
        };
        let mut tensors: Vec<_> = self.layout.tensors.iter().map(blank).collect();
        for ((name, field), values) in self.fields().into_iter().zip(values) {
            let tensor = &mut tensors[self.layout.find(name)?];
            match field {
                Field::Weights => tensor.weights = values,
                Field::Gradients => {}
                Field::SlowWeights => tensor.slow_weights = Some(values),
                Field::State(slot) => tensor.state.push((slot.to_owned(), values)),
                Field::SlowState(slot) => tensor.slow_state.push((slot.to_owned(), values)),
            }
        }
        let groups = self.groups.iter().map(|group| GroupSnapshot {
            name: group.name.clone(),
            rule: group.rule.name().to_owned(),
            policy: group.lookahead.map(|lookahead| lookahead.policy),
            count: group.clock.count,
            position: group.clock.position,
            seeded: !group.clock.seed,
            initial: group.clock.init,
            first_cycle: group.clock.first_cycle,
        });
        Ok(Snapshot { steps: self.steps, groups: groups.collect(), tensors })
    }

    fn check_snapshot(&self, snapshot: &Snapshot) -> Result<(), Error> {
        let differ = |problem: String| Err(Error::Snapshot { problem });
        let steps =
            snapshot.groups.iter().map(|group| group.count).chain([snapshot.steps]).max().unwrap_or(0);
        if steps >= MAX_STEPS {
            return differ(format!("it counts {steps} steps, and 2^53 is the most"));
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
            let k = group.lookahead.map_or(1, |lookahead| lookahead.k);
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
            let mut expected = self.fields_of(tensor).into_iter();
            for (kept, values) in from.fields() {
                match expected.next() {
                    Some(field) if field == kept => {}
                    Some(field) => {
                        return differ(format!("`{name}` has {kept:?} in it where {field:?} is due here"));
                    }
                    None => return differ(format!("`{name}` has {kept:?} in it, which is not due here")),
                }
                if values.len() as u64 != tensor.len {
                    let (len, found) = (tensor.len, values.len());
                    return differ(format!("{kept:?} of `{name}` has {found} values, not {len}"));
                }
            }
            if let Some(field) = expected.next() {
                return differ(format!("{field:?} of `{name}` is missing in it"));
            }
            if let Some(slices) = &self.borrowed {
                slices[index].check_usage("weights", name, wgpu::BufferUsages::COPY_DST)?;
            }
        }
        Ok(())
    }
}

impl TensorSnapshot {
    /// What it holds, in the order of `Optimizer::fields`.
    fn fields(&self) -> impl Iterator<Item = (Field<'_>, &[f32])> {
        let weights = std::iter::once((Field::Weights, self.weights.as_slice()));
        let slow = self.slow_weights.iter().map(|values| (Field::SlowWeights, values.as_slice()));
        let state = self.state.iter().map(|(slot, values)| (Field::State(slot), values.as_slice()));
        let copies = self.slow_state.iter().map(|(slot, values)| (Field::SlowState(slot), values.as_slice()));
        weights.chain(slow).chain(state).chain(copies)
    }
}
