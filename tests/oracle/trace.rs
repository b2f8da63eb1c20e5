//! What wgpu's own trace tells of a device, in a form in which neither the order in which objects are made nor the
//! way in which contents come into them shows: two engines that make the same objects and record the same commands
//! have the same text.
//!
//! Objects are known by what they are: a buffer by label, size, usages and what is written to it before anything is
//! submitted, a bind group by label, layout and what it binds, a pipeline by label, layout, entry point and constants.
//! Buffers that are alike are numbered as commands first use them. Shader modules are known by their labels, those of
//! one label by their first use, too: the texts are compared elsewhere. How often layouts and modules are made does not matter, since nothing is done by it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
};

use lookahead_wgpu::wgpu;
use wgpu_core::{
    binding_model::BindingResource,
    command::{Command, ComputeCommand, PointerReferences},
    device::trace::{Action, DataLoader, DiskTraceLoader, FILE_NAME},
    id::{Marker, PointerId},
};

use crate::record::hash;

/// How the label of the buffer begins that ends a call.
const MARK: &str = "end of call: ";

/// Buffers that are only made to see whether the device is lost.
const PROBE: &str = "lookahead probe";

/// Ends a call, and gives it a name.
pub fn mark(device: &wgpu::Device, call: &str) {
    let _ = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(&format!("{MARK}{call}")),
        size: 4,
        usage: wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
}

/// The trace in a folder: a text for each call.
pub fn read(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join(FILE_NAME)).unwrap();
    // The closing bracket is written when the last handle of the device is dropped.
    let text = format!("{}]", text.trim_end().trim_end_matches(']'));
    let actions: Vec<Action<'_, PointerReferences>> = ron::from_str(&text).unwrap();
    let mut trace = Trace::default();
    let loader = DiskTraceLoader::new(folder);
    for action in &actions {
        trace.add(action, &loader);
    }
    trace.number();
    trace.texts()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Buffer,
    BindGroup,
    Layout,
    PipelineLayout,
    Module,
    Pipeline,
}

struct Object {
    kind: Kind,
    /// What it is, without what it refers to.
    text: String,
    label: String,
    /// What it refers to: which object, and how.
    parts: Vec<(usize, String)>,
    /// Of a buffer.
    size: u64,
    /// Of a buffer, before anything is submitted; zeros from there on. Of a module, its text.
    contents: Vec<u8>,
    /// Nothing was submitted since it was made.
    is_new: bool,
    /// Which of those that are alike, if it is used.
    number: Option<usize>,
}

enum Event {
    Made(usize),
    Write(usize, u64, Vec<u8>),
    /// Lines; a place in braces is an object's.
    Submit(Vec<Line>),
    End(String),
}

/// A command, and the objects that it names.
struct Line {
    text: String,
    objects: Vec<usize>,
}

#[derive(Default)]
struct Trace {
    objects: Vec<Object>,
    /// The object at an address now.
    known: HashMap<(Kind, usize), usize>,
    events: Vec<Event>,
    /// Each object's, once the buffers are numbered.
    names: Vec<String>,
}

fn address<T: Marker>(id: PointerId<T>) -> usize {
    let PointerId::PointerId(address, _) = id;
    address.get()
}

fn label(label: Option<&impl AsRef<str>>) -> String {
    label.map_or_else(|| "unnamed".to_owned(), |label| label.as_ref().to_owned())
}

