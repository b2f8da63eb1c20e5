//! From an optimizer's buffers to what is sent, and back: on the host, or on the GPU with the same bits.

mod device;
mod host;
mod kernels;
mod reading;

use lookahead_wgpu::{Field, Optimizer, Slice, wgpu};

use self::{device::Device, host::Host};
pub(crate) use self::{device::is_fine, reading::Reading};
use crate::{
    blocks::Blocks,
    error::Error,
    settings::{Packing, Settings},
};

/// Packs what an optimizer has.
pub(crate) struct Packer {
    blocks: Blocks,
    settings: Settings,
    place: Place,
    /// What was kept of a fragment before it was packed that is under way, where that is the host's.
    before: Vec<f32>,
}

enum Place {
    Host(Host),
    Device(Box<Device>),
}

/// A fragment that was packed, or is being packed while steps go on.
pub(crate) enum Packed {
    /// It is there; none where a value is not finite.
    Now(Option<Vec<u8>>),
    /// It is being read back.
    Later(Reading),
}

impl Packer {
    pub fn new(
        optimizer: &Optimizer,
        settings: &Settings,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
    ) -> Result<Self, Error> {
        let blocks = Blocks::of(optimizer, &settings.fragments)?;
        let on_device = match settings.packing {
            Packing::Device => Device::new(optimizer, settings, &blocks, device, queue)?,
            Packing::Host => None,
        };
        let place = match on_device {
            Some(device) => Place::Device(Box::new(device)),
            None => Place::Host(Host::new(blocks.clone(), settings.wire, queue)),
        };
        Ok(Self { blocks, settings: settings.clone(), place, before: vec![] })
    }

    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    pub fn packing(&self) -> Packing {
        match &self.place {
            Place::Host(_) => Packing::Host,
            Place::Device(_) => Packing::Device,
        }
    }

    /// Reads what is to be sent of a fragment's weights. Whether all of it is finite.
    pub fn read_weights(&mut self, optimizer: &Optimizer, fragment: usize) -> Result<bool, Error> {
        match &mut self.place {
            Place::Host(host) => host.read_weights(optimizer, fragment),
            Place::Device(device) => device.read(optimizer, Field::Weights, fragment),
        }
    }

    /// Reads the gradients. Whether all are finite.
    pub fn read_gradients(&mut self, optimizer: &Optimizer) -> Result<bool, Error> {
        match &mut self.place {
            Place::Host(host) => host.read_gradients(optimizer),
            Place::Device(device) => device.read(optimizer, Field::Gradients, 0),
        }
    }

    /// Packs what was read of a fragment.
    pub fn pack(&mut self, fragment: usize) -> Result<Vec<u8>, Error> {
        match &mut self.place {
            Place::Host(host) => Ok(host.pack(fragment)),
            Place::Device(device) => device.pack(fragment),
        }
    }

    /// Reads and packs a fragment's weights, without waiting for it where that is the GPU's work.
    pub fn begin(&mut self, optimizer: &Optimizer, fragment: usize) -> Result<Packed, Error> {
        match &mut self.place {
            Place::Host(host) => {
                let is_finite = host.read_weights(optimizer, fragment)?;
                self.before = host.kept[self.blocks.kept(self.settings.wire, fragment)].to_vec();
                Ok(Packed::Now(is_finite.then(|| host.pack(fragment))))
            }
            Place::Device(device) => device.begin(optimizer, fragment).map(Packed::Later),
        }
    }

    /// After what was [begun](Self::begin) came to nothing: what was kept before is kept still.
    pub fn take_back(&mut self, fragment: usize) {
        match &mut self.place {
            Place::Host(host) => {
                let kept = &mut host.kept[self.blocks.kept(self.settings.wire, fragment)];
                kept.copy_from_slice(&self.before);
            }
            Place::Device(device) => device.take_back(fragment),
        }
    }

    /// Writes the fast weights that the mean stands for.
    pub fn write_weights(
        &mut self,
        optimizer: &mut Optimizer,
        fragment: usize,
        mean: &[u8],
    ) -> Result<(), Error> {
        match &mut self.place {
            Place::Host(host) => host.write_weights(optimizer, fragment, mean),
            Place::Device(device) => {
                device.write(fragment, mean);
                Ok(())
            }
        }
    }

    /// Writes the mean gradients.
    pub fn write_gradients(&mut self, optimizer: &Optimizer, mean: &[u8]) -> Result<(), Error> {
        match &mut self.place {
            Place::Host(host) => host.write_gradients(optimizer, mean),
            Place::Device(device) => {
                device.write(0, mean);
                Ok(())
            }
        }
    }

    /// Remembers a fragment's fast weights as they are, to be [mixed](Self::mix) in.
    pub fn remember(&mut self, optimizer: &Optimizer, fragment: usize) -> Result<(), Error> {
        match &mut self.place {
            Place::Host(host) => host.remember(optimizer, fragment),
            Place::Device(device) => {
                device.remember(fragment);
                Ok(())
            }
        }
    }

    /// Fast weights, which are the slow ones, move towards those that were remembered.
    pub fn mix(&mut self, optimizer: &mut Optimizer, fragment: usize) -> Result<(), Error> {
        match &mut self.place {
            Place::Host(host) => host.mix(optimizer, fragment, self.settings.mixing as f32),
            Place::Device(device) => {
                device.mix(fragment);
                Ok(())
            }
        }
    }

    /// Makes a gradient NaN, so that a guard skips the step.
    pub fn break_gradients(&self, optimizer: &Optimizer) -> Result<(), Error> {
        let queue = match &self.place {
            Place::Host(host) => &host.queue,
            Place::Device(device) => &device.queue,
        };
        // One in each group, of which some may be frozen and not looked at.
        for (name, _) in optimizer.tensors() {
            if let Some(Slice { buffer, offset, .. }) = optimizer.buffers(Field::Gradients, name)?.first() {
                queue.write_buffer(buffer, *offset, &f32::NAN.to_le_bytes());
            }
        }
        Ok(())
    }

    /// Gives a fragment's steps up: its fast weights return to the slow ones, and where a rank's were `broken` all of its
    /// do, and its rule's state, which is no better, begins anew.
    pub fn discard(&self, optimizer: &mut Optimizer, fragment: usize, broken: bool) -> Result<(), Error> {
        if broken {
            return renew(optimizer);
        }
        let slow = self.blocks.read(optimizer, Field::SlowWeights, fragment)?;
        for (tensor, values) in self.blocks.fragment(fragment).iter().zip(&slow) {
            optimizer.upload(&tensor.name, values)?;
        }
        Ok(())
    }

    /// What was lost and is yet to be sent, a value for each of all blocks; empty where the format loses nothing, or does
    /// not keep it.
    pub fn kept(&self) -> Result<Vec<f32>, Error> {
        match &self.place {
            Place::Host(host) => Ok(host.kept.clone()),
            Place::Device(device) => device.kept(),
        }
    }

    /// Takes that over.
    pub fn keep(&mut self, kept: &[f32]) {
        match &mut self.place {
            Place::Host(host) => host.kept.copy_from_slice(kept),
            Place::Device(device) => device.keep(kept),
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
