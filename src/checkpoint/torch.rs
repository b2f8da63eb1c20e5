//! The optimizer's state under PyTorch's names.

use safetensors::Dtype;

use super::{
    container::{self, Contents, Entry, shown},
    format::entry_shape,
};
use crate::{error::Error, readback::Field, snapshot::Snapshot};

/// What bytes are called in errors.
const STATE: &str = "the file of optimizer state";

/// The largest step that PyTorch's f32 tells from the one after it.
const EXACT: u64 = 1 << 24;

/// The rules whose optimizer in PyTorch, SGD, keeps no step.
const STEPLESS: [&str; 3] = ["sgd", "heavy_ball", "nesterov"];

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
            entries.push((format!("{name}.step"), Entry { dtype, shape: vec![], data: step }));
        }
        container::write(entries, ("format", "pt".to_owned()))
    }

    /// Takes the rule's state and step counts from the bytes of a safetensors file with PyTorch's names:
    /// `{tensor}.{slot}` for every slot of the rule, in F32, F64, F16 or BF16, and `{tensor}.step`, a scalar that
    /// all tensors of a group agree on. PyTorch's SGD keeps no step: without one, its momentum counts as begun.
    /// Slow copies of the state stay as they are. The names of other entries are given back.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`], with nothing changed.
    pub fn import_torch(&mut self, bytes: &[u8]) -> Result<Vec<String>, Error> {
        let mut changed = self.clone();
        let others = changed.decode_torch(bytes).map_err(wrong)?;
        *self = changed;
        Ok(others)
    }

    fn decode_torch(&mut self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let Contents { mut entries, .. } = container::read(bytes)?;
        // The step that each group's first tensor has, and its name.
        let mut steps: Vec<Option<(Option<u64>, String)>> = vec![None; self.groups.len()];
        for tensor in &mut self.tensors {
            let name = &tensor.name;
            let Some(group) = self.groups.iter().position(|group| group.name == tensor.group) else {
                return Err(no_group(name, &tensor.group));
            };
            for (field, values) in &mut tensor.fields {
                let Some(Field::State(slot)) = Field::parse(field) else { continue };
                let key = format!("{name}.{slot}");
                let Some(entry) = entries.remove(&key) else { return Err(format!("lacks `{key}`")) };
                let due = entry_shape(&tensor.shape, field, values.len());
                if entry.shape != due {
                    let found = shown(&entry.shape);
                    return Err(format!("has `{key}` in the shape {found}, and it is {due:?} here"));
                }
                *values = entry.converted().ok_or_else(|| {
                    format!("has `{key}` in {}, and F32, F64, F16 or BF16 is due", entry.dtype)
                })?;
            }
            let key = format!("{name}.step");
            let step = match entries.remove(&key) {
                Some(entry) => Some(step(&key, &entry)?),
                None if STEPLESS.contains(&self.groups[group].rule.as_str()) => None,
                None => return Err(format!("lacks `{key}`")),
            };
            match &steps[group] {
                None => steps[group] = Some((step, key)),
                Some((first, _)) if *first == step => {}
                Some((first, other)) => {
                    let shown =
                        |step: &Option<u64>| step.map_or("missing".to_owned(), |step| step.to_string());
                    let (here, there) = (shown(&step), shown(first));
                    return Err(format!(
                        "has steps that differ in one group: `{key}` is {here}, and `{other}` is {there}"
                    ));
                }
            }
        }
        for (group, step) in self.groups.iter_mut().zip(steps) {
            match step {
                Some((Some(step), _)) => group.count = step,
                Some((None, _)) => group.count = group.count.max(1),
                None => {}
            }
        }
        Ok(entries.into_keys().collect())
    }

    fn count_of(&self, group: &str) -> Option<u64> {
        self.groups.iter().find(|other| other.name == group).map(|group| group.count)
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
    let value = match (entry.dtype, entry.data) {
        (Dtype::F32, &[a, b, c, d]) => f64::from(f32::from_le_bytes([a, b, c, d])),
        (Dtype::F64, &[a, b, c, d, e, f, g, h]) => f64::from_le_bytes([a, b, c, d, e, f, g, h]),
        (Dtype::I64, &[a, b, c, d, e, f, g, h]) => i64::from_le_bytes([a, b, c, d, e, f, g, h]) as f64,
        (dtype, _) => return Err(format!("has `{key}` in {dtype}, and F32, F64 or I64 is due")),
    };
    if value.fract() != 0.0 || !(0.0..9_007_199_254_740_992.0).contains(&value) {
        return Err(format!("has `{key}` = {value}, and a whole number of at least 0 and below 2^53 is due"));
    }
    Ok(value as u64)
}
