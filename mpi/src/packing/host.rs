//! Packing on the host, which says what the kernels must do.

use lookahead_wgpu::{Field, Optimizer, wgpu};

use crate::{
    blocks::{Blocks, filled},
    error::Error,
    wire::Wire,
};

pub(crate) struct Host {
    blocks: Blocks,
    wire: Wire,
    pub queue: wgpu::Queue,
    /// What is to be sent.
    values: Vec<f32>,
    /// What it is the difference to, where it is one.
    base: Vec<f32>,
    pub kept: Vec<f32>,
    /// A fragment's fast weights before the mean was written.
    own: Vec<Vec<f32>>,
}

impl Host {
    pub fn new(blocks: Blocks, wire: Wire, queue: &wgpu::Queue) -> Self {
        let kept = vec![0.0; blocks.all_kept(wire)];
        let queue = queue.clone();
        Self { blocks, wire, queue, values: vec![], base: vec![], kept, own: vec![] }
    }

    pub fn read_weights(&mut self, optimizer: &Optimizer, fragment: usize) -> Result<bool, Error> {
        let read = |field| Ok::<_, Error>(filled(&self.blocks.read(optimizer, field, fragment)?));
        self.values = read(Field::Weights)?;
        self.base = vec![];
        if self.wire.sends_differences() {
            self.base = read(Field::SlowWeights)?;
            self.values.iter_mut().zip(&self.base).for_each(|(theta, phi)| *theta -= phi);
        }
        Ok(self.is_finite())
    }

    pub fn read_gradients(&mut self, optimizer: &Optimizer) -> Result<bool, Error> {
        self.values = filled(&self.blocks.read(optimizer, Field::Gradients, 0)?);
        self.base = vec![];
        Ok(self.is_finite())
    }

    fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    pub fn pack(&mut self, fragment: usize) -> Vec<u8> {
        let mut packed = Vec::with_capacity(self.blocks.blocks(fragment).len() * self.wire.block_bytes());
        let kept = &mut self.kept[self.blocks.kept(self.wire, fragment)];
        self.wire.pack(&self.values, kept, &mut packed);
        packed
    }

    fn unpacked(&mut self, mean: &[u8]) -> Vec<f32> {
        let mut values = std::mem::take(&mut self.values);
        values.clear();
        for block in mean.chunks_exact(self.wire.block_bytes()) {
            values.extend(self.wire.unpack(block));
        }
        values.iter_mut().zip(&self.base).for_each(|(d, phi)| *d += phi);
        values
    }

    pub fn write_weights(
        &mut self,
        optimizer: &mut Optimizer,
        fragment: usize,
        mean: &[u8],
    ) -> Result<(), Error> {
        let values = self.unpacked(mean);
        for (name, values) in self.blocks.cut(fragment, &values) {
            optimizer.upload(name, values)?;
        }
        Ok(())
    }

    pub fn write_gradients(&mut self, optimizer: &Optimizer, mean: &[u8]) -> Result<(), Error> {
        let values = self.unpacked(mean);
        for (name, mut values) in self.blocks.cut(0, &values) {
            for slice in optimizer.buffers(Field::Gradients, name)? {
                let (head, rest) = values.split_at((slice.size / 4) as usize);
                self.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(head));
                values = rest;
            }
        }
        Ok(())
    }

    /// Remembers a fragment's fast weights, to be [mixed](Self::mix) in.
    pub fn remember(&mut self, optimizer: &Optimizer, fragment: usize) -> Result<(), Error> {
        self.own = self.blocks.read(optimizer, Field::Weights, fragment)?;
        Ok(())
    }

    pub fn mix(&mut self, optimizer: &mut Optimizer, fragment: usize, mixing: f32) -> Result<(), Error> {
        let mut slow = self.blocks.read(optimizer, Field::Weights, fragment)?;
        for ((slow, own), tensor) in slow.iter_mut().zip(&self.own).zip(self.blocks.fragment(fragment)) {
            slow.iter_mut().zip(own).for_each(|(slow, own)| *slow += mixing * (own - *slow));
            optimizer.upload(&tensor.name, slow)?;
        }
        Ok(())
    }
}
