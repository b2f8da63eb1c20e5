//! The shipped optimizer over a model, wherever that is.

use burn::module::Module;
use burn::optim::GradientsParams;
use burn::tensor::{Device, wgpu::WgpuSetup};
use lookahead_burn::ModuleLookahead;
use lookahead_wgpu::{Builder, DEFAULT_GROUP, Field, Optimizer, Snapshot, gpu::Gpu};

use super::error::TrainError;
use super::host::Host;

/// Where the model is, and the optimizer.
pub enum Place {
    /// The model on the CPU, by Burn's `flex`, and the optimizer on wgpu's best adapter.
    Cpu(Box<Gpu>),
    /// Both on wgpu, in the same memory.
    Wgpu(Box<WgpuSetup>, Device),
}

impl Place {
    /// The model on the CPU, and the optimizer on the adapter whose name, driver or backend contains `adapter`, or the best.
    ///
    /// # Errors
    ///
    /// [`lookahead_wgpu::Error::NoAdapter`].
    pub fn cpu(adapter: Option<&str>) -> Result<Self, TrainError> {
        Ok(Self::Cpu(Box::new(Gpu::open_blocking(adapter)?)))
    }

    /// The model on wgpu. To be called once, before any other use of Burn's device.
    ///
    /// # Errors
    ///
    /// [`TrainError::Device`].
    pub fn wgpu() -> Result<Self, TrainError> {
        let opened = Device::wgpu_options().init_with_setup();
        let (device, setup) =
            opened.map_err(|problem| TrainError::Device { reason: format!("{problem:?}") })?;
        Ok(Self::Wgpu(Box::new(setup), device))
    }

    /// Where the model is.
    pub fn device(&self) -> Device {
        match self {
            Self::Cpu(_) => Device::flex(),
            Self::Wgpu(_, device) => device.clone(),
        }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        match self {
            Self::Cpu(gpu) => format!("model: Burn's flex, optimizer: {}", gpu.adapter.get_info().name),
            Self::Wgpu(setup, _) => format!("model and optimizer: {}", setup.adapter.get_info().name),
        }
    }
}

/// The optimizer, whatever the model is on.
pub struct Stepper(Form);

enum Form {
    Host(Box<Host>),
    Module(Box<ModuleLookahead>, Box<WgpuSetup>),
}

impl Stepper {
    /// Over the trained parameters of a module.
    ///
    /// # Errors
    ///
    /// What the optimizer's builder gives.
    pub fn new<M: Module>(builder: Builder, module: &M, place: Place) -> Result<Self, TrainError> {
        Ok(Self(match place {
            Place::Cpu(gpu) => Form::Host(Box::new(Host::new(builder, module, *gpu)?)),
            Place::Wgpu(setup, _) => {
                Form::Module(Box::new(ModuleLookahead::new(builder, module, &setup)?), setup)
            }
        }))
    }

    /// One step with these gradients.
    ///
    /// # Errors
    ///
    /// [`TrainError::Parameter`] for one without a gradient, and what the optimizer gives.
    pub fn step<M: Module>(&mut self, module: M, gradients: GradientsParams) -> Result<M, TrainError> {
        match &mut self.0 {
            Form::Host(host) => host.step(module, gradients),
            Form::Module(optimizer, _) => Ok(optimizer.step(module, gradients)?),
        }
    }

    /// The module with its slow weights.
    ///
    /// # Errors
    ///
    /// What the optimizer gives.
    pub fn slow<M: Module>(&self, module: &M) -> Result<M, TrainError> {
        match &self.0 {
            Form::Host(host) => host.with(module, Field::SlowWeights),
            Form::Module(optimizer, _) => Ok(optimizer.slow(module)?),
        }
    }

    /// The module with the average of its weights.
    ///
    /// # Errors
    ///
    /// What the optimizer gives.
    pub fn average<M: Module>(&self, module: &M) -> Result<M, TrainError> {
        match &self.0 {
            Form::Host(host) => host.with(module, Field::Average),
            Form::Module(optimizer, _) => Ok(optimizer.average(module)?),
        }
    }

    /// The module with a snapshot's weights, and the optimizer as it was then.
    ///
    /// # Errors
    ///
    /// What the optimizer gives.
    pub fn import<M: Module>(&mut self, module: M, snapshot: &Snapshot) -> Result<M, TrainError> {
        match &mut self.0 {
            Form::Host(host) => {
                host.optimizer_mut().import(snapshot)?;
                host.weights(module)
            }
            Form::Module(optimizer, _) => Ok(optimizer.import(module, snapshot)?),
        }
    }

    /// Begins the average anew with the next step.
    ///
    /// # Errors
    ///
    /// What the optimizer gives.
    pub fn begin_average(&mut self) -> Result<(), TrainError> {
        match &mut self.0 {
            Form::Host(host) => {
                let mut encoder = host.encoder();
                host.optimizer_mut().begin_average(&mut encoder)?;
                host.submit(encoder);
            }
            Form::Module(optimizer, setup) => {
                let mut encoder = setup.device.create_command_encoder(&Default::default());
                optimizer.optimizer_mut().begin_average(&mut encoder)?;
                setup.queue.submit([encoder.finish()]);
            }
        }
        Ok(())
    }

    /// Whether a cycle of Lookahead begins here; always without one.
    ///
    /// # Errors
    ///
    /// What the optimizer gives.
    pub fn is_synced(&self) -> Result<bool, TrainError> {
        let optimizer = self.optimizer();
        Ok(optimizer.lookahead(DEFAULT_GROUP)?.is_none() || optimizer.position(DEFAULT_GROUP)? == 0)
    }

    /// The optimizer.
    pub fn optimizer(&self) -> &Optimizer {
        match &self.0 {
            Form::Host(host) => host.optimizer(),
            Form::Module(optimizer, _) => optimizer.optimizer(),
        }
    }
}
