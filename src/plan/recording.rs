//! What one call does on the device, as data. An engine plays it into the caller's encoder; its vectors are used again.

use super::program::{BindGroup, Buffer, Id, Kernel};
use crate::layout::params::{Control, SLOT, push_slot};

/// What a dispatch binds to one of its groups.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bind {
    /// Nothing.
    Unused,
    /// What the host tells it: this slot of the recording.
    Control(u32),
    /// What the guard tells it: this slot of a bind group of the program's.
    Decided(Id<BindGroup>, u32),
    /// A bind group of the program's.
    Program(Id<BindGroup>),
    /// A bind group of the placement's.
    Placement(Id<BindGroup>),
}

/// One dispatch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dispatch {
    pub kernel: Id<Kernel>,
    pub binds: [Bind; 4],
    /// In x and y.
    pub workgroups: (u32, u32),
}

/// Words that are copied to a buffer before the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub buffer: Id<Buffer>,
    /// Bytes.
    pub offset: u64,
    pub words: Vec<u32>,
}

/// What is done, in the order of its fields.
#[derive(Debug, Default)]
pub struct Recording {
    /// What the one compute pass is called; none where nothing is recorded.
    pub pass: Option<&'static str>,
    pub writes: Vec<Write>,
    /// Slots of words that the dispatches are told.
    pub controls: Vec<u8>,
    pub clears: Vec<Id<Buffer>>,
    pub dispatches: Vec<Dispatch>,
    /// Two slots a group, by the step's phases.
    pub(super) slots: Vec<[u32; 2]>,
    hyper: Vec<f32>,
}

impl Recording {
    /// Begins anew.
    pub fn clear(&mut self) {
        self.pass = None;
        self.writes.clear();
        self.controls.clear();
        self.clears.clear();
        self.dispatches.clear();
        self.slots.clear();
    }

    /// How many slots there are.
    pub fn control_slots(&self) -> u32 {
        (self.controls.len() / SLOT) as u32
    }

    /// Adds a slot, and gives its number; `hyper` pushes the members of the group's `Hyper`.
    pub(crate) fn push_control<E>(
        &mut self,
        control: &Control,
        hyper: impl FnOnce(&mut Vec<f32>) -> Result<(), E>,
    ) -> Result<u32, E> {
        self.hyper.clear();
        hyper(&mut self.hyper)?;
        let slot = self.control_slots();
        push_slot(control, &self.hyper, &mut self.controls);
        Ok(slot)
    }
}
