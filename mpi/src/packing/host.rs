//! Packing on the host, which says what the kernels must do.

use lookahead_wgpu::{Field, Optimizer, wgpu};

use crate::{blocks::Blocks, error::Error, wire::Wire};

pub(crate) struct Host {
    blocks: Blocks,
    wire: Wire,
    pub queue: wgpu::Queue,
    /// What is to be sent.
    values: Vec<f32>,
    /// What it is the difference to, where it is one.
    base: Vec<f32>,
    pub kept: Vec<f32>,
}

impl Host {
    pub fn new(blocks: Blocks, wire: Wire, queue: &wgpu::Queue) -> Self {
        let kept = vec![0.0; blocks.kept(wire)];
        Self { blocks, wire, queue: queue.clone(), values: vec![], base: vec![], kept }
    }

    pub fn read_weights(&mut self, optimizer: &Optimizer) -> Result<bool, Error> {
        self.values = self.blocks.filled(&optimizer.download_all_blocking(Field::Weights)?);
        self.base = vec![];
        if self.wire.sends_differences() {
            self.base = self.blocks.filled(&optimizer.download_all_blocking(Field::SlowWeights)?);
            self.values.iter_mut().zip(&self.base).for_each(|(theta, phi)| *theta -= phi);
        }
        Ok(self.is_finite())
    }

    pub fn read_gradients(&mut self, optimizer: &Optimizer) -> Result<bool, Error> {
        self.values = self.blocks.filled(&optimizer.download_all_blocking(Field::Gradients)?);
        self.base = vec![];
        Ok(self.is_finite())
    }

    fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    pub fn pack(&mut self) -> Vec<u8> {
        let mut packed = Vec::with_capacity(self.blocks.count() * self.wire.block_bytes());
        self.wire.pack(&self.values, &mut self.kept, &mut packed);
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

    pub fn write_weights(&mut self, optimizer: &mut Optimizer, mean: &[u8]) -> Result<(), Error> {
        let values = self.unpacked(mean);
        for (name, values) in self.blocks.cut(&values) {
            optimizer.upload(name, values)?;
        }
        Ok(())
    }

    pub fn write_gradients(&mut self, optimizer: &Optimizer, mean: &[u8]) -> Result<(), Error> {
        let values = self.unpacked(mean);
        for (name, mut values) in self.blocks.cut(&values) {
            for slice in optimizer.buffers(Field::Gradients, name)? {
                let (head, rest) = values.split_at((slice.size / 4) as usize);
                self.queue.write_buffer(&slice.buffer, slice.offset, bytemuck::cast_slice(head));
                values = rest;
            }
        }
        Ok(())
    }
}
