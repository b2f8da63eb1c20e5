//! A snapshot as the bytes of a checkpoint.

use serde::{Deserialize, Serialize};

use super::{
    container::{self, Entry, Type, shown},
    exact,
};
use crate::{
    config::{
        lookahead::{StatePolicy, is_one},
        schedule::{Kind, Schedule},
    },
    error::Error,
    layout::field::Field,
    snapshot::{CycleSnapshot, GroupSnapshot, Snapshot, TensorSnapshot},
};

/// The key of all that is not a tensor, in `__metadata__`.
pub(super) const KEY: &str = "lookahead-wgpu";

/// The format's name and version.
const FORMAT: &str = "checkpoint";
const VERSION: u64 = 2;
/// The oldest that is read: of the settings it has learning rates, factors, k and alpha alone.
const OLDEST: u64 = 1;

/// What the bytes are called in errors.
const CHECKPOINT: &str = "the checkpoint";

/// All that is not a tensor. The order of the members is the order in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    version: u64,
    /// Of this header with 0 here, and of all values in its order.
    crc32: u32,
    steps: u64,
    skipped: u64,
    #[serde(with = "exact::float32")]
    loss_scale: f32,
    #[serde(with = "exact::float32")]
    loss_unscale: f32,
    since_rescaled: u32,
    gathered: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    average_start: u64,
    outer: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss_scaling: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<ScheduleHeader>,
    groups: Vec<GroupHeader>,
    tensors: Vec<TensorHeader>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupHeader {
    name: String,
    rule: String,
    policy: Option<StatePolicy>,
    count: u64,
    position: u32,
    seeded: bool,
    #[serde(with = "exact::float64")]
    learning_rate: f64,
    #[serde(with = "exact::float64")]
    learning_rate_factor: f64,
    k: Option<u32>,
    #[serde(with = "exact::maybe")]
    alpha: Option<f64>,
    #[serde(default = "one", skip_serializing_if = "is_one")]
    tasks: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    frozen: Option<bool>,
    #[serde(default, with = "exact::maybe", skip_serializing_if = "Option::is_none")]
    weight_decay: Option<f64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hyperparameters: Vec<Hyperparameter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cycle: Option<CycleHeader>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hyperparameter {
    name: String,
    #[serde(with = "exact::float64")]
    value: f64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CycleHeader {
    k: u32,
    #[serde(with = "exact::float32")]
    #[serde(rename = "pull")]
    one_minus_alpha: f32,
}

/// A schedule that can be written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum ScheduleHeader {
    Constant,
    Steps(Vec<Decay>),
    Transformer {
        width: u32,
        warmup: u64,
    },
    Cosine {
        warmup: u64,
        total: u64,
        #[serde(with = "exact::float64")]
        floor: f64,
    },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Decay {
    step: u64,
    #[serde(with = "exact::float64")]
    factor: f64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TensorHeader {
    name: String,
    group: String,
    shape: Vec<usize>,
    fields: Vec<String>,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn one() -> u32 {
    1
}

/// What every version has.
#[derive(Deserialize)]
struct Version {
    format: String,
    version: u64,
}

impl Snapshot {
    /// The bytes of a checkpoint; the [module's page](crate::checkpoint) says what they are.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] where a tensor has another number of values than its shape says, a field is no
    /// [`Field`], or two tensors have one name: none of these happens to a snapshot that
    /// [`export`](crate::Optimizer::export) gave.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        encode(self).map_err(|problem| Error::Checkpoint { file: CHECKPOINT.to_owned(), problem })
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. What it takes of memory is bounded by a small multiple of
    /// what `bytes` takes, whatever they say.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] where they are anything else, or were damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        decode(bytes).map_err(|problem| Error::Checkpoint { file: CHECKPOINT.to_owned(), problem })
    }
}

fn encode(snapshot: &Snapshot) -> Result<Vec<u8>, String> {
    let mut entries = Vec::new();
    for tensor in &snapshot.tensors {
        for (field, values) in &tensor.fields {
            check_field(field)?;
            entries.push((
                key(field, &tensor.name),
                Entry::f32(&entry_shape(&tensor.shape, field, values.len()), values),
            ));
        }
    }
    let mut header = Header::of(snapshot, VERSION);
    header.crc32 = checksum(&header, snapshot)?;
    container::write(entries, (KEY, text(&header)?))
}

pub(super) fn decode(bytes: &[u8]) -> Result<Snapshot, String> {
    let mut contents = container::read(bytes)?;
    let metadata = std::mem::take(&mut contents.metadata);
    let Some(text) = metadata.get(KEY) else {
        return Err(format!(
            "is a safetensors file without `{KEY}` in its metadata, so that it is no checkpoint; \
             `load_weights` reads weights alone"
        ));
    };
    let wrong = |problem| format!("has wrong metadata: {problem}");
    let Version { format, version } = serde_json::from_str(text).map_err(wrong)?;
    if format != FORMAT || !(OLDEST..=VERSION).contains(&version) {
        return Err(format!(
            "is of the format `{format}`, version {version}, and this version of the crate reads `{FORMAT}`, \
             versions {OLDEST} to {VERSION}"
        ));
    }
    let header: Header = serde_json::from_str(text).map_err(wrong)?;
    let stated = header.crc32;
    let mut tensors = Vec::new();
    for TensorHeader { name, group, shape, fields: names } in header.tensors {
        let mut fields = Vec::new();
        for field in names {
            check_field(&field)?;
            let key = key(&field, &name);
            let entry = contents.take(&key)?.ok_or_else(|| format!("lacks the entry `{key}`"))?;
            check_entry(&key, &entry, &shape, &field)?;
            fields.push((field, entry.values()));
        }
        tensors.push(TensorSnapshot { name, group, shape, fields });
    }
    if let Some(key) = contents.names().next() {
        return Err(format!("has the entry `{key}`, of which its metadata does not speak"));
    }
    let snapshot = Snapshot {
        steps: header.steps,
        skipped: header.skipped,
        loss_scale: header.loss_scale,
        loss_unscale: header.loss_unscale,
        since_rescaled: header.since_rescaled,
        accumulated: header.gathered,
        average_start: header.average_start,
        outer: header.outer,
        loss_scaling: header.loss_scaling,
        schedule: header.schedule.map(ScheduleHeader::schedule),
        groups: header.groups.into_iter().map(GroupHeader::snapshot).collect(),
        tensors,
    };
    let found = checksum(&Header::of(&snapshot, version), &snapshot)?;
    if found != stated {
        return Err(format!(
            "was damaged or edited: its checksum is {found:08x}, and was {stated:08x} when it was written"
        ));
    }
    Ok(snapshot)
}

fn key(field: &str, tensor: &str) -> String {
    format!("{field}/{tensor}")
}

fn check_field(field: &str) -> Result<(), String> {
    match Field::parse(field) {
        Some(_) => Ok(()),
        None => Err(format!("has an unknown field `{field}`")),
    }
}

/// The shape of a field's entry of so many values: the tensor's, unless it is a factored second moment, which has as
/// many as rows or columns.
pub(super) fn entry_shape(tensor: &[usize], field: &str, len: usize) -> Vec<usize> {
    let is_factored = is_state(field) && tensor.len() > 1 && container::count(tensor) != Some(len);
    if is_factored { vec![len] } else { tensor.to_vec() }
}

fn is_state(field: &str) -> bool {
    matches!(Field::parse(field), Some(Field::State(_) | Field::SlowState(_)))
}

fn check_entry(key: &str, entry: &Entry<'_>, shape: &[usize], field: &str) -> Result<(), String> {
    if entry.dtype != Type::Known(safetensors::Dtype::F32) {
        return Err(format!("has `{key}` in {}, and F32 is due", entry.dtype));
    }
    // How many values a factored second moment has, the import knows.
    if entry.shape != shape && !(is_state(field) && entry.shape.len() == 1 && shape.len() > 1) {
        let (found, due) = (shown(&entry.shape), shown(shape));
        return Err(format!("has `{key}` in the shape {found}, and its metadata say {due}"));
    }
    Ok(())
}

fn text(header: &Header) -> Result<String, String> {
    serde_json::to_string(header).map_err(|problem| format!("cannot be written: {problem}"))
}

/// Of a header whose own checksum is 0, and of all values.
fn checksum(header: &Header, snapshot: &Snapshot) -> Result<u32, String> {
    let text = text(header)?;
    let fields = snapshot.tensors.iter().flat_map(|tensor| &tensor.fields);
    let values = fields.map(|(_, values)| bytemuck::cast_slice(values));
    Ok(crc32([text.as_bytes()].into_iter().chain(values)))
}

#[cfg(not(target_arch = "wasm32"))]
fn crc32<'a>(parts: impl Iterator<Item = &'a [u8]>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.for_each(|part| hasher.update(part));
    hasher.finalize()
}

/// With one table of 1 KiB: the sixteen of a quicker one would be 15 kB of the download, which no gzip makes smaller.
#[cfg(target_arch = "wasm32")]
fn crc32<'a>(parts: impl Iterator<Item = &'a [u8]>) -> u32 {
    static CRC: crc::Crc<u32, crc::Table<1>> = crc::Crc::<u32, crc::Table<1>>::new(&crc::CRC_32_ISO_HDLC);
    let mut digest = CRC.digest();
    parts.for_each(|part| digest.update(part));
    digest.finalize()
}

impl Header {
    /// With a checksum of 0.
    fn of(snapshot: &Snapshot, version: u64) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version,
            crc32: 0,
            steps: snapshot.steps,
            skipped: snapshot.skipped,
            loss_scale: snapshot.loss_scale,
            loss_unscale: snapshot.loss_unscale,
            since_rescaled: snapshot.since_rescaled,
            gathered: snapshot.accumulated,
            average_start: snapshot.average_start,
            outer: snapshot.outer.clone(),
            loss_scaling: snapshot.loss_scaling,
            schedule: snapshot.schedule.as_ref().and_then(ScheduleHeader::of),
            groups: snapshot.groups.iter().map(GroupHeader::of).collect(),
            tensors: snapshot.tensors.iter().map(TensorHeader::of).collect(),
        }
    }
}