impl Trace {
    fn add(&mut self, action: &Action<'_, PointerReferences>, loader: &impl DataLoader) {
        match action {
            Action::CreateBuffer(id, desc) => {
                let label = label(desc.label.as_ref());
                if let Some(call) = label.strip_prefix(MARK) {
                    return self.end(call);
                }
                if label == PROBE {
                    self.known.remove(&(Kind::Buffer, address(*id)));
                    return;
                }
                let text = format!("{} bytes, {:?}", desc.size, desc.usage);
                let index = self.made(Kind::Buffer, address(*id), label, text, vec![]);
                self.objects[index].size = desc.size;
            }
            Action::CreateBindGroupLayout(id, desc) => {
                let text = format!("{:?}", desc.entries);
                self.made(Kind::Layout, address(*id), label(desc.label.as_ref()), text, vec![]);
            }
            Action::CreatePipelineLayout(id, desc) => {
                let layouts = desc.bind_group_layouts.iter().zip(0..).filter_map(|(layout, place)| {
                    Some((self.of(Kind::Layout, (*layout)?), format!("group {place}")))
                });
                let parts = layouts.collect();
                let text = format!("{} bytes of immediates", desc.immediate_size);
                self.made(Kind::PipelineLayout, address(*id), label(desc.label.as_ref()), text, parts);
            }
            Action::CreateBindGroup(id, desc) => {
                let mut parts = vec![(self.of(Kind::Layout, desc.layout), "layout".to_owned())];
                let mut entries: Vec<_> = desc.entries.iter().collect();
                entries.sort_by_key(|entry| entry.binding);
                for entry in entries {
                    let BindingResource::Buffer(bound) = &entry.resource else {
                        panic!("bound is no buffer: {entry:?}")
                    };
                    let buffer = self.of(Kind::Buffer, bound.buffer);
                    let rest = self.objects[buffer].size - bound.offset;
                    let size = bound.size.unwrap_or(rest);
                    let place = format!("binding {} at {}, {size} bytes", entry.binding, bound.offset);
                    parts.push((buffer, place));
                }
                self.made(Kind::BindGroup, address(*id), label(desc.label.as_ref()), String::new(), parts);
            }
            Action::CreateShaderModule { id, desc, data } => {
                let label = label(desc.label.as_ref());
                let index = self.made(Kind::Module, address(*id), label, String::new(), vec![]);
                self.objects[index].contents = loader.load(data).to_vec();
            }
            Action::CreateComputePipeline { id, desc } => {
                let layout = desc.layout.map(|it| (self.of(Kind::PipelineLayout, it), "layout".to_owned()));
                let module = (self.of(Kind::Module, desc.stage.module), "module".to_owned());
                let constants: BTreeMap<_, _> = desc.stage.constants.iter().collect();
                let zeroed = desc.stage.zero_initialize_workgroup_memory;
                let text = format!("{:?} with {constants:?}, zeroed: {zeroed}", desc.stage.entry_point);
                let parts = layout.into_iter().chain([module]).collect();
                self.made(Kind::Pipeline, address(*id), label(desc.label.as_ref()), text, parts);
            }
            Action::WriteBuffer { id, data, offset, .. } => {
                // A probe is unmapped when it is dropped.
                if let Some(buffer) = self.known.get(&(Kind::Buffer, address(*id))) {
                    self.write(*buffer, *offset, loader.load(data).to_vec());
                }
            }
            Action::Submit(_, commands) => self.submit(commands),
            Action::Init { .. }
            | Action::DestroyBuffer(_)
            | Action::DropBuffer(_)
            | Action::DropBindGroupLayout(_)
            | Action::DropPipelineLayout(_)
            | Action::DropBindGroup(_)
            | Action::DropShaderModule(_)
            | Action::DropComputePipeline(_) => {}
            other => panic!("the trace has what nothing here is meant to do: {other:?}"),
        }
    }

    /// The object at an address: the last that was made there, and it lives as long as something refers to it.
    fn of<T: Marker>(&self, kind: Kind, id: PointerId<T>) -> usize {
        let known = self.known.get(&(kind, address(id)));
        *known.unwrap_or_else(|| panic!("a {kind:?} that was never made"))
    }

    fn made(
        &mut self,
        kind: Kind,
        address: usize,
        label: String,
        text: String,
        parts: Vec<(usize, String)>,
    ) -> usize {
        let index = self.objects.len();
        let contents = vec![];
        self.objects.push(Object { kind, text, label, parts, size: 0, contents, is_new: true, number: None });
        self.known.insert((kind, address), index);
        self.events.push(Event::Made(index));
        index
    }

