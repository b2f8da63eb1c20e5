//! The bytes that go between device and host: packed side by side, so that many small tensors cost one wait.
//!
//! Nothing else submits.

use super::{
    engine::{Engine, Stagings},
    faults::error,
    scope::Problem,
    slice::Slice,
    tally::Held,
    waiting::Waiter,
};
use crate::{
    config::precision::{Half, bytes, decode, encode},
    error::Error,
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

impl Engine {
    /// Bytes that one buffer of a transfer may have.
    fn batch_limit(&self) -> u64 {
        let limit = BATCH.min(self.device.limits().max_buffer_size);
        limit - limit % wgpu::COPY_BUFFER_ALIGNMENT
    }

    /// Copies slices to where they can be read: as they are when what was submitted so far is done.
    pub(crate) fn copy_back(&self, slices: impl Iterator<Item = Slice>) -> Download {
        let batches = batches(slices, self.batch_limit());
        let held = self.tally.hold(batches.iter().flatten().map(|slice| slice.size).sum());
        let ((stagings, submission), problem) = self.read_back(&batches);
        let (device, waiter) = (self.device.clone(), self.waiter.clone());
        Download { device, waiter, stagings, submission, problem, _held: held }
    }

    /// Reads sources.
    pub(crate) async fn read(&self, sources: Vec<Source>) -> Result<Vec<Vec<f32>>, Error> {
        let slices = sources.iter().flat_map(|source| source.slices.iter().cloned());
        Reader::new(self, slices).all(&sources).await
    }
}

/// Bytes under way.
pub(crate) struct Download {
    device: wgpu::Device,
    waiter: Waiter,
    stagings: Stagings,
    submission: wgpu::SubmissionIndex,
    problem: Problem,
    _held: Held,
}

impl Download {
    /// The bytes.
    pub async fn bytes(self) -> Result<Vec<u8>, Error> {
        if let Some(problem) = self.problem.await {
            return Err(error(&self.device, &problem, "the readback"));
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
    engine: &'a Engine,
    batches: std::vec::IntoIter<Vec<Slice>>,
    bytes: Vec<u8>,
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(engine: &'a Engine, slices: impl Iterator<Item = Slice>) -> Self {
        let batches = batches(slices, engine.batch_limit()).into_iter();
        Self { engine, batches, bytes: vec![], at: 0 }
    }

    /// The next bytes, at least one and at most `most`; none at the end.
    async fn next(&mut self, most: usize) -> Result<&[u8], Error> {
        if self.at == self.bytes.len()
            && let Some(batch) = self.batches.next()
        {
            // What was read goes before as much comes again.
            self.bytes = Vec::new();
            (self.bytes, self.at) = (self.engine.copy_back(batch.into_iter()).bytes().await?, 0);
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
    engine: &'a Engine,
    limit: u64,
    bytes: Vec<u8>,
    slices: Vec<Slice>,
}

impl<'a> Writer<'a> {
    pub fn new(engine: &'a Engine) -> Self {
        Self { engine, limit: engine.batch_limit(), bytes: vec![], slices: vec![] }
    }

    /// Writes values over slices, one after the other.
    pub fn values(&mut self, slices: &[Slice], values: &[f32], half: Option<Half>) -> Result<(), Error> {
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
        self.engine.unpack(&bytes, &slices)
    }

    /// Writes the rest.
    pub fn finish(mut self) -> Result<(), Error> {
        self.flush()
    }
}
