//! The safetensors container: named tensors of bytes after a JSON header.
//!
//! `safetensors` writes it. Its reader keeps the last of two entries of one name, and holds the whole header as
//! generic values, tens of times the header's size, before it looks at them; so the header is read here, straight
//! into the entries, and what is wrong is told with the entry's name.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use safetensors::tensor::{Dtype, TensorInfo, TensorView};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};

/// The entry of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// Bytes of the header's length.
pub const PREFIX: usize = 8;

/// Bytes that a header may have, for `safetensors` as well.
const MAX_HEADER: u64 = 100_000_000;

/// One tensor's bytes.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    pub data: &'a [u8],
}

impl<'a> Entry<'a> {
    pub fn f32(shape: &[usize], values: &'a [f32]) -> Self {
        Self { dtype: Dtype::F32, shape: shape.to_vec(), data: bytemuck::cast_slice(values) }
    }

    /// The values of an f32 entry, bit for bit.
    pub fn values(&self) -> Vec<f32> {
        self.data.chunks_exact(4).map(bytemuck::pod_read_unaligned).collect()
    }

    /// Floating point of any width as f32, to the nearest; none where it is something else.
    pub fn converted(&self) -> Option<Vec<f32>> {
        fn map<const N: usize>(data: &[u8], value: impl Fn([u8; N]) -> f32) -> Option<Vec<f32>> {
            Some(data.as_chunks::<N>().0.iter().map(|bytes| value(*bytes)).collect())
        }
        match self.dtype {
            Dtype::F32 => Some(self.values()),
            Dtype::F64 => map(self.data, |bytes| f64::from_le_bytes(bytes) as f32),
            Dtype::F16 => map(self.data, |bytes| half::f16::from_le_bytes(bytes).to_f32()),
            Dtype::BF16 => map(self.data, |bytes| half::bf16::from_le_bytes(bytes).to_f32()),
            _ => None,
        }
    }
}

/// What a file holds.
#[derive(Debug)]
pub struct Contents<'a> {
    pub metadata: BTreeMap<String, String>,
    pub entries: BTreeMap<String, Entry<'a>>,
}

/// The number of values of a shape, if memory could hold them.
pub fn count(shape: &[usize]) -> Option<usize> {
    let count = shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size))?;
    count.checked_mul(8).map(|_| count)
}

/// The bytes of entries whose data are as long as their shapes say.
pub fn write(entries: Vec<(String, Entry<'_>)>, metadata: (&str, String)) -> Result<Vec<u8>, String> {
    let mut names = HashSet::new();
    for (name, _) in &entries {
        if name == METADATA || !names.insert(name.as_str()) {
            return Err(format!("cannot be written: it would have two entries `{name}`"));
        }
    }
    let mut views = Vec::with_capacity(entries.len());
    for (name, entry) in &entries {
        let size = count(&entry.shape).and_then(|count| Some(count.checked_mul(entry.dtype.bitsize())? / 8));
        if size != Some(entry.data.len()) {
            let (shape, found) = (&entry.shape, entry.data.len());
            return Err(format!("cannot be written: `{name}` has the shape {shape:?} and {found} bytes"));
        }
        let view = TensorView::new(entry.dtype, entry.shape.clone(), entry.data);
        views.push((name, view.map_err(|problem| format!("cannot be written: {problem}"))?));
    }
    let metadata = [(metadata.0.to_owned(), metadata.1)].into_iter().collect();
    safetensors::serialize(views, Some(metadata)).map_err(|problem| format!("cannot be written: {problem}"))
}

/// Reads what [`write`] or any other program wrote.
pub fn read(bytes: &[u8]) -> Result<Contents<'_>, String> {
    let Header { metadata, entries } = check(bytes, bytes.len() as u64)?;
    let data = bytes.get(head(bytes, bytes.len() as u64)?..).unwrap_or_default();
    let slice = |(name, info): (String, TensorInfo)| {
        let (start, end) = info.data_offsets;
        let data = data.get(start..end).unwrap_or_default();
        (name, Entry { dtype: info.dtype, shape: info.shape, data })
    };
    Ok(Contents { metadata, entries: entries.into_iter().map(slice).collect() })
}

