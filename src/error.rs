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
    Unsupported {
        /// The call.
        call: &'static str,
        /// Why it does not apply.
        problem: &'static str,
    },
    /// A hyperparameter is outside its range, or would be where the GPU computes with it, in f32.
    #[error("{name} = {} is not allowed: it must be {allowed}{}", number(*.value), as_f32(*.value, .allowed))]
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
    /// The learning rate of a step is not a number of at least zero that f32 holds, or is the product of a group's
    /// and a schedule's factor that f32 does not hold.
    #[error(
        "the learning rate of step {step} in group `{group}` is {value}; a schedule must give factors of \
         at least 0 that keep it finite in f32, as the factor and the group's learning rate must be themselves. The \
         step was not taken"
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
    /// A transformation of the gradient cannot be used, or not together with the others.
    #[error("the gradient transformation `{name}` {problem}")]
    Transform {
        /// The transformation.
        name: String,
        /// What is wrong.
        problem: String,
    },
    /// Gradients were borrowed without those of tensors that were frozen, and these train now.
    #[error(
        "the gradients lack those of {tensors}, which were frozen when `borrow_gradients` was called and are not any \
         more; borrow them again with a slice for each, or freeze their groups again"
    )]
    MissingGradients {
        /// The tensors.
        tensors: String,
    },
    /// k or alpha may change between cycles only, of several tasks between rounds.
    #[error(
        "{what} can change between cycles only, and the group `{group}` is at step {position} of \
         {k}; wait for the sync or call `sync_now` first"
    )]
    MidCycle {
        /// `k` or `alpha`.
        what: &'static str,
        /// The group.
        group: String,
        /// Steps taken in this cycle or round.
        position: u32,
        /// The cycle's length, or the round's.
        k: u32,
    },
    /// A step has some of its micro-batches.
    #[error(
        "{call} is possible between steps only, and {accumulated} of {micro_batches} micro-batches are accumulated for the \
         next one; call `flush` or `discard` first"
    )]
    Accumulating {
        /// The call.
        call: &'static str,
        /// Micro-batches accumulated.
        accumulated: u32,
        /// Micro-batches of a step.
        micro_batches: u32,
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
    #[error("out of GPU memory for {doing}: {message}")]
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

/// `Ok` where `is_allowed` holds for a hyperparameter both as it is and rounded to f32, with which the GPU computes;
/// else the error that says what it must be. A value that f32 has as infinite, or as 0 or a subnormal number (which
/// GPUs take for 0) though it is not 0, is not allowed whatever `is_allowed` says.
///
/// # Errors
///
/// [`Error::Hyperparameter`].
///
/// ```
/// use lookahead_wgpu::check_hyperparameter;
/// let check = |decay| check_hyperparameter("decay", decay, |decay| (0.0..1.0).contains(&decay), "in [0, 1)");
/// assert!(check(0.999).is_ok());
/// assert!(check(1.0 - 1e-9).is_err(), "it is 1 in f32");
/// assert!(check(1e-50).is_err(), "it is 0 in f32");
/// ```
pub fn check_hyperparameter(
    name: &str,
    value: f64,
    is_allowed: impl Fn(f64) -> bool,
    allowed: &'static str,
) -> Result<(), Error> {
    let error = |allowed| Err(Error::Hyperparameter { name: name.to_owned(), value, allowed });
    let rounded = value as f32;
    if !is_allowed(value) {
        return error(allowed);
    }
    if !rounded.is_finite() {
        return error(if value.is_finite() { "at most 3.4e38" } else { allowed });
    }
    if value != 0.0 && rounded.abs() < f32::MIN_POSITIVE {
        return error("at least 1.2e-38 where it is not 0");
    }
    if is_allowed(f64::from(rounded)) { Ok(()) } else { error(allowed) }
}

/// A number in a message: without rows of zeros.
fn number(value: f64) -> String {
    let is_plain = value == 0.0 || (1e-4..1e16).contains(&value.abs());
    if is_plain { format!("{value}") } else { format!("{value:?}") }
}

/// What f32 makes of a refused value, where the range alone does not say why it was.
fn as_f32(value: f64, allowed: &str) -> String {
    let rounded = f64::from(value as f32);
    let (is_lost, is_rounded) = (value != 0.0 && rounded == 0.0, allowed.contains(&format!("{rounded})")));
    if value.is_finite() && (is_lost || is_rounded && rounded != value || rounded.is_infinite()) {
        format!(", and the GPU computes in f32, where it is {rounded:?}")
    } else {
        String::new()
    }
}
