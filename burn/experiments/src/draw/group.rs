//! Runs of one method that differ in their seeds.

use std::collections::BTreeMap;

use crate::run::method::{Inner, Slow};
use crate::run::record::{Record, Run};

use super::measure::Quantity;
use super::spread::Spread;

/// Runs of one method that differ in their seeds.
#[derive(Debug, Clone)]
pub struct Group<'a> {
    /// In legends and tables.
    pub label: String,
    /// One a seed; at least one.
    pub records: Vec<&'a Record>,
}

/// Records by what differs in more than the seed, in the order in which they come first. Labels are methods'
/// names and, where several groups have the same, the settings in which they differ.
pub fn by_method(records: &[Record]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for record in records {
        match groups.iter_mut().find(|group| group.records.iter().all(|other| is_same(other, record))) {
            Some(group) => group.records.push(record),
            None => groups.push(Group { label: record.run.method.name(), records: vec![record] }),
        }
    }
    let names: Vec<_> = groups.iter().map(|group| group.label.clone()).collect();
    let all: Vec<_> =
        groups.iter().map(|group| group.records.first().map(|record| settings(&record.run))).collect();
    for (i, group) in groups.iter_mut().enumerate() {
        let others = (0..names.len()).filter(|&other| names[other] == names[i]);
        let others: Vec<_> = others.filter_map(|other| all[other].as_ref()).collect();
        let own = all[i].iter().flatten();
        let differing = own.filter(|setting| others.iter().any(|other| !other.contains(setting)));
        let differing: Vec<_> = differing.map(String::as_str).collect();
        if !differing.is_empty() {
            group.label = format!("{}, {}", group.label, differing.join(", "));
        }
    }
    groups
}

fn is_same(one: &Record, other: &Record) -> bool {
    let (one, other) = (&one.run, &other.run);
    one.preset == other.preset && one.method == other.method && one.epochs == other.epochs
}

/// In words, as labels have them.
fn settings(run: &Run) -> Vec<String> {
    let method = &run.method;
    let epochs = if run.epochs == 1 { "1 epoch".to_owned() } else { format!("{} epochs", run.epochs) };
    let mut settings = vec![run.preset.clone(), epochs, format!("lr = {}", method.rate)];
    match method.inner {
        Inner::Sgd { momentum } => settings.push(format!("momentum = {momentum}")),
        Inner::Adam { beta2, eps } => {
            settings.extend([format!("beta2 = {beta2}"), format!("eps = {eps}")]);
        }
        Inner::AdamW | Inner::AdaFactor => {}
    }
    settings.push(format!("decay = {}", method.decay));
    if let Some(Slow { k, alpha, .. }) = method.lookahead {
        settings.extend([format!("k = {k}"), format!("alpha = {alpha}")]);
    }
    settings.push(match method.average {
        Some(_) => "averaged".to_owned(),
        None => "not averaged".to_owned(),
    });
    settings.push(match method.clip {
        Some(norm) => format!("clip = {norm}"),
        None => "not clipped".to_owned(),
    });
    settings
}

/// Whether a run ended before its last epoch, or with a loss that is not finite.
pub(super) fn is_diverged(record: &Record) -> bool {
    record.history.last().is_none_or(|last| {
        last.epoch < record.run.epochs || !last.train_loss.is_finite() || !last.valid.loss.is_finite()
    })
}

impl Group<'_> {
    /// How many of its runs diverged: ended before their last epoch, or with a loss that is not finite.
    pub fn diverged(&self) -> usize {
        self.records.iter().filter(|record| is_diverged(record)).count()
    }

    /// Whether its runs are with Lookahead.
    pub fn is_lookahead(&self) -> bool {
        self.records.iter().any(|record| record.run.method.lookahead.is_some())
    }

    /// By epoch, over all seeds. It ends before the first epoch at which a seed has no finite value; epochs
    /// at which one did not measure are left out.
    pub fn by_epoch(&self, quantity: Quantity) -> Vec<(u32, Spread)> {
        let mut epochs: BTreeMap<u32, Vec<Option<f64>>> = BTreeMap::new();
        for point in self.records.iter().flat_map(|record| &record.history) {
            epochs.entry(point.epoch).or_default().push(quantity.of(point));
        }
        let mut curve = Vec::new();
        for (epoch, values) in epochs {
            let measured: Vec<f64> = values.iter().flatten().copied().collect();
            if values.len() < self.records.len() || measured.iter().any(|value| !value.is_finite()) {
                break;
            }
            if measured.len() == self.records.len()
                && let Some(spread) = Spread::of(&measured)
            {
                curve.push((epoch, spread));
            }
        }
        curve
    }
}
