//! From an optimizer's buffers to what is sent, and back: on the host, or on the GPU with the same bits.

mod device;
mod host;

use lookahead_wgpu::{Field, Optimizer, Slice, wgpu};

use self::{device::Device, host::Host};
use crate::{
    blocks::Blocks,
    error::Error,
    settings::{Packing, Settings},
};

/// Packs what an optimizer has.
pub(crate) enum Packer {
    Host(Host),
    Device(Box<Device>),
}

impl Packer {
    pub fn new(
        optimizer: &Optimizer,
        settings: &Settings,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
    ) -> Result<Self, Error> {
        if settings.packing == Packing::Device
            && let Some(device) = Device::new(optimizer, settings, device, queue)?
        {
            return Ok(Self::Device(Box::new(device)));
        }
        Ok(Self::Host(Host::new(Blocks::of(optimizer), settings.wire, queue)))
    }

    pub fn packing(&self) -> Packing {
        match self {
            Self::Host(_) => Packing::Host,
            Self::Device(_) => Packing::Device,
        }
    }

    /// Reads what is to be sent of the weights. Whether all of it is finite.
    pub fn read_weights(&mut self, optimizer: &Optimizer) -> Result<bool, Error> {
        match self {
            Self::Host(host) => host.read_weights(optimizer),
            Self::Device(device) => device.read(optimizer, Field::Weights),
        }
    }

    /// Reads the gradients. Whether all are finite.
    pub fn read_gradients(&mut self, optimizer: &Optimizer) -> Result<bool, Error> {
        match self {
            Self::Host(host) => host.read_gradients(optimizer),
            Self::Device(device) => device.read(optimizer, Field::Gradients),
        }
    }

    /// Packs what was read.
    pub fn pack(&mut self) -> Result<Vec<u8>, Error> {
        match self {
            Self::Host(host) => Ok(host.pack()),
            Self::Device(device) => device.pack(),
        }
    }

    /// Writes the fast weights that the mean stands for.
    pub fn write_weights(&mut self, optimizer: &mut Optimizer, mean: &[u8]) -> Result<(), Error> {
        match self {
            Self::Host(host) => host.write_weights(optimizer, mean),
            Self::Device(device) => {
                device.write(mean);
                Ok(())
            }
        }
    }

    /// Writes the mean gradients.
    pub fn write_gradients(&mut self, optimizer: &Optimizer, mean: &[u8]) -> Result<(), Error> {
        match self {
            Self::Host(host) => host.write_gradients(optimizer, mean),
            Self::Device(device) => {
                device.write(mean);
                Ok(())
            }
        }
    }

    /// Makes a gradient NaN, so that a guard skips the step.
    pub fn break_gradients(&self, optimizer: &Optimizer) -> Result<(), Error> {
        let queue = match self {
            Self::Host(host) => &host.queue,
            Self::Device(device) => &device.queue,
        };
        // One in each group, of which some may be frozen and not looked at.
        for (name, _) in optimizer.tensors() {
            if let Some(Slice { buffer, offset, .. }) = optimizer.buffers(Field::Gradients, name)?.first() {
                queue.write_buffer(buffer, *offset, &f32::NAN.to_le_bytes());
            }
        }
        Ok(())
    }

    /// Gives the steps of a round up: the fast weights return to the slow ones, and where they were `broken` the rule's
    /// state, which is no better, begins anew.
    pub fn discard(&self, optimizer: &mut Optimizer, broken: bool) -> Result<(), Error> {
        if broken {
            return renew(optimizer);
        }
        let slow = optimizer.download_all_blocking(Field::SlowWeights)?;
        let names: Vec<String> = optimizer.tensors().map(|(name, _)| name.to_owned()).collect();
        for (name, values) in names.iter().zip(&slow) {
            optimizer.upload(name, values)?;
        }
        Ok(())
    }

    /// What was lost and is yet to be sent, a value for each of all blocks; empty where the format loses nothing, or does
    /// not keep it.
    pub fn kept(&self) -> Result<Vec<f32>, Error> {
        match self {
            Self::Host(host) => Ok(host.kept.clone()),
            Self::Device(device) => device.kept(),
        }
    }

    /// Takes that over.
    pub fn keep(&mut self, kept: &[f32]) {
        match self {
            Self::Host(host) => host.kept.copy_from_slice(kept),
            Self::Device(device) => device.keep(kept),
        }
    }
}

/// Begins the rule's state anew, as the policy reset does, from the slow weights.
fn renew(optimizer: &mut Optimizer) -> Result<(), Error> {
    let mut snapshot = optimizer.export_blocking()?;
    for tensor in &mut snapshot.tensors {
        let slots = optimizer.rule(&tensor.group)?.slots();
        let initial = |name: &str| {
            let slot = slots.iter().find(|slot| name.strip_prefix("state.") == Some(slot.name));
            slot.map_or(0.0, |slot| slot.initial)
        };
        let slow = tensor.field(Field::SlowWeights).map(<[f32]>::to_vec);
        for (name, values) in &mut tensor.fields {
            match (name.as_str(), &slow) {
                ("weights", Some(slow)) => values.copy_from_slice(slow),
                (name, _) if name.starts_with("state.") => values.fill(initial(name)),
                _ => {}
            }
        }
    }
    snapshot.groups.iter_mut().for_each(|group| group.count = 0);
    Ok(optimizer.import(&snapshot)?)
}
