//! What an optimizer is made of on a device, as data: buffers, kernels and what they bind. An engine makes it.

use std::{collections::HashMap, marker::PhantomData, ops::Index};

use crate::{
    config::shape::Shape,
    kernels::{Binding, Source},
    layout::params::UNIFORM_BLOCK,
};

/// The number of a thing in its [`Table`].
pub struct Id<T> {
    index: u32,
    of: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// Its place among what was made of the table.
    pub fn index(self) -> usize {
        self.index as usize
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index
    }
}

impl<T> std::fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{}", self.index)
    }
}

/// Things that are known by their [`Id`].
#[derive(Debug, Clone)]
pub struct Table<T>(Vec<T>);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(vec![])
    }
}

impl<T> Table<T> {
    /// Adds one.
    pub fn push(&mut self, thing: T) -> Id<T> {
        self.0.push(thing);
        Id { index: self.0.len() as u32 - 1, of: PhantomData }
    }

    /// All, in the order of their ids.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T> Index<Id<T>> for Table<T> {
    type Output = T;

    fn index(&self, id: Id<T>) -> &T {
        &self.0[id.index()]
    }
}

/// What may be done with a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    pub storage: bool,
    pub uniform: bool,
    pub copy_src: bool,
    pub copy_dst: bool,
}

impl Usage {
    const NONE: Self = Self { storage: false, uniform: false, copy_src: false, copy_dst: false };
    /// Read by kernels as a uniform.
    pub const UNIFORM: Self = Self { uniform: true, ..Self::NONE };
    /// Bound by kernels alone.
    pub const STORAGE: Self = Self { storage: true, ..Self::NONE };
    /// Bound by kernels, and read back.
    pub const RESULT: Self = Self { copy_src: true, ..Self::STORAGE };
    /// Bound by kernels, and cleared or written.
    pub const WRITTEN: Self = Self { copy_dst: true, ..Self::STORAGE };
    /// Bound by kernels, read back and written.
    pub const VALUES: Self = Self { copy_src: true, ..Self::WRITTEN };
    /// Written by one kernel, and the uniform of another.
    pub const CONTROL: Self = Self { uniform: true, ..Self::STORAGE };
}

/// What a buffer is for, as the memory report has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Weights,
    Gradients,
    SlowWeights,
    HalfWeights,
    /// The planes of a window of this group.
    Planes {
        group: usize,
    },
    /// What reductions find, with the second moments behind it that are the driver's.
    Factors,
    /// Tables, partial sums, the guard's state.
    Controls,
}

/// What a buffer holds at first.
#[derive(Debug, Clone, PartialEq)]
pub enum Contents {
    Zeros,
    /// These words, whole.
    Words(Vec<u32>),
    /// Equal ranges of one value each, side by side.
    Planes(Vec<f32>),
}

/// A buffer to be made.
#[derive(Debug, Clone)]
pub struct Buffer {
    pub label: &'static str,
    pub purpose: Purpose,
    /// Bytes.
    pub size: u64,
    pub usage: Usage,
    pub contents: Contents,
}

impl Buffer {
    /// A zeroed buffer.
    pub fn zeros(label: &'static str, purpose: Purpose, size: u64, usage: Usage) -> Self {
        Self { label, purpose, size, usage, contents: Contents::Zeros }
    }

    /// A buffer that holds these words.
    pub fn words(label: &'static str, words: Vec<u32>, usage: Usage) -> Self {
        let size = 4 * words.len() as u64;
        Self { label, purpose: Purpose::Controls, size, usage, contents: Contents::Words(words) }
    }
}

/// Where each of a buffer's equal ranges starts that does not hold zeros, in bytes, and its values.
pub(crate) fn planes(size: u64, values: &[f32]) -> impl Iterator<Item = (u64, Vec<f32>)> {
    let plane = size / values.len().max(1) as u64;
    let filled = (0..).zip(values).filter(|(_, value)| **value != 0.0);
    filled.map(move |(index, value)| (index * plane, vec![*value; (plane / 4) as usize]))
}

/// The layout of a bind group: each binding's number and kind.
#[derive(Debug, Clone)]
pub struct BindGroupLayout(pub Vec<(u32, Binding)>);

/// A compute pipeline to be made.
#[derive(Debug, Clone)]
pub struct Kernel {
    /// The rule's name, for errors.
    pub rule: String,
    pub source: Source,
    /// By bind group.
    pub layouts: Vec<Option<Id<BindGroupLayout>>>,
    pub flags: Known,
}