impl GroupHeader {
    fn of(group: &GroupSnapshot) -> Self {
        Self {
            name: group.name.clone(),
            rule: group.rule.clone(),
            policy: group.policy,
            count: group.count,
            position: group.position,
            seeded: group.initialised,
            learning_rate: group.learning_rate,
            learning_rate_factor: group.learning_rate_factor,
            k: group.k,
            alpha: group.alpha,
            tasks: group.tasks,
            frozen: group.frozen,
            weight_decay: group.weight_decay,
            hyperparameters: group.hyperparameters.iter().map(Hyperparameter::of).collect(),
            cycle: group
                .cycle
                .map(|cycle| CycleHeader { k: cycle.k, one_minus_alpha: cycle.one_minus_alpha }),
        }
    }

    fn snapshot(self) -> GroupSnapshot {
        GroupSnapshot {
            name: self.name,
            rule: self.rule,
            policy: self.policy,
            count: self.count,
            position: self.position,
            initialised: self.seeded,
            learning_rate: self.learning_rate,
            learning_rate_factor: self.learning_rate_factor,
            k: self.k,
            alpha: self.alpha,
            tasks: self.tasks,
            frozen: self.frozen,
            weight_decay: self.weight_decay,
            hyperparameters: self.hyperparameters.into_iter().map(|it| (it.name, it.value)).collect(),
            cycle: self
                .cycle
                .map(|cycle| CycleSnapshot { k: cycle.k, one_minus_alpha: cycle.one_minus_alpha }),
        }
    }
}

