//! The compute kernels: their WGSL, composed from the files in `shaders/`, and their pipelines.
//!
//! A step kernel is one rule's `update` between an access (where weights and gradients lie), a clipping,
//! a state and a slow part, each a small file. Composition is joining texts: the rule's comes first, so
//! that line numbers in a compiler's message are the rule's own.

use std::collections::HashMap;

use crate::{
    clip::Clip,
    error::Error,
    gpu,
    lookahead::{Lookahead, StatePolicy, flags},
    rules::{MAX_HYPER, MAX_SLOTS, Rule},
};

/// Where weights and gradients lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// In the flat buffers of the layout.
    Owned,
    /// In buffers of the caller's.
    Borrowed,
    /// In one buffer of the caller's, near enough for one binding.
    Pooled,
    /// In one buffer of the caller's, too far apart for one binding.
    Far,
}

impl Access {
    /// Every access.
    pub const ALL: [Self; 4] = [Self::Owned, Self::Borrowed, Self::Pooled, Self::Far];

    fn wgsl(self) -> String {
        let window = include_str!("../shaders/access/window.wgsl");
        let segments = include_str!("../shaders/access/segments.wgsl");
        let parts: &[&str] = match self {
            Self::Owned => &[window, include_str!("../shaders/access/owned.wgsl")],
            Self::Borrowed => &[window, segments, include_str!("../shaders/access/borrowed.wgsl")],
            Self::Pooled => &[window, segments, include_str!("../shaders/access/pooled.wgsl")],
            Self::Far => &[window, segments, include_str!("../shaders/access/far.wgsl")],
        };
        parts.join("\n")
    }

    /// The bindings of group 1; `table` is the map from blocks to tensors or segments.
    pub(crate) fn bindings(self, table: bool) -> Vec<(u32, Binding)> {
        let mut bindings = vec![(0, Binding::Uniform), (1, Binding::ReadWrite)];
        match self {
            Self::Owned | Self::Borrowed => bindings.push((2, Binding::Read)),
            Self::Far => bindings.push((2, Binding::ReadWrite)),
            Self::Pooled => {}
        }
        if table {
            bindings.push((3, Binding::Read));
        }
        bindings
    }
}

/// One kernel's text and the name of its entry point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is, in words.
    pub name: String,
    /// The entry point; its `override WORKGROUP: u32` is the workgroup size.
    pub entry: &'static str,
    /// The whole module.
    pub wgsl: String,
}

/// The kernel of one inner step with the sync fused into it.
pub fn step(rule: &dyn Rule, access: Access, lookahead: Option<&Lookahead>, clip: Clip) -> Source {
    let state = state(rule.slots().len(), lookahead);
    let clip_text = match clip {
        Clip::None => include_str!("../shaders/clip/none.wgsl"),
        Clip::Value(_) => include_str!("../shaders/clip/value.wgsl"),
        Clip::GlobalNorm(_) => include_str!("../shaders/clip/global.wgsl"),
        Clip::TensorNorm(_) => include_str!("../shaders/clip/tensor.wgsl"),
    };
    let slow = match lookahead {
        None => include_str!("../shaders/slow/none.wgsl"),
        Some(_) => include_str!("../shaders/slow/weights.wgsl"),
    };
    let mut hyper = Vec::new();
    rule.hyper(1, &mut hyper);
    let parts = [
        rule.wgsl(),
        if hyper.is_empty() { "struct Hyper { none: f32 }" } else { "" },
        include_str!("../shaders/control.wgsl"),
        &access.wgsl(),
        &state,
        clip_text,
        slow,
        include_str!("../shaders/step.wgsl"),
    ];
    let policy = lookahead.map(|lookahead| lookahead.policy);
    let name = format!("step of {}, {access:?}, {policy:?}, {clip:?}", rule.name());
    Source { name, entry: "step", wgsl: parts.join("\n") }
}