    fn write(&mut self, buffer: usize, offset: u64, bytes: Vec<u8>) {
        let object = &mut self.objects[buffer];
        if object.is_new {
            let (start, end) = (offset as usize, offset as usize + bytes.len());
            object.contents.resize(object.contents.len().max(end), 0);
            object.contents[start..end].copy_from_slice(&bytes);
            // It began with zeros: those that are written change nothing.
            let zeros = object.contents.iter().rev().take_while(|byte| **byte == 0).count();
            object.contents.truncate(object.contents.len() - zeros);
        } else {
            self.events.push(Event::Write(buffer, offset, bytes));
        }
    }

    fn end(&mut self, call: &str) {
        self.objects.iter_mut().for_each(|object| object.is_new = false);
        self.events.push(Event::End(call.to_owned()));
    }

    fn submit(&mut self, commands: &[Command<PointerReferences>]) {
        self.objects.iter_mut().for_each(|object| object.is_new = false);
        let mut lines = Vec::new();
        for command in commands {
            match command {
                Command::CopyBufferToBuffer { src, src_offset, dst, dst_offset, size } => {
                    let objects = vec![self.of(Kind::Buffer, *src), self.of(Kind::Buffer, *dst)];
                    let text = format!("copy from {src_offset} to {dst_offset}, {size:?} bytes:");
                    lines.push(Line { text, objects });
                }
                Command::ClearBuffer { dst, offset, size } => {
                    let objects = vec![self.of(Kind::Buffer, *dst)];
                    lines.push(Line { text: format!("clear from {offset}, {size:?} bytes:"), objects });
                }
                Command::RunComputePass { pass, timestamp_writes: None } => {
                    let text = format!("pass {}", label(pass.label.as_ref()));
                    lines.push(Line { text, objects: vec![] });
                    let mut offsets = pass.dynamic_offsets.iter();
                    let mut first = lines.len();
                    for command in &pass.commands {
                        lines.push(self.in_pass(command, &mut offsets));
                        if matches!(command, ComputeCommand::DispatchWorkgroups(_)) {
                            // The order in which a dispatch's groups are set is of no matter.
                            let end = lines.len() - 1;
                            lines[first..end].sort_by(|a, b| a.text[2..].cmp(&b.text[2..]));
                            first = end + 1;
                        }
                    }
                }
                other => panic!("a command that nothing here is meant to record: {other:?}"),
            }
        }
        self.events.push(Event::Submit(lines));
    }