impl Kernel {
    /// What overrides the module's constants.
    pub fn constants(&self, shape: Shape) -> Vec<(&'static str, u32)> {
        let mut constants = vec![("LA_WORKGROUP", shape.workgroup)];
        match self.flags {
            Known::Nothing => {}
            Known::Among(flags) => constants.push(("LA_MAY", flags)),
            Known::All(flags) => constants.push(("LA_FLAGS", flags)),
        }
        constants
    }
}

/// What is known of the flags of a kernel's dispatches when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// That they have no others.
    Among(u32),
    /// All.
    All(u32),
}

/// Whose buffer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Owner {
    /// The program's.
    Program(Id<Buffer>),
    /// The placement's.
    Placement(Id<Buffer>),
    /// The caller's, by its number.
    Caller(usize),
}

/// A range of a buffer, or all of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    pub buffer: Owner,
    pub offset: u64,
    /// Bytes; none for all of the buffer.
    pub size: Option<u64>,
}

impl Bound {
    /// All of a buffer of the program's.
    pub fn whole(buffer: Id<Buffer>) -> Self {
        Self { buffer: Owner::Program(buffer), offset: 0, size: None }
    }
}

/// A bind group to be made.
#[derive(Debug, Clone)]
pub struct BindGroup {
    pub label: &'static str,
    pub layout: Id<BindGroupLayout>,
    pub entries: Vec<(u32, Bound)>,
}

impl BindGroup {
    /// Binds these buffers of the program's whole, from binding 0 on.
    pub fn whole(
        label: &'static str,
        layout: Id<BindGroupLayout>,
        buffers: impl IntoIterator<Item = Id<Buffer>>,
    ) -> Self {
        let entries = (0..).zip(buffers.into_iter().map(Bound::whole)).collect();
        Self { label, layout, entries }
    }

    /// Binds both blocks of the slots in a buffer, whose offsets are given with each dispatch.
    pub fn slots(label: &'static str, layout: Id<BindGroupLayout>, buffer: Owner) -> Self {
        let block = UNIFORM_BLOCK as u64;
        let bound = |binding| Bound { buffer, offset: u64::from(binding) * block, size: Some(block) };
        Self { label, layout, entries: [0, 1].map(|binding| (binding, bound(binding))).into() }
    }
}

/// What is made once.
#[derive(Debug)]
pub struct Program {
    /// How kernels are cut.
    pub shape: Shape,
    /// Slots in a chunk of the control ring.
    pub slots: u32,
    pub buffers: Table<Buffer>,
    pub layouts: Table<BindGroupLayout>,
    pub kernels: Table<Kernel>,
    pub groups: Table<BindGroup>,
    /// The layout of what the host tells a dispatch.
    pub control: Id<BindGroupLayout>,
    /// By the module's text and what is known of the flags.
    known: HashMap<(String, Known), Id<Kernel>>,
}

impl Program {
    /// For kernels cut like this, and chunks of the control ring with so many slots.
    pub fn new(shape: Shape, slots: u32) -> Self {
        let mut layouts = Table::default();
        let control = BindGroupLayout(vec![(0, Binding::DynamicUniform), (1, Binding::DynamicUniform)]);
        let control = layouts.push(control);
        let (buffers, kernels, groups) = (Table::default(), Table::default(), Table::default());
        Self { shape, slots, buffers, layouts, kernels, groups, control, known: HashMap::new() }
    }

    /// Adds a bind group layout.
    pub fn layout(&mut self, bindings: Vec<(u32, Binding)>) -> Id<BindGroupLayout> {
        self.layouts.push(BindGroupLayout(bindings))
    }

    /// A kernel, made once however often it is asked for.
    pub fn kernel(
        &mut self,
        rule: &str,
        source: &Source,
        layouts: &[Option<Id<BindGroupLayout>>],
    ) -> Id<Kernel> {
        self.specialised(rule, source, layouts, Known::Nothing)
    }

    /// A kernel of whose flags something is known.
    pub fn specialised(
        &mut self,
        rule: &str,
        source: &Source,
        layouts: &[Option<Id<BindGroupLayout>>],
        flags: Known,
    ) -> Id<Kernel> {
        let key = (source.wgsl.clone(), flags);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let layouts = layouts.to_vec();
        let kernel = Kernel { rule: rule.to_owned(), source: source.clone(), layouts, flags };
        let id = self.kernels.push(kernel);
        self.known.insert(key, id);
        id
    }
}