/// The state part of a step kernel.
fn state(slots: usize, lookahead: Option<&Lookahead>) -> String {
    if slots == 0 {
        return include_str!("../shaders/state/none.wgsl").to_owned();
    }
    let sync = match lookahead.map(|lookahead| lookahead.policy) {
        Some(StatePolicy::Interpolate) => include_str!("../shaders/state/interpolated.wgsl"),
        _ => include_str!("../shaders/state/kept.wgsl"),
    };
    // A loop would index `state` by a variable, and some drivers (SwiftShader) then keep it in memory: half
    // the speed.
    let each = |call: &dyn Fn(usize) -> String| (0..slots).map(call).collect::<String>();
    let load = each(&|slot| format!("    state[{slot}] = load_slot({slot}u, i);\n"));
    let store = each(&|slot| format!("    store_slot({slot}u, i, state[{slot}]);\n"));
    let pull = each(&|slot| format!("    state[{slot}] = sync_slot({slot}u, i, state[{slot}]);\n"));
    let calls = format!(
        "const SLOTS = {slots}u;\n\nfn load_state(i: u32) {{\n{load}}}\n\nfn store_state(i: u32) {{\n{store}}}\n\n\
         fn sync_state(i: u32) {{\n{pull}}}\n"
    );
    [include_str!("../shaders/state/slots.wgsl"), sync, &calls].join("\n")
}

/// The kernel that exchanges fast and slow weights.
pub fn swap(access: Access) -> Source {
    let parts = [&access.wgsl(), include_str!("../shaders/swap.wgsl")];
    Source { name: format!("swap, {access:?}"), entry: "swap", wgsl: parts.join("\n") }
}

/// The first pass of a gradient norm.
pub fn partial(access: Access) -> Source {
    let parts =
        [include_str!("../shaders/reduce.wgsl"), &access.wgsl(), include_str!("../shaders/partial.wgsl")];
    Source { name: format!("partial norm, {access:?}"), entry: "partial", wgsl: parts.join("\n") }
}

/// The second pass of a gradient norm.
pub fn finish() -> Source {
    let parts = [include_str!("../shaders/reduce.wgsl"), include_str!("../shaders/finish.wgsl")];
    Source { name: "finished norm".to_owned(), entry: "finish", wgsl: parts.join("\n") }
}

/// Every kernel that a rule can need: each access, policy and clipping. For checking a rule, or
/// translating it ahead of time.
pub fn all(rule: &dyn Rule) -> Vec<Source> {
    use StatePolicy::{Interpolate, Maintain, Reset};
    let lookaheads = [None, Some(Maintain), Some(Interpolate), Some(Reset)]
        .map(|policy| policy.map(|policy| Lookahead::default().policy(policy)));
    let clips = [Clip::None, Clip::Value(1.0), Clip::GlobalNorm(1.0), Clip::TensorNorm(1.0)];
    let mut sources = vec![finish()];
    for access in Access::ALL {
        sources.push(swap(access));
        sources.push(partial(access));
        for lookahead in &lookaheads {
            sources.extend(clips.map(|clip| step(rule, access, lookahead.as_ref(), clip)));
        }
    }
    sources
}

/// The bindings of group 2: what is the optimizer's own.
pub(crate) fn own_bindings(slots: usize, lookahead: Option<&Lookahead>, clip: Clip) -> Vec<(u32, Binding)> {
    let interpolates = lookahead.is_some_and(|lookahead| lookahead.policy == StatePolicy::Interpolate);
    let all = [
        (slots > 0, 0, Binding::ReadWrite),
        (lookahead.is_some(), 1, Binding::ReadWrite),
        (slots > 0 && interpolates, 2, Binding::ReadWrite),
        (clip.is_norm(), 3, Binding::Read),
    ];
    all.into_iter().filter(|(used, ..)| *used).map(|(_, index, kind)| (index, kind)).collect()
}

/// Checks a rule's contract and, with the feature `validate`, its WGSL.
///
/// # Errors
///
/// [`Error::Hyperparameter`], [`Error::Rule`] or [`Error::Shader`].
pub fn check(rule: &dyn Rule) -> Result<(), Error> {
    let broken = |problem: String| Error::Rule { rule: rule.name().to_owned(), problem };
    if rule.name().is_empty() {
        return Err(broken("has no name".to_owned()));
    }
    rule.check()?;
    rule.weight_decay().check()?;
    let slots = rule.slots();
    if slots.len() > MAX_SLOTS {
        return Err(broken(format!("has {} state slots, and {MAX_SLOTS} is the most", slots.len())));
    }
    for (index, slot) in slots.iter().enumerate() {
        if slots[..index].iter().any(|other| other.name == slot.name) {
            return Err(broken(format!("has two state slots called `{}`", slot.name)));
        }
        if !slot.initial.is_finite() {
            return Err(broken(format!("starts the slot `{}` at {}", slot.name, slot.initial)));
        }
    }
    let mut hyper = Vec::new();
    rule.hyper(1, &mut hyper);
    if hyper.len() > MAX_HYPER {
        return Err(broken(format!("gives {} members of `Hyper`; {MAX_HYPER} is the most", hyper.len())));
    }
    #[cfg(feature = "validate")]
    validate::check(rule, hyper.len())?;
    Ok(())
}