    fn in_pass<'a>(
        &self,
        command: &ComputeCommand<PointerReferences>,
        offsets: &mut impl Iterator<Item = &'a u32>,
    ) -> Line {
        match command {
            ComputeCommand::SetBindGroup { index, num_dynamic_offsets, bind_group } => {
                let offsets: Vec<_> = offsets.take(*num_dynamic_offsets).collect();
                let objects = bind_group.iter().map(|group| self.of(Kind::BindGroup, *group)).collect();
                Line { text: format!("  group {index} at {offsets:?}:"), objects }
            }
            ComputeCommand::SetPipeline(pipeline) => {
                Line { text: "  pipeline".to_owned(), objects: vec![self.of(Kind::Pipeline, *pipeline)] }
            }
            ComputeCommand::DispatchWorkgroups(workgroups) => {
                Line { text: format!("  dispatch {workgroups:?}"), objects: vec![] }
            }
            other => panic!("a command that nothing here is meant to record: {other:?}"),
        }
    }

    /// Numbers the buffers that are alike, and the modules of one label that have different texts, in the order of
    /// their first use.
    fn number(&mut self) {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        let mut visit = |index: usize| {
            let is_numbered = matches!(self.objects[index].kind, Kind::Buffer | Kind::Module);
            if is_numbered && seen.insert(index) {
                order.push(index);
            }
        };
        let submitted = self.events.iter().filter_map(|event| match event {
            Event::Submit(lines) => Some(lines),
            _ => None,
        });
        for index in submitted.flatten().flat_map(|line| &line.objects) {
            visit(*index);
            self.objects[*index].parts.iter().for_each(|(part, _)| visit(*part));
        }
        let mut alike: HashMap<String, Vec<usize>> = HashMap::new();
        for index in order {
            alike.entry(self.describe(index)).or_default().push(index);
        }
        for those in alike.into_values() {
            let mut texts: Vec<Vec<u8>> = Vec::new();
            for (place, index) in those.into_iter().enumerate() {
                let object = &mut self.objects[index];
                object.number = Some(place);
                if object.kind == Kind::Module {
                    let known = texts.iter().position(|text| *text == object.contents);
                    object.number = Some(known.unwrap_or(texts.len()));
                    texts.extend(known.is_none().then(|| object.contents.clone()));
                }
            }
        }
        // What an object refers to was made before it.
        for index in 0..self.objects.len() {
            let Object { label, number, .. } = &self.objects[index];
            let number =
                number.filter(|number| *number > 0).map_or_else(String::new, |number| format!(".{number}"));
            self.names.push(format!("`{label}` {}{number}", hash(self.describe(index).as_bytes())));
        }
    }

    /// All that an object is.
    fn describe(&self, index: usize) -> String {
        let object = &self.objects[index];
        let mut text = format!("{:?} `{}` {}", object.kind, object.label, object.text);
        if object.kind == Kind::Buffer {
            text += &match object.contents.len() {
                0 => ", zeros".to_owned(),
                _ => format!(", holds {}", hash(&object.contents)),
            };
        }
        for (part, how) in &object.parts {
            text += &format!("\n    {how}: {}", self.names[*part]);
        }
        text
    }

    /// A text for each call.
    fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        let (mut made, mut done) = (Vec::new(), String::new());
        let mut writes = Writes::new();
        for event in &self.events {
            match event {
                Event::Made(index) => made.push(*index),
                Event::Write(buffer, offset, bytes) => {
                    put(writes.entry(&self.names[*buffer]).or_default(), *offset, bytes.clone());
                }
                Event::Submit(lines) => {
                    done += &written(std::mem::take(&mut writes));
                    done += "submit\n";
                    for Line { text, objects } in lines {
                        let names: Vec<_> = objects.iter().map(|index| self.names[*index].as_str()).collect();
                        done += &format!("  {text} {}\n", names.join(" to "));
                    }
                }
                Event::End(call) => {
                    done += &written(std::mem::take(&mut writes));
                    let objects = self.made_text(&std::mem::take(&mut made));
                    texts.push(format!("== {call}\n{objects}{}", std::mem::take(&mut done)));
                }
            }
        }
        texts
    }

    /// The objects that a call made, whatever their order.
    fn made_text(&self, made: &[usize]) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for index in made {
            let is_shared =
                matches!(self.objects[*index].kind, Kind::Layout | Kind::PipelineLayout | Kind::Module);
            let line = format!("{} = {}", self.names[*index], self.describe(*index));
            let count = counts.entry(line).or_default();
            *count = if is_shared { 1 } else { *count + 1 };
        }
        counts.into_iter().map(|(line, count)| format!("make {count} {line}\n")).collect()
    }
}

/// What is written to each buffer before a submit: spans by their first byte.
type Writes<'a> = BTreeMap<&'a str, BTreeMap<u64, Vec<u8>>>;

/// Writes over what is there, and joins spans that touch.
fn put(spans: &mut BTreeMap<u64, Vec<u8>>, mut start: u64, mut bytes: Vec<u8>) {
    let end = start + bytes.len() as u64;
    let touched = spans.range(..=end).filter(|(at, span)| **at + span.len() as u64 >= start);
    let touched: Vec<u64> = touched.map(|(at, _)| *at).collect();
    for at in touched {
        let old = spans.remove(&at).unwrap_or_default();
        let first = at.min(start);
        let len = (at + old.len() as u64).max(start + bytes.len() as u64) - first;
        let mut joined = vec![0; len as usize];
        for (at, span) in [(at, old), (start, bytes)] {
            joined[(at - first) as usize..][..span.len()].copy_from_slice(&span);
        }
        (start, bytes) = (first, joined);
    }
    spans.insert(start, bytes);
}

fn written(writes: Writes<'_>) -> String {
    let spans = |spans: BTreeMap<u64, Vec<u8>>| {
        let spans = spans.iter().map(|(start, span)| format!("{start}+{} {}", span.len(), hash(span)));
        spans.collect::<Vec<_>>().join(", ")
    };
    writes.into_iter().map(|(buffer, written)| format!("write {buffer}: {}\n", spans(written))).collect()
}
