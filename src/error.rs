//! The one error type of the crate.

/// What can go wrong. Every variant says what was wrong, with the values, and what to do.
///
/// No call that returns an error has changed the training state.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter could be opened.
    #[error(
        "no GPU adapter {wanted}; found: {found}. Install a driver for your GPU, or a software one \
         (Debian/Ubuntu: `apt-get install libvulkan1 mesa-vulkan-drivers`)"
    )]
    NoAdapter {
        /// What was looked for.
        wanted: String,
        /// The adapters that are there.
        found: String,
    },
    /// The browser offers no WebGPU, or no adapter with it.
    #[error("no WebGPU: {problem}")]
    NoWebGpu {
        /// What is missing, and what to do.
        problem: &'static str,
    },
    /// The adapter refused to give a device.
    #[error("the adapter `{adapter}` gave no device: {reason}")]
    NoDevice {
        /// The adapter's name.
        adapter: String,
        /// What wgpu said.
        reason: String,
    },
    /// The device's limits are too low for this configuration.
    #[error(
        "the device offers {limit} = {offered}, and {needed} is needed for {purpose}; request the \
         device with a higher limit"
    )]
    Limit {
        /// The limit's name in [`wgpu::Limits`].
        limit: &'static str,
        /// What is needed.
        needed: u64,
        /// What the device has.
        offered: u64,
        /// What it is needed for.
        purpose: String,
    },
    /// No tensor was named.
    #[error("an optimizer needs at least one tensor; add one with `tensor(name, shape)`")]
    NoTensors,
    /// A name is empty.
    #[error("a {what} has an empty name; give it one")]
    EmptyName {
        /// `tensor` or `group`.
        what: &'static str,
    },
    /// A name is used twice.
    #[error("the {what} `{name}` is there twice; names must differ")]
    DuplicateName {
        /// `tensor` or `group`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A name is not known.
    #[error("there is no {what} `{name}`; there are: {known}")]
    UnknownName {
        /// `tensor`, `group` or `slot`.
        what: &'static str,
        /// The name that was asked for.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// A shape holds no element, or too many.
    #[error("the tensor `{tensor}` has the shape {shape:?}: {problem}")]
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<usize>,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A number of values does not fit the tensor.
    #[error("the tensor `{tensor}` has {expected} elements, and {found} were given")]
    Length {
        /// The tensor.
        tensor: String,
        /// Elements of its shape.
        expected: usize,
        /// Elements given.
        found: usize,
    },
    /// A tensor is larger than one binding, so that it has no single slice.
    #[error(
        "the tensor `{tensor}` lies in {pieces} buffers, since it is larger than one binding of this \
         device; use the slices one by one"
    )]
    Split {
        /// The tensor.
        tensor: String,
        /// How many slices it has.
        pieces: usize,
    },
    /// A range of a borrowed buffer cannot be used.
    #[error("the {role} of `{tensor}` (bytes {start}..{end} of a buffer of {size}): {problem}")]
    Range {
        /// `weights` or `gradients`.
        role: &'static str,
        /// The tensor.
        tensor: String,
        /// First byte.
        start: u64,
        /// One past the last byte.
        end: u64,
        /// The buffer's size in bytes.
        size: u64,
        /// What is wrong.
        problem: String,
    },
    /// Two borrowed ranges share bytes.
    #[error("the {first} and the {second} share bytes of one buffer; ranges must not overlap")]
    Overlap {
        /// One range, in words.
        first: String,
        /// The other.
        second: String,
    },
    /// The call is for the other way in (owned layout or borrowed buffers).
    #[error("{call} {problem}")]
    Ownership {
        /// The call.
        call: &'static str,
        /// Why it does not apply.
        problem: &'static str,
    },
    /// A hyperparameter is outside its range.
    #[error("{name} = {value} is not allowed: it must be {allowed}")]
    Hyperparameter {
        /// The hyperparameter.
        name: String,
        /// Its value.
        value: f64,
        /// The range allowed.
        allowed: &'static str,
    },
    /// Plain descent with this learning rate does not converge.
    #[error(
        "the learning rate {learning_rate} does not converge with momentum {momentum}: it must be above 0 and below \
         2 (1 + momentum) / (largest curvature) = {bound}"
    )]
    Unstable {
        /// The learning rate.
        learning_rate: f64,
        /// The momentum.
        momentum: f64,
        /// The learning rates below it converge.
        bound: f64,
    },
    /// A model of the [`analysis`](crate::analysis) is none.
    #[error("the {what} is not one to analyse: {problem}")]
    Model {
        /// What was given.
        what: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The learning rate of a step is not a number of at least zero that is finite in f32.
    #[error(
        "the learning rate of step {step} in group `{group}` is {value}; a schedule must give factors of \
         at least 0 that keep it finite in f32. The step was not taken"
    )]
    LearningRate {
        /// The step, from 0.
        step: u64,
        /// The group.
        group: String,
        /// The learning rate.
        value: f64,
    },
    /// A rule breaks the contract between its WGSL and its Rust side.
    #[error("the rule `{rule}` {problem}")]
    Rule {
        /// The rule.
        rule: String,
        /// What is wrong.
        problem: String,
    },
    /// A rule's WGSL does not compile.
    #[error("the WGSL of the rule `{rule}` is wrong at line {line}: {message}")]
    Shader {
        /// The rule.
        rule: String,
        /// The line of the rule's own text; lines past its end are the driver's, which calls `update`.
        line: u32,
        /// What the compiler said, with the line quoted.
        message: String,
    },
    /// k or alpha may change between cycles only.
    #[error(
        "{what} can change between cycles only, and the group `{group}` is at step {position} of \
         {k}; wait for the sync or call `sync_now` first"
    )]
    MidCycle {
        /// `k`, `alpha` or `frozen`.
        what: &'static str,
        /// The group.
        group: String,
        /// Steps taken in this cycle.
        position: u32,
        /// The cycle's length.
        k: u32,
    },
    /// The guard alone knows.
    #[error("{call} needs what only the GPU knows where a guard may skip steps; ask `counters`")]
    Guarded {
        /// The call.
        call: &'static str,
    },
    /// Slow weights were asked of a group that has none.
    #[error("{of} has no slow weights: it was built without `lookahead`")]
    NoLookahead {
        /// The tensor or group, in words.
        of: String,
    },
    /// The weights are exchanged with the slow ones or the average.
    #[error(
        "{call} is not possible while the weights are exchanged with the slow ones or the average; call \
         `swap_slow` or `swap_average` again first"
    )]
    Swapped {
        /// The call.
        call: &'static str,
    },
    /// A snapshot does not fit this optimizer.
    #[error("the snapshot does not fit: {problem}")]
    Snapshot {
        /// What differs.
        problem: String,
    },
    /// The bytes of a checkpoint or of weights cannot be read, or values cannot be written as such bytes.
    #[error("{file} {problem}")]
    Checkpoint {
        /// The file, or what the bytes were to be.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Where a file is to be written there is something that it does not replace.
    #[error(
        "`{path}` is {found}, which a save does not replace; give another path, or remove it first (`save_over` and \
         `save_weights_over` replace any regular file)"
    )]
    Occupied {
        /// The file.
        path: String,
        /// What is there, in words.
        found: String,
    },
    /// The file system refused.
    #[error("{doing} `{path}`: {problem}")]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        problem: String,
    },
    /// The device has no memory left.
    #[error("out of GPU memory while {doing}: {message}")]
    OutOfMemory {
        /// What was being made.
        doing: String,
        /// What wgpu said.
        message: String,
    },
    /// wgpu refused a call.
    #[error("the device refused {doing}: {message}")]
    Device {
        /// What was being done.
        doing: String,
        /// What wgpu said.
        message: String,
    },
    /// The device was lost, and every buffer with it.
    #[error(
        "the device was lost while {doing} ({message}); open a new one, build the optimizer again \
         and `import` the last snapshot"
    )]
    DeviceLost {
        /// What was being done.
        doing: String,
        /// What wgpu said.
        message: String,
    },
}

/// The names in `known`, for an error message.
pub(crate) fn list<'a>(known: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = known.map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// `Ok` where a hyperparameter is allowed and finite in f32, else the error that says what it must be.
pub fn check_hyperparameter(
    name: &str,
    value: f64,
    is_allowed: bool,
    allowed: &'static str,
) -> Result<(), Error> {
    let fits = (value as f32).is_finite();
    if is_allowed && fits {
        return Ok(());
    }
    let allowed = if value.is_finite() && !fits { "at most 3.4e38, as f32 is on the GPU" } else { allowed };
    Err(Error::Hyperparameter { name: name.to_owned(), value, allowed })
}
