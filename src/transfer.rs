//! The bytes that go between device and host: packed side by side, so that many small tensors cost one wait.
//!
//! The only part of the crate that submits.

use futures::{FutureExt, channel::oneshot};

use crate::{
    access::Slice,
    config::precision::{Half, bytes, decode, encode},
    error::Error,
    gpu,
    memory::Held,
    optimizer::Optimizer,
    readback::Field,
    waiting::Waiter,
};

/// Bytes that are moved at once, at most: one buffer, one submit and one wait. It bounds what a transfer takes
/// besides the values themselves, on the device and on the host.
pub(crate) const BATCH: u64 = 64 << 20;

/// What is read: slices that hold `len` values one after the other.
pub(crate) struct Source {
    pub slices: Vec<Slice>,
    pub len: usize,
    pub half: Option<Half>,
}

/// Cuts slices into batches of at most `most` bytes, a multiple of 4.
fn batches(slices: impl Iterator<Item = Slice>, most: u64) -> Vec<Vec<Slice>> {
    let (mut batches, mut batch, mut room) = (Vec::new(), Vec::new(), most);
    for mut rest in slices {
        while rest.size > 0 {
            let size = rest.size.min(room);
            batch.push(Slice::new(&rest.buffer, rest.offset, size));
            (rest.offset, rest.size, room) = (rest.offset + size, rest.size - size, room - size);
            if room == 0 {
                batches.push(std::mem::take(&mut batch));
                room = most;
            }
        }
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

impl Optimizer {
    /// Bytes that one buffer of a transfer may have.
    fn batch_limit(&self) -> u64 {
        let limit = BATCH.min(self.device.limits().max_buffer_size);
        limit - limit % wgpu::COPY_BUFFER_ALIGNMENT
    }

    /// Copies slices to where they can be read: as they are when what was submitted so far is done.
    pub(crate) fn copy_back(&self, slices: impl Iterator<Item = Slice>) -> Download {
        let batches = batches(slices, self.batch_limit());
        let size = |batch: &Vec<Slice>| batch.iter().map(|slice| slice.size).sum::<u64>();
        let held = self.tally.hold(batches.iter().map(size).sum());
        let ((stagings, submission), problem) = gpu::scoped(&self.device, || {
            let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let stagings = batches.iter().map(|batch| {
                let staging = self.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("lookahead readback"),
                    size: size(batch),
                    usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                let mut at = 0;
                for slice in batch {
                    encoder.copy_buffer_to_buffer(&slice.buffer, slice.offset, &staging, at, slice.size);
                    at += slice.size;
                }
                let (sender, receiver) = oneshot::channel();
                encoder.map_buffer_on_submit(&staging, wgpu::MapMode::Read, .., move |result| {
                    // The receiver may have lost interest.
                    let _ = sender.send(result);
                });
                (staging, receiver)
            });
            let stagings: Vec<_> = stagings.collect();
            (stagings, self.queue.submit([encoder.finish()]))
        });
        let (device, waiter) = (self.device.clone(), self.waiter.clone());
        Download { device, waiter, stagings, submission, problem, _held: held }
    }

    /// Reads sources.
    pub(crate) async fn read(&self, sources: Vec<Source>) -> Result<Vec<Vec<f32>>, Error> {
        let slices = sources.iter().flat_map(|source| source.slices.iter().cloned());
        Reader::new(self, slices).all(&sources).await
    }
}

type Mapped = oneshot::Receiver<Result<(), wgpu::BufferAsyncError>>;

/// Bytes under way.
pub(crate) struct Download {
    device: wgpu::Device,
    waiter: Waiter,
    stagings: Vec<(wgpu::Buffer, Mapped)>,
    submission: wgpu::SubmissionIndex,
    problem: gpu::Problem,
    _held: Held,
}

impl Download {
    /// The bytes.
    pub async fn bytes(self) -> Result<Vec<u8>, Error> {
        if let Some(problem) = self.problem.await {
            return Err(gpu::error(&self.device, &problem, "the readback"));
        }
        self.waiter.wait(&self.device, self.submission).await.map_err(|problem| lost(&problem))?;
        let mut bytes = Vec::new();
        for (staging, mapped) in self.stagings {
            mapped
                .await
                .map_err(|_| lost(&"the device dropped the request"))?
                .map_err(|problem| lost(&problem))?;
            let view = staging.get_mapped_range(..).map_err(|problem| lost(&problem))?;
            bytes.extend_from_slice(&view);
            drop(view);
            // A browser frees a buffer that is no longer used when it collects garbage, which may be late.
            staging.destroy();
        }
        Ok(bytes)
    }

    /// The bytes as values.
    pub async fn values(self, len: usize, half: Option<Half>) -> Result<Vec<f32>, Error> {
        Ok(decode(&self.bytes().await?, len, half))
    }
}

fn lost(problem: &dyn std::fmt::Display) -> Error {
    Error::DeviceLost { doing: "reading values back".to_owned(), message: problem.to_string() }
}

/// Reads slices one after the other, a batch at a time.
pub(crate) struct Reader<'a> {
    optimizer: &'a Optimizer,
    batches: std::vec::IntoIter<Vec<Slice>>,
    bytes: Vec<u8>,
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(optimizer: &'a Optimizer, slices: impl Iterator<Item = Slice>) -> Self {
        let batches = batches(slices, optimizer.batch_limit()).into_iter();
        Self { optimizer, batches, bytes: vec![], at: 0 }
    }

    /// The next bytes, at least one and at most `most`; none at the end.
    async fn next(&mut self, most: usize) -> Result<&[u8], Error> {
        if self.at == self.bytes.len()
            && let Some(batch) = self.batches.next()
        {
            // What was read goes before as much comes again.
            self.bytes = Vec::new();
            (self.bytes, self.at) = (self.optimizer.copy_back(batch.into_iter()).bytes().await?, 0);
        }
        let start = self.at;
        self.at = (start + most).min(self.bytes.len());
        Ok(&self.bytes[start..self.at])
    }

    /// The values of the next sources.
    pub async fn all(&mut self, sources: &[Source]) -> Result<Vec<Vec<f32>>, Error> {
        let mut all = Vec::with_capacity(sources.len());
        for source in sources {
            all.push(self.values(source).await?);
        }
        Ok(all)
    }

    /// The values of the next source.
    async fn values(&mut self, source: &Source) -> Result<Vec<f32>, Error> {
        let mut left = source.slices.iter().map(|slice| slice.size).sum::<u64>() as usize;
        let mut values = Vec::with_capacity(source.len);
        while left > 0 {
            let bytes = self.next(left).await?;
            if bytes.is_empty() {
                break;
            }
            left -= bytes.len();
            values.extend(decode(bytes, source.len - values.len(), source.half));
        }
        Ok(values)
    }

    /// The bytes of the next slice.
    pub async fn slice(&mut self, slice: &Slice) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        while all.len() < slice.size as usize {
            let bytes = self.next(slice.size as usize - all.len()).await?;
            if bytes.is_empty() {
                break;
            }
            all.extend_from_slice(bytes);
        }
        Ok(all)
    }
}