/// Bytes before the values of a file of `len` bytes that starts with these.
pub fn head(bytes: &[u8], len: u64) -> Result<usize, String> {
    let Some(prefix) = bytes.first_chunk::<PREFIX>() else {
        return Err(format!("is no safetensors file: it has {len} bytes"));
    };
    let (header, rest) = (u64::from_le_bytes(*prefix), len.saturating_sub(PREFIX as u64));
    if header > rest {
        return Err(format!(
            "is no safetensors file, or is cut short: its header would have {header} bytes, and {rest} follow"
        ));
    }
    if header > MAX_HEADER {
        return Err(format!(
            "is no safetensors file: its header would have {header} bytes, over {MAX_HEADER}"
        ));
    }
    Ok(PREFIX + header as usize)
}

/// The header of a file of `len` bytes that starts with these, which hold it: whether it is right can be told
/// before the values are read.
pub fn check(bytes: &[u8], len: u64) -> Result<Header, String> {
    let head = head(bytes, len)?;
    let text = bytes.get(PREFIX..head).unwrap_or_default();
    let header: Header = serde_json::from_slice(text)
        .map_err(|problem| format!("is no safetensors file: its header is wrong: {problem}"))?;
    check_offsets(&header.entries, len - head as u64)?;
    Ok(header)
}

/// The entries follow each other without gaps, each as long as its shape says, to the end of the file.
fn check_offsets(entries: &BTreeMap<String, TensorInfo>, len: u64) -> Result<(), String> {
    let mut order: Vec<_> = entries.iter().collect();
    order.sort_by_key(|(_, info)| info.data_offsets);
    let mut due = 0;
    for (name, info) in order {
        let (start, end) = info.data_offsets;
        if start != due || end < start {
            return Err(format!(
                "has a wrong header: `{name}` lies at {start}..{end} where byte {due} is due"
            ));
        }
        let bits = count(&info.shape).and_then(|count| count.checked_mul(info.dtype.bitsize()));
        if bits != (end - start).checked_mul(8) {
            let (shape, dtype, size) = (&info.shape, info.dtype, end - start);
            return Err(format!(
                "has a wrong header: `{name}` is {dtype} of the shape {}, in {size} bytes",
                shown(shape)
            ));
        }
        due = end;
    }
    let due = due as u64;
    match len.cmp(&due) {
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Less => {
            Err(format!("is cut short: {due} bytes of values are due, and {len} are there"))
        }
        std::cmp::Ordering::Greater => Err(format!("has {} bytes after the last value", len - due)),
    }
}

/// A shape that may come from anywhere.
pub fn shown(shape: &[usize]) -> String {
    match shape.get(..8) {
        Some(first) if shape.len() > 8 => format!("{first:?}... of {} dimensions", shape.len()),
        _ => format!("{shape:?}"),
    }
}

pub struct Header {
    metadata: BTreeMap<String, String>,
    entries: BTreeMap<String, TensorInfo>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeaderVisitor)
    }
}

struct HeaderVisitor;

impl<'de> Visitor<'de> for HeaderVisitor {
    type Value = Header;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the entries of a safetensors file")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
        let mut metadata = None;
        let mut entries = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let is_new = if name == METADATA {
                metadata.replace(map.next_value::<Metadata>()?.0).is_none()
            } else {
                let info = map.next_value::<TensorInfo>();
                let info = info.map_err(|problem| A::Error::custom(format!("`{name}`: {problem}")))?;
                entries.insert(name.clone(), info).is_none()
            };
            if !is_new {
                return Err(A::Error::custom(format!("`{name}` is there twice")));
            }
        }
        Ok(Header { metadata: metadata.unwrap_or_default(), entries })
    }
}

/// The texts of `__metadata__`.
struct Metadata(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MetadataVisitor)
    }
}

struct MetadataVisitor;

impl<'de> Visitor<'de> for MetadataVisitor {
    type Value = Metadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("texts by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Metadata, A::Error> {
        let mut texts = BTreeMap::new();
        while let Some((name, text)) = map.next_entry::<String, String>()? {
            if texts.insert(name.clone(), text).is_some() {
                return Err(A::Error::custom(format!("`{name}` is twice in `{METADATA}`")));
            }
        }
        Ok(Metadata(texts))
    }
}
