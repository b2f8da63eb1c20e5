//! The optimizer's state under PyTorch's names.

use safetensors::Dtype;

use super::{
    container::{self, Contents, Entry, Type, shown},
    format::entry_shape,
};
use crate::{
    error::{Error, list},
    layout::field::Field,
    rules,
    snapshot::{Snapshot, TensorSnapshot},
};

/// What bytes are called in errors.
const STATE: &str = "the file of optimizer state";

/// The largest step that PyTorch's f32 tells from the one after it.
const EXACT: u64 = 1 << 24;

impl Snapshot {
    /// The rule's state and step counts as the bytes of a safetensors file with PyTorch's names: `{tensor}.{slot}`
    /// in F32, and `{tensor}.step`, a scalar in F32 (F64 from 2^24 on, where F32 is no longer exact).
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] where two entries would have one name, or the snapshot contradicts itself.
    pub fn to_torch(&self) -> Result<Vec<u8>, Error> {
        self.encode_torch().map_err(wrong)
    }

    fn encode_torch(&self) -> Result<Vec<u8>, String> {
        let counts: Vec<_> = self.tensors.iter().map(|tensor| self.count_of(&tensor.group)).collect();
        let steps: Vec<_> = counts.iter().map(|count| step_bytes(count.unwrap_or(0))).collect();
        let mut entries = Vec::new();
        for ((tensor, count), step) in self.tensors.iter().zip(&counts).zip(&steps) {
            let name = &tensor.name;
            if count.is_none() {
                return Err(no_group(name, &tensor.group));
            }
            for (field, values) in &tensor.fields {
                if let Some(Field::State(slot)) = Field::parse(field) {
                    let shape = entry_shape(&tensor.shape, field, values.len());
                    entries.push((format!("{name}.{slot}"), Entry::f32(&shape, values)));
                }
            }
            let dtype = if step.len() == 4 { Dtype::F32 } else { Dtype::F64 };
            entries.push((format!("{name}.step"), Entry::new(dtype, &[], step)));
        }
        container::write(entries, ("format", "pt".to_owned()))
    }

    /// Takes the rule's state and step counts from the bytes of a safetensors file with PyTorch's names:
    /// `{tensor}.{slot}` for every slot of the rule, in F32, F64, F16 or BF16, and `{tensor}.step`, a scalar that
    /// all tensors of a group agree on. Slow copies of the state stay as they are.
    ///
    /// PyTorch has no state for parameters that are frozen or were never used. Tensors of which the file has none keep
    /// theirs, and are [reported](TorchImport). Steps are counted by group here: such a tensor, once it trains, takes its
    /// bias corrections from its group's count, as if its state had been zeros for so long. Put what starts later into
    /// a group of its own.
    ///
    /// Where the rule asks no step (SGD, Lion, RMSProp, Adadelta, LARS), a file need not have one: the momentum counts
    /// as begun.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`], with nothing changed: where the file has a part of a tensor's state, or nothing of any
    /// tensor, it lists all that is wrong, and the names that it has.
    pub fn import_torch(&mut self, bytes: &[u8]) -> Result<TorchImport, Error> {
        self.import_torch_with(bytes, str::to_owned)
    }

    /// [`import_torch`](Self::import_torch) where the names are others: `names` gives for the name of each parameter (an
    /// entry's up to its last dot) the tensor's here. [`without_wrappers`](super::without_wrappers) is one.
    ///
    /// # Errors
    ///
    /// As [`import_torch`](Self::import_torch), and [`Error::Checkpoint`] where two entries are given one name.
    pub fn import_torch_with(
        &mut self,
        bytes: &[u8],
        names: impl Fn(&str) -> String,
    ) -> Result<TorchImport, Error> {
        let mut changed = self.clone();
        let report = changed.decode_torch(bytes, names).map_err(wrong)?;
        *self = changed;
        Ok(report)
    }

    fn decode_torch(&mut self, bytes: &[u8], names: impl Fn(&str) -> String) -> Result<TorchImport, String> {
        let rename = |entry: &str| match entry.rsplit_once('.') {
            Some((parameter, slot)) => format!("{}.{slot}", names(parameter)),
            None => entry.to_owned(),
        };
        let mut contents = container::read(bytes)?.renamed(rename)?;
        let (mut report, mut problems) = (TorchImport::default(), Vec::new());
        let mut steps = vec![None; self.groups.len()];
        for tensor in &mut self.tensors {
            let Some(group) = self.groups.iter().position(|group| group.name == tensor.group) else {
                return Err(no_group(&tensor.name, &tensor.group));
            };
            let (kept, rule) = (take_state(tensor, &mut contents, &mut problems), &self.groups[group].rule);
            match kept {
                Some(true) => report.imported.push(tensor.name.clone()),
                Some(false) => report.missing.push(tensor.name.clone()),
                None => {}
            }
            if kept != Some(false) {
                check_step(&tensor.name, rule, &mut contents, &mut steps[group], &mut problems);
            }
        }
        if report.imported.is_empty() && !report.missing.is_empty() && problems.is_empty() {
            let (missing, others) = (list(report.missing.iter().map(String::as_str)), list(contents.names()));
            problems.push(format!(
                "has no state of any tensor: there are {missing}, and in it {others}; `import_torch_with` takes a \
                 function that maps the names, as `checkpoint::without_wrappers` does"
            ));
        }
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        for (group, step) in self.groups.iter_mut().zip(steps) {
            match step {
                Some((Some(step), _)) => group.count = step,
                Some((None, _)) => group.count = group.count.max(1),
                None => {}
            }
        }
        report.left_over = contents.names().map(str::to_owned).collect();
        Ok(report)
    }

    fn count_of(&self, group: &str) -> Option<u64> {
        self.groups.iter().find(|other| other.name == group).map(|group| group.count)
    }
}

