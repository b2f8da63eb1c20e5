//! The bytes that go between device and host: packed side by side, so that many small tensors cost one wait.

use super::{buffer::Buffer, interface::Engine, slice::Slice};
use crate::{
    config::precision::{Half, bytes, decode, encode},
    error::Error,
};

/// Bytes that are moved at once, at most: one buffer, one submit and one wait. It bounds what a transfer takes
/// besides the values themselves, on the device and on the host.
pub(crate) const BATCH: u64 = 64 << 20;

/// What is read: slices that hold `len` values one after the other.
pub(crate) struct Source<B> {
    pub slices: Vec<Slice<B>>,
    pub len: usize,
    pub half: Option<Half>,
}

/// Cuts slices into batches of at most `most` bytes, a multiple of 4.
fn batches<B: Buffer>(slices: impl Iterator<Item = Slice<B>>, most: u64) -> Vec<Vec<Slice<B>>> {
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

/// Copies slices to where they can be read: as they are when what was submitted so far is done.
pub(crate) fn copy_back<E: Engine>(engine: &E, slices: impl Iterator<Item = Slice<E::Buffer>>) -> E::Reading {
    engine.copy_back(&batches(slices, engine.batch_limit()))
}

/// Reads sources.
pub(crate) async fn read<E: Engine>(
    engine: &E,
    sources: Vec<Source<E::Buffer>>,
) -> Result<Vec<Vec<f32>>, Error> {
    let slices = sources.iter().flat_map(|source| source.slices.iter().cloned());
    Reader::new(engine, slices).all(&sources).await
}

/// Reads slices one after the other, a batch at a time.
pub(crate) struct Reader<'a, E: Engine> {
    engine: &'a E,
    batches: std::vec::IntoIter<Vec<Slice<E::Buffer>>>,
    bytes: Vec<u8>,
    at: usize,
}

impl<'a, E: Engine> Reader<'a, E> {
    pub fn new(engine: &'a E, slices: impl Iterator<Item = Slice<E::Buffer>>) -> Self {
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
            (self.bytes, self.at) = (self.engine.copy_back(&[batch]).await?, 0);
        }
        let start = self.at;
        self.at = (start + most).min(self.bytes.len());
        Ok(&self.bytes[start..self.at])
    }

    /// The values of the next sources.
    pub async fn all(&mut self, sources: &[Source<E::Buffer>]) -> Result<Vec<Vec<f32>>, Error> {
        let mut all = Vec::with_capacity(sources.len());
        for source in sources {
            all.push(self.values(source).await?);
        }
        Ok(all)
    }

    /// The values of the next source.
    async fn values(&mut self, source: &Source<E::Buffer>) -> Result<Vec<f32>, Error> {
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
    pub async fn slice(&mut self, slice: &Slice<E::Buffer>) -> Result<Vec<u8>, Error> {
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
pub(crate) struct Writer<'a, E: Engine> {
    engine: &'a E,
    limit: u64,
    bytes: Vec<u8>,
    slices: Vec<Slice<E::Buffer>>,
}

impl<'a, E: Engine> Writer<'a, E> {
    pub fn new(engine: &'a E) -> Self {
        Self { engine, limit: engine.batch_limit(), bytes: vec![], slices: vec![] }
    }

    /// Writes values over slices, one after the other.
    pub fn values(
        &mut self,
        slices: &[Slice<E::Buffer>],
        values: &[f32],
        half: Option<Half>,
    ) -> Result<(), Error> {
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
