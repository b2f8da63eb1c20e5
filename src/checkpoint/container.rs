//! The safetensors container: named tensors of bytes after a JSON header.
//!
//! `safetensors` writes it. Its reader keeps the last of two entries of one name, holds the whole header as
//! generic values, tens of times the header's size, before it looks at them, and refuses a file for one entry of a type
//! that it does not know; so the header is read here, straight into the entries, and what is wrong is told with the
//! entry's name. Of entries that nobody asks for, only their places must be right.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
};

use safetensors::tensor::{Dtype, TensorView};
use serde::de::{
    Deserialize, Deserializer, Error as _, IntoDeserializer, MapAccess, Visitor, value::Error as Unknown,
};

/// The entry of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// Bytes of the header's length.
pub const PREFIX: usize = 8;

/// Bytes that a header may have, for `safetensors` as well.
const MAX_HEADER: u64 = 100_000_000;

/// The type of an entry's values.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    Known(Dtype),
    /// Some other program's, or a later version's.
    Unknown(String),
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(dtype) => dtype.fmt(f),
            Self::Unknown(name) => match name.char_indices().nth(32) {
                Some((end, _)) => write!(f, "{}...", &name[..end]),
                None => f.write_str(name),
            },
        }
    }
}

impl<'de> Deserialize<'de> for Type {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known: Result<Dtype, Unknown> = Dtype::deserialize(name.as_str().into_deserializer());
        Ok(known.map_or(Self::Unknown(name), Self::Known))
    }
}

/// One tensor's bytes.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub dtype: Type,
    pub shape: Vec<usize>,
    pub data: &'a [u8],
}

impl<'a> Entry<'a> {
    pub fn f32(shape: &[usize], values: &'a [f32]) -> Self {
        Self::new(Dtype::F32, shape, bytemuck::cast_slice(values))
    }

    pub fn new(dtype: Dtype, shape: &[usize], data: &'a [u8]) -> Self {
        Self { dtype: Type::Known(dtype), shape: shape.to_vec(), data }
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
            Type::Known(Dtype::F32) => Some(self.values()),
            Type::Known(Dtype::F64) => map(self.data, |bytes| f64::from_le_bytes(bytes) as f32),
            Type::Known(Dtype::F16) => map(self.data, |bytes| half::f16::from_le_bytes(bytes).to_f32()),
            Type::Known(Dtype::BF16) => map(self.data, |bytes| half::bf16::from_le_bytes(bytes).to_f32()),
            _ => None,
        }
    }
}

/// What a file holds.
#[derive(Debug)]
pub struct Contents<'a> {
    pub metadata: BTreeMap<String, String>,
    entries: BTreeMap<String, Entry<'a>>,
    /// The names in the file, where the entries have others.
    originals: BTreeMap<String, String>,
}

impl<'a> Contents<'a> {
    /// With each entry under another name.
    pub fn renamed(self, rename: impl Fn(&str) -> String) -> Result<Self, String> {
        let mut renamed = Self { entries: BTreeMap::new(), originals: BTreeMap::new(), ..self };
        for (original, entry) in self.entries {
            let name = rename(&original);
            if renamed.entries.insert(name.clone(), entry).is_some() {
                let other = renamed.originals.get(&name).unwrap_or(&name);
                return Err(format!("has `{other}` and `{original}`, both of which are mapped to `{name}`"));
            }
            if name != original {
                renamed.originals.insert(name, original);
            }
        }
        Ok(renamed)
    }

    /// Whether an entry is there.
    pub fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Takes an entry out, whose bytes must be as many as its shape says; a type that is not known has no size.
    pub fn take(&mut self, name: &str) -> Result<Option<Entry<'a>>, String> {
        let Some(entry) = self.entries.remove(name) else { return Ok(None) };
        if let Type::Known(dtype) = entry.dtype {
            let bits = count(&entry.shape).and_then(|count| count.checked_mul(dtype.bitsize()));
            if bits != entry.data.len().checked_mul(8) {
                let (shape, size) = (shown(&entry.shape), entry.data.len());
                return Err(format!(
                    "has a wrong header: `{name}` is {dtype} of the shape {shape}, in {size} bytes"
                ));
            }
        }
        Ok(Some(entry))
    }

    /// The names in the file of the entries that are left.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(|name| self.originals.get(name).unwrap_or(name).as_str())
    }
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
        let Type::Known(dtype) = entry.dtype else {
            return Err(format!("cannot be written: `{name}` is {}", entry.dtype));
        };
        let size = count(&entry.shape).and_then(|count| Some(count.checked_mul(dtype.bitsize())? / 8));
        if size != Some(entry.data.len()) {
            let (shape, found) = (&entry.shape, entry.data.len());
            return Err(format!("cannot be written: `{name}` has the shape {shape:?} and {found} bytes"));
        }
        let view = TensorView::new(dtype, entry.shape.clone(), entry.data);
        views.push((name, view.map_err(|problem| format!("cannot be written: {problem}"))?));
    }
    let metadata = [(metadata.0.to_owned(), metadata.1)].into_iter().collect();
    safetensors::serialize(views, Some(metadata)).map_err(|problem| format!("cannot be written: {problem}"))
}

/// Reads what [`write`] or any other program wrote.
pub fn read(bytes: &[u8]) -> Result<Contents<'_>, String> {
    let Header { metadata, entries } = check(bytes, bytes.len() as u64)?;
    let data = bytes.get(head(bytes, bytes.len() as u64)?..).unwrap_or_default();
    let slice = |(name, info): (String, Info)| {
        let (start, end) = info.data_offsets;
        let data = data.get(start..end).unwrap_or_default();
        (name, Entry { dtype: info.dtype, shape: info.shape, data })
    };
    Ok(Contents { metadata, entries: entries.into_iter().map(slice).collect(), originals: BTreeMap::new() })
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

/// The entries follow each other without gaps, to the end of the file.
fn check_offsets(entries: &BTreeMap<String, Info>, len: u64) -> Result<(), String> {
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

/// What the header says of an entry.
#[derive(serde::Deserialize)]
struct Info {
    dtype: Type,
    shape: Vec<usize>,
    data_offsets: (usize, usize),
}

pub struct Header {
    pub metadata: BTreeMap<String, String>,
    entries: BTreeMap<String, Info>,
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
                let info = map.next_value::<Info>();
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