/// What [`Snapshot::import_torch`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TorchImport {
    /// The tensors whose state was taken.
    pub imported: Vec<String>,
    /// The tensors of which the file has no state: they keep theirs.
    pub missing: Vec<String>,
    /// The entries of the file that are no tensor's.
    pub left_over: Vec<String>,
}

/// Takes a tensor's slots. None where the rule has none, else whether the file has any.
fn take_state(
    tensor: &mut TensorSnapshot,
    contents: &mut Contents<'_>,
    problems: &mut Vec<String>,
) -> Option<bool> {
    let name = &tensor.name;
    let slot_of = |field: &str| match Field::parse(field) {
        Some(Field::State(slot)) => Some(format!("{name}.{slot}")),
        _ => None,
    };
    let keys: Vec<_> = tensor.fields.iter().filter_map(|(field, _)| slot_of(field)).collect();
    if keys.is_empty() {
        return None;
    }
    let is_there = |key: &String| contents.has(key);
    if !keys.iter().any(is_there) && !contents.has(&format!("{name}.step")) {
        return Some(false);
    }
    for (field, values) in &mut tensor.fields {
        let Some(key) = slot_of(field) else { continue };
        let due = entry_shape(&tensor.shape, field, values.len());
        match taken(&key, &due, contents) {
            Ok(found) => *values = found,
            Err(problem) => problems.push(problem),
        }
    }
    Some(true)
}

fn taken(key: &str, due: &[usize], contents: &mut Contents<'_>) -> Result<Vec<f32>, String> {
    let entry = contents.take(key)?.ok_or_else(|| format!("lacks `{key}`"))?;
    if entry.shape != due {
        let found = shown(&entry.shape);
        return Err(format!("has `{key}` in the shape {found}, and it is {due:?} here"));
    }
    let dtype = &entry.dtype;
    entry.converted().ok_or_else(|| format!("has `{key}` in {dtype}, and F32, F64, F16 or BF16 is due"))
}

/// Takes a tensor's step, which must be that of its group. `first`: the step of the group's first tensor, and its key.
fn check_step(
    tensor: &str,
    rule: &str,
    contents: &mut Contents<'_>,
    first: &mut Option<(Option<u64>, String)>,
    problems: &mut Vec<String>,
) {
    let key = format!("{tensor}.step");
    let found = match contents.take(&key) {
        Ok(Some(entry)) => step(&key, &entry).map(Some),
        Ok(None) if !rules::asks_count(rule) => Ok(None),
        Ok(None) => Err(format!("lacks `{key}`")),
        Err(problem) => Err(problem),
    };
    match (found, &first) {
        (Err(problem), _) => problems.push(problem),
        (Ok(step), None) => *first = Some((step, key)),
        (Ok(step), Some((there, other))) if step != *there => {
            let shown = |step: Option<u64>| step.map_or("missing".to_owned(), |step| step.to_string());
            let (here, there) = (shown(step), shown(*there));
            problems.push(format!(
                "has steps that differ in one group, which counts them for all its tensors: `{key}` is {here}, and \
                 `{other}` is {there}"
            ));
        }
        _ => {}
    }
}

fn wrong(problem: String) -> Error {
    Error::Checkpoint { file: STATE.to_owned(), problem }
}

fn no_group(tensor: &str, group: &str) -> String {
    format!("does not fit: the snapshot has `{tensor}` in the group `{group}`, which it does not have")
}

fn step_bytes(step: u64) -> Vec<u8> {
    if step <= EXACT { (step as f32).to_le_bytes().to_vec() } else { (step as f64).to_le_bytes().to_vec() }
}

/// A step, in any of the types in which versions of PyTorch keep it.
fn step(key: &str, entry: &Entry<'_>) -> Result<u64, String> {
    if container::count(&entry.shape) != Some(1) {
        return Err(format!("has `{key}` in the shape {}, and a scalar is due", shown(&entry.shape)));
    }
    let value = match (&entry.dtype, entry.data) {
        (Type::Known(Dtype::F32), &[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
        (Type::Known(Dtype::F64), &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
        (Type::Known(Dtype::I64), &[a, b, c, d, e, f, g, h]) => {
            i64::from_le_bytes([a, b, c, d, e, f, g, h]) as f64
        }
        (dtype, _) => return Err(format!("has `{key}` in {dtype}, and F32, F64 or I64 is due")),
    };
    if value.fract() != 0.0 || !(0.0..9_007_199_254_740_992.0).contains(&value) {
        return Err(format!("has `{key}` = {value}, and a whole number of at least 0 and below 2^53 is due"));
    }
    Ok(value as u64)
}