/// naga's view of a rule.
#[cfg(feature = "validate")]
mod validate {
    use super::*;
    use naga::{Scalar, TypeInner, valid};

    /// Checks a rule between the parts that have the most names, in either way in.
    pub fn check(rule: &dyn Rule, hyper: usize) -> Result<(), Error> {
        [Access::Owned, Access::Borrowed].into_iter().try_for_each(|access| check_with(rule, access, hyper))
    }

    fn check_with(rule: &dyn Rule, access: Access, hyper: usize) -> Result<(), Error> {
        let interpolate = Lookahead::default().policy(StatePolicy::Interpolate);
        let source = step(rule, access, Some(&interpolate), Clip::TensorNorm(1.0)).wgsl;
        let name = rule.name();
        let lines = rule.wgsl().lines().count();
        let error = |line: Option<u32>, message: String| {
            let line = line.unwrap_or(0);
            let mut message = message.trim_end().to_owned();
            if line as usize > lines {
                message += &format!(
                    "\n(the rule's text ends at line {lines}; it must hold `struct Hyper` and \
                     `fn update(w: vec4f, g: vec4f) -> vec4f`, and no name of the driver's)"
                );
            }
            Error::Shader { rule: name.to_owned(), line, message }
        };
        let module = naga::front::wgsl::parse_str(&source).map_err(|problem| {
            let line = problem.location(&source).map(|at| at.line_number);
            error(line, problem.emit_to_string_with_path(&source, name))
        })?;
        check_hyper(rule, &module, hyper)?;
        let mut validator =
            valid::Validator::new(valid::ValidationFlags::all(), valid::Capabilities::empty());
        validator.validate(&module).map(|_| ()).map_err(|problem| {
            // A whole function and what is wrong in it: the latter is the shortest.
            let spans = problem.spans().map(|(span, _)| span);
            let shortest = spans.min_by_key(|span| span.to_range().map_or(usize::MAX, |range| range.len()));
            let line = shortest.map(|span| span.location(&source).line_number);
            error(line, problem.emit_to_string_with_path(&source, name))
        })
    }

    /// `Hyper` must be what `Rule::hyper` pushes, or every member after the first is read from a wrong
    /// place.
    fn check_hyper(rule: &dyn Rule, module: &naga::Module, pushed: usize) -> Result<(), Error> {
        let broken = |problem: String| Err(Error::Rule { rule: rule.name().to_owned(), problem });
        let hyper = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Hyper"));
        let Some((_, naga::Type { inner: TypeInner::Struct { members, .. }, .. })) = hyper else {
            return broken("has no `struct Hyper` in its WGSL".to_owned());
        };
        for (member, due) in members.iter().zip((0..).step_by(4)) {
            let name = member.name.as_deref().unwrap_or("?");
            if module.types[member.ty].inner != TypeInner::Scalar(Scalar::F32) {
                return broken(format!("has the member `{name}` in `Hyper`, which is no `f32`"));
            }
            let offset = member.offset;
            if offset != due {
                return broken(format!(
                    "has the member `{name}` of `Hyper` at byte {offset}, not at byte {due}; leave \
                     `@size` and `@align` out"
                ));
            }
        }
        if members.len() != pushed.max(1) {
            let found = members.len();
            return broken(format!("has {found} members in `Hyper`, and `Rule::hyper` gives {pushed}"));
        }
        Ok(())
    }
}

/// The bind group layouts and pipelines of one optimizer.
pub(crate) struct Kernels {
    device: wgpu::Device,
    workgroup: u32,
    /// By the module's text and the flags known.
    cache: HashMap<(String, u32), wgpu::ComputePipeline>,
}

/// The pipelines of one step kernel.
pub(crate) struct StepPipelines {
    /// An inner step and nothing else.
    update: wgpu::ComputePipeline,
    /// An inner step and a sync.
    sync: wgpu::ComputePipeline,
    /// Whatever the flags say: the first steps, frozen groups, syncs between steps.
    any: wgpu::ComputePipeline,
}

