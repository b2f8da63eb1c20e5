//! How far training is: on the host, or where a guard may skip steps, on the GPU.

use crate::{
    access::Slice,
    error::Error,
    guard::{ClockWords, Cycle},
    optimizer::Optimizer,
};

/// How far training is.
#[derive(Debug, Clone, PartialEq)]
pub struct Counters {
    /// Steps taken, over all cycles.
    pub steps: u64,
    /// Steps that a guard skipped.
    pub skipped: u64,
    /// The loss scale, 1 without loss scaling.
    pub loss_scale: f32,
    /// Finite steps in a row since the loss scale changed.
    pub since_rescaled: u32,
    /// For each group, in the order of [`Optimizer::groups`].
    pub groups: Vec<GroupCounters>,
}

/// How far a group is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupCounters {
    /// Inner steps since the state was last initialised.
    pub count: u64,
    /// Steps since the last sync.
    pub position: u32,
}

impl Optimizer {
    /// How far training is, once everything submitted so far is done. With a guard this is a readback, though no
    /// step waits for it; something must poll the device meanwhile, as [`counters_blocking`](Self::counters_blocking)
    /// does.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub async fn counters(&self) -> Result<Counters, Error> {
        Ok(self.clock().await?.into())
    }

    /// [`Self::counters`], polling the device and waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::counters`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn counters_blocking(&self) -> Result<Counters, Error> {
        Ok(self.clock_blocking()?.into())
    }

    pub(crate) async fn clock(&self) -> Result<ClockWords, Error> {
        match self.start_clock()? {
            Ok(clock) => Ok(clock),
            Err(download) => Ok(decoded(&download.bytes().await?)),
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn clock_blocking(&self) -> Result<ClockWords, Error> {
        match self.start_clock()? {
            Ok(clock) => Ok(clock),
            Err(download) => {
                self.wait()?;
                Ok(decoded(&pollster::block_on(download.bytes())?))
            }
        }
    }

    /// What a guard's clock would hold, or its readback.
    fn start_clock(&self) -> Result<Result<ClockWords, crate::readback::Download>, Error> {
        let Some(guard) = &self.guard else {
            let groups = self.groups.iter().map(|group| (group.clock.count, group.clock.position)).collect();
            return Ok(Ok(ClockWords {
                steps: self.steps,
                skipped: 0,
                tracker: 0,
                scale: 1.0,
                unscale: 1.0,
                groups,
                cycles: self.groups.iter().map(|group| Cycle::of(group.lookahead.as_ref())).collect(),
            }));
        };
        let slice = Slice::whole(&guard.clock);
        Ok(Err(self.copy_back(vec![slice], 0, None)?))
    }

    /// The adaptive alphas of the last sync that the device has done, one for the model, or one a group or tensor,
    /// in their order; none where the fixed one was taken. Empty without an adaptive alpha.
    ///
    /// # Errors
    ///
    /// [`Error::DeviceLost`], [`Error::OutOfMemory`].
    pub async fn download_alphas(&self) -> Result<Vec<Option<f32>>, Error> {
        match self.start_alphas()? {
            None => Ok(vec![]),
            Some(download) => Ok(alphas(&download.values().await?)),
        }
    }

    /// [`Self::download_alphas`], polling the device and waiting for it.
    ///
    /// # Errors
    ///
    /// As [`Self::download_alphas`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn download_alphas_blocking(&self) -> Result<Vec<Option<f32>>, Error> {
        let Some(download) = self.start_alphas()? else { return Ok(vec![]) };
        self.wait()?;
        Ok(alphas(&pollster::block_on(download.values())?))
    }

    fn start_alphas(&self) -> Result<Option<crate::readback::Download>, Error> {
        let Some(buffer) = self.alphas() else { return Ok(None) };
        let len = (buffer.size() / 4) as usize;
        Ok(Some(self.copy_back(vec![Slice::whole(buffer)], len, None)?))
    }
}

fn alphas(results: &[f32]) -> Vec<Option<f32>> {
    results.chunks_exact(2).map(|result| (result[0] > 0.0).then_some(result[0])).collect()
}

fn decoded(bytes: &[u8]) -> ClockWords {
    let words: Vec<u32> = bytes.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
    ClockWords::decode(&words)
}

impl From<ClockWords> for Counters {
    fn from(clock: ClockWords) -> Self {
        let group = |&(count, position): &(u64, u32)| GroupCounters { count, position };
        Self {
            steps: clock.steps,
            skipped: clock.skipped,
            loss_scale: clock.scale,
            since_rescaled: clock.tracker,
            groups: clock.groups.iter().map(group).collect(),
        }
    }
}
