//! Batches whose parts are timed. They compute what others do, in the same order.

use super::{Run, RunError};
use crate::profile::{MOST_BATCHES, Part, Stopwatch};

impl Run {
    /// [`Self::submit`], which waits for the batches; what they came to is submitted apart, with the test, and not
    /// timed.
    pub async fn submit_timed(&mut self, most: u32, stopwatch: &mut Stopwatch) -> Result<(), RunError> {
        let batches = self.next_batches(most.min(MOST_BATCHES));
        let mut encoder = stopwatch.begin()?;
        for batch in batches.clone() {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.forward.record(self.kernels(), &mut pass, batch);
            drop(pass);
            stopwatch.lap(&mut encoder, Part::Forward)?;
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            self.backward.record(self.kernels(), &mut pass);
            drop(pass);
            stopwatch.lap(&mut encoder, Part::Backward)?;
            let before = self.optimizer.steps();
            self.step(&mut encoder, batch)?;
            stopwatch.lap(&mut encoder, self.part_since(before))?;
        }
        stopwatch.end(encoder, batches.len()).await?;
        let encoder = self.encoder();
        self.submit_results(encoder, batches).await
    }

    /// What the optimizer has done since it had recorded so many steps. A guard's skipped steps count, too.
    fn part_since(&self, before: u64) -> Part {
        let steps = self.optimizer.steps();
        match self.settings.lookahead {
            _ if steps == before => Part::Accumulation,
            Some((k, ..)) if steps.is_multiple_of(k.into()) => Part::Sync,
            _ => Part::Step,
        }
    }
}