impl StepPipelines {
    /// The one for a dispatch with these flags.
    pub fn with(&self, bits: u32) -> &wgpu::ComputePipeline {
        const SYNC: u32 = flags::UPDATE | flags::SYNC;
        match bits {
            flags::UPDATE => &self.update,
            SYNC => &self.sync,
            _ => &self.any,
        }
    }
}

/// One binding of a bind group layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding {
    /// A uniform buffer.
    Uniform,
    /// A uniform buffer with a dynamic offset.
    DynamicUniform,
    /// A storage buffer that is only read.
    Read,
    /// A storage buffer.
    ReadWrite,
}

impl Binding {
    fn ty(self) -> wgpu::BindingType {
        let (ty, has_dynamic_offset) = match self {
            Self::Uniform => (wgpu::BufferBindingType::Uniform, false),
            Self::DynamicUniform => (wgpu::BufferBindingType::Uniform, true),
            Self::Read => (wgpu::BufferBindingType::Storage { read_only: true }, false),
            Self::ReadWrite => (wgpu::BufferBindingType::Storage { read_only: false }, false),
        };
        wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None }
    }
}

impl Kernels {
    pub fn new(device: &wgpu::Device, workgroup: u32) -> Self {
        Self { device: device.clone(), workgroup, cache: HashMap::new() }
    }

    pub fn layout(&self, bindings: &[(u32, Binding)]) -> wgpu::BindGroupLayout {
        let entries: Vec<_> = bindings
            .iter()
            .map(|&(binding, kind)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: kind.ty(),
                count: None,
            })
            .collect();
        self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("lookahead"),
            entries: &entries,
        })
    }

    /// The pipelines of a step kernel.
    pub async fn step_pipelines(
        &mut self,
        rule: &str,
        source: &Source,
        layouts: &[Option<&wgpu::BindGroupLayout>],
    ) -> Result<StepPipelines, Error> {
        Ok(StepPipelines {
            update: self.specialised(rule, source, layouts, flags::UPDATE).await?,
            sync: self.specialised(rule, source, layouts, flags::UPDATE | flags::SYNC).await?,
            any: self.pipeline(rule, source, layouts).await?,
        })
    }

    /// The pipeline of a kernel, made once.
    ///
    /// # Errors
    ///
    /// [`Error::Shader`] with `rule`'s name where the device refuses the module, [`Error::Device`] where
    /// it refuses the pipeline.
    pub async fn pipeline(
        &mut self,
        rule: &str,
        source: &Source,
        layouts: &[Option<&wgpu::BindGroupLayout>],
    ) -> Result<wgpu::ComputePipeline, Error> {
        self.specialised(rule, source, layouts, 0).await
    }

    /// The pipeline of a kernel whose flags are known, unless they are 0.
    async fn specialised(
        &mut self,
        rule: &str,
        source: &Source,
        layouts: &[Option<&wgpu::BindGroupLayout>],
        flags: u32,
    ) -> Result<wgpu::ComputePipeline, Error> {
        let key = (source.wgsl.clone(), flags);
        if let Some(pipeline) = self.cache.get(&key) {
            return Ok(pipeline.clone());
        }
        let (module, problem) = gpu::scoped(&self.device, || {
            self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(&source.name),
                source: wgpu::ShaderSource::Wgsl(source.wgsl.as_str().into()),
            })
        });
        if let Some(problem) = problem.await {
            let info = module.get_compilation_info().await;
            let line =
                info.messages.iter().find_map(|message| message.location).map_or(0, |at| at.line_number);
            return Err(Error::Shader { rule: rule.to_owned(), line, message: problem.to_string() });
        }
        let constants = [("WORKGROUP", f64::from(self.workgroup)), ("FLAGS", f64::from(flags))];
        let (pipeline, problem) = gpu::scoped(&self.device, || {
            let layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(&source.name),
                bind_group_layouts: layouts,
                immediate_size: 0,
            });
            self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(&source.name),
                layout: Some(&layout),
                module: &module,
                entry_point: Some(source.entry),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: if flags == 0 { &constants[..1] } else { &constants },
                    ..Default::default()
                },
                cache: None,
            })
        });
        if let Some(problem) = problem.await {
            return Err(gpu::error(&self.device, &problem, &format!("the pipeline `{}`", source.name)));
        }
        self.cache.insert(key, pipeline.clone());
        Ok(pipeline)
    }
}