/// Writes values over slices, before whatever is submitted next, a batch at a time: one write to a buffer of its
/// own, and from there a copy for each slice. What lies between slices stays as it is.
pub(crate) struct Writer<'a> {
    optimizer: &'a Optimizer,
    limit: u64,
    bytes: Vec<u8>,
    slices: Vec<Slice>,
}

impl<'a> Writer<'a> {
    pub fn new(optimizer: &'a Optimizer) -> Self {
        Self { optimizer, limit: optimizer.batch_limit(), bytes: vec![], slices: vec![] }
    }

    /// Writes one field of a tensor, and with the weights their half-width copy.
    pub fn field(&mut self, field: Field<'_>, tensor: usize, values: &[f32]) -> Result<(), Error> {
        let optimizer = self.optimizer;
        let target = optimizer.place(field, tensor)?;
        self.values(&target.slices, values, target.half)?;
        match field {
            Field::Weights => self.copy(tensor, values),
            _ => Ok(()),
        }
    }

    /// Writes new weights of a tensor, as [`Optimizer::upload`] does.
    pub fn weights(&mut self, tensor: usize, values: &[f32]) -> Result<(), Error> {
        self.field(Field::Weights, tensor, values)?;
        if self.optimizer.seeds_with_weights(tensor) {
            self.field(Field::SlowWeights, tensor, values)?;
        }
        Ok(())
    }

    /// Writes the half-width copy of a tensor's weights, if there is one.
    fn copy(&mut self, tensor: usize, values: &[f32]) -> Result<(), Error> {
        let half = self.optimizer.options.half_weights;
        match half {
            Some(_) => self.values(&self.optimizer.half_weights_of(tensor), values, half),
            None => Ok(()),
        }
    }

    fn values(&mut self, slices: &[Slice], values: &[f32], half: Option<Half>) -> Result<(), Error> {
        let mut values = values;
        for slice in slices {
            let mut slice = slice.clone();
            while slice.size > 0 {
                if self.bytes.len() as u64 >= self.limit {
                    self.flush()?;
                }
                let size = slice.size.min(self.limit - self.bytes.len() as u64);
                let width = if half.is_some() { 2 } else { 4 };
                let (head, tail) = values.split_at(((size / width) as usize).min(values.len()));
                self.bytes.extend(encode(head, half));
                self.slices.push(Slice::new(&slice.buffer, slice.offset, bytes(head.len() as u64, half)));
                values = tail;
                (slice.offset, slice.size) = (slice.offset + size, slice.size - size);
            }
        }
        Ok(())
    }

    /// Writes what there is. A borrowed buffer may be mapped or destroyed.
    fn flush(&mut self) -> Result<(), Error> {
        let (bytes, slices) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.slices));
        if slices.is_empty() {
            return Ok(());
        }
        let Optimizer { device, queue, tally, .. } = self.optimizer;
        // Writing to a buffer of a lost device is a panic of wgpu's.
        gpu::check_alive(device, "writing values")?;
        let held = tally.hold(bytes.len() as u64);
        let ((), problem) = gpu::scoped(device, || {
            let packed = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("lookahead upload"),
                size: bytes.len() as u64,
                usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            queue.write_buffer(&packed, 0, &bytes);
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let mut at = 0;
            for slice in &slices {
                encoder.copy_buffer_to_buffer(&packed, at, &slice.buffer, slice.offset, slice.size);
                at += slice.size;
            }
            encoder.on_submitted_work_done(move || drop(held));
            queue.submit([encoder.finish()]);
        });
        // Off the web the answer is there at once; on the web a failure shows in the console.
        match problem.now_or_never() {
            Some(Some(problem)) => Err(gpu::error(device, &problem, "writing values")),
            _ => Ok(()),
        }
    }

    /// Writes the rest.
    pub fn finish(mut self) -> Result<(), Error> {
        self.flush()
    }
}