impl Hyperparameter {
    fn of((name, value): &(String, f64)) -> Self {
        Self { name: name.clone(), value: *value }
    }
}

impl ScheduleHeader {
    /// None of a function.
    fn of(schedule: &Schedule) -> Option<Self> {
        Some(match schedule.0 {
            Kind::Constant => Self::Constant,
            Kind::Steps(ref decays) => {
                Self::Steps(decays.iter().map(|&(step, factor)| Decay { step, factor }).collect())
            }
            Kind::Transformer { width, warmup } => Self::Transformer { width, warmup },
            Kind::Cosine { warmup, total, floor } => Self::Cosine { warmup, total, floor },
            Kind::Custom(_) => return None,
        })
    }

    fn schedule(self) -> Schedule {
        match self {
            Self::Constant => Schedule::constant(),
            Self::Steps(decays) => Schedule::steps(decays.into_iter().map(|it| (it.step, it.factor))),
            Self::Transformer { width, warmup } => Schedule::transformer(width, warmup),
            Self::Cosine { warmup, total, floor } => Schedule::cosine(warmup, total, floor),
        }
    }
}

impl TensorHeader {
    fn of(tensor: &TensorSnapshot) -> Self {
        Self {
            name: tensor.name.clone(),
            group: tensor.group.clone(),
            shape: tensor.shape.clone(),
            fields: tensor.fields.iter().map(|(field, _)| field.clone()).collect(),
        }
    }
}
