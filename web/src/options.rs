//! What `Optimizer.create` is given.

use js_sys::{Array, Reflect};
use lookahead_wgpu::{
    DEFAULT_GROUP, Group, Half, ImportOptions, Lookahead, Rule, Schedule,
    foreign::{Foreign, Slice},
};
use serde::{Deserialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};

use crate::{device::Device, given::Given, own, problem::Problem, rules};

pub type Builder = lookahead_wgpu::Builder<Foreign<Device>>;

/// Where a tensor's values lie: its name, and the slice.
pub type Placed = (String, Slice);

/// What an optimizer is made of besides the library's own options.
const PARTS: [&str; 6] = ["rule", "tensors", "lookahead", "groups", "schedule", OPENING];

/// Where the device comes from: the package puts it there.
pub const OPENING: &str = "opening";

/// What of a group is about its rule.
const RULE: [&str; 2] = ["rule", "hyperparameters"];

/// All else of a group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupOptions {
    name: String,
    learning_rate: Option<f64>,
    learning_rate_factor: Option<f64>,
    weight_decay: Option<f64>,
    k: Option<u32>,
    alpha: Option<f64>,
    #[serde(default)]
    frozen: bool,
    maximize: Option<bool>,
}

impl GroupOptions {
    fn group(&self) -> Group {
        type Number = fn(Group, f64) -> Group;
        let numbers: [(Option<f64>, Number); 4] = [
            (self.learning_rate, Group::learning_rate),
            (self.learning_rate_factor, Group::learning_rate_factor),
            (self.weight_decay, Group::weight_decay),
            (self.alpha, Group::alpha),
        ];
        let given = numbers.into_iter().filter_map(|(number, set)| Some((number?, set)));
        let mut group = given.fold(Group::new(&self.name), |group, (number, set)| set(group, number));
        if let Some(k) = self.k {
            group = group.k(k);
        }
        if let Some(maximize) = self.maximize {
            group = group.maximize(maximize);
        }
        if self.frozen { group.frozen() } else { group }
    }
}

pub struct Options {
    rule: JsValue,
    tensors: Vec<Tensor>,
    lookahead: Option<Lookahead>,
    groups: Vec<JsValue>,
    schedule: Option<Schedule>,
    options: lookahead_wgpu::Options,
}

/// What of a tensor says where its values lie.
const PLACES: [&str; 2] = ["weights", "gradients"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    group: Option<String>,
    /// Where weights and gradients lie, if they are the page's.
    #[serde(skip)]
    places: [Option<JsValue>; 2],
}

impl Tensor {
    fn read(given: &Given, place: &str) -> Result<Self, Problem> {
        let tensor: Self = read(OPTIONS, place, given.without(&PLACES))?;
        Ok(Self { places: PLACES.map(|name| given.field(name).filter(|field| !field.is_null())), ..tensor })
    }
}

/// A place of the page's: `{ buffer, offset }`.
pub fn place(device: &Device, what: &str, given: JsValue, size: u64) -> Result<Slice, Problem> {
    let given = Given(given);
    let Some(buffer) = given.field("buffer").filter(is_buffer) else {
        return Err(Problem::argument(format!("{what}: `buffer` must be a GPUBuffer")));
    };
    let Some(offset) = given.field("offset").map_or(Some(0), |offset| Given(offset).whole()) else {
        return Err(Problem::argument(format!("{what}: `offset` must be a whole number of bytes")));
    };
    let state = Reflect::get(&buffer, &"mapState".into()).ok().and_then(|state| state.as_string());
    if state.is_some_and(|state| state != "unmapped") {
        return Err(Problem::argument(format!("{what}: the buffer is mapped; unmap it first")));
    }
    Ok(Slice { buffer: device.given(&buffer), offset, size })
}

fn is_buffer(value: &JsValue) -> bool {
    // By name, since a device in Node.js comes without the classes.
    let class =
        Reflect::get(value, &"constructor".into()).and_then(|class| Reflect::get(&class, &"name".into()));
    class.is_ok_and(|name| name == "GPUBuffer")
}

/// Something that a call takes.
fn read<T: DeserializeOwned>(what: &str, place: &str, value: JsValue) -> Result<T, Problem> {
    T::deserialize(Given(value)).map_err(|wrong| {
        let wrong = if place.is_empty() { wrong } else { wrong.within(place) };
        Problem::argument(format!("{what}: {wrong}"))
    })
}

/// The rule that `setRule` is given.
pub fn rule(value: JsValue) -> Result<Box<dyn Rule>, Problem> {
    rules::read(value)
}

/// The schedule that `setSchedule` is given; the constant one where it is left out.
pub fn schedule(value: JsValue) -> Result<Schedule, Problem> {
    if value.is_function() {
        return Ok(own::schedule(value.unchecked_into()));
    }
    Ok(read::<Option<Schedule>>("the schedule", "", value)?.unwrap_or_default())
}

/// The options that `load` is given, if any.
pub fn load(value: JsValue) -> Result<ImportOptions, Problem> {
    Ok(read::<Option<ImportOptions>>("the options of `load`", "", value)?.unwrap_or_default())
}

const OPTIONS: &str = "the optimizer's options";

impl Options {
    /// What `Optimizer.create` is given.
    pub fn read(options: JsValue) -> Result<Self, Problem> {
        let given = Given(options);
        let options = read(OPTIONS, "", given.without(&PARTS))?;
        let needed = |name: &str| {
            let missing = || Problem::argument(format!("{OPTIONS}: missing field `{name}`"));
            given.field(name).ok_or_else(missing)
        };
        let field = |name: &str| given.field(name).unwrap_or(JsValue::NULL);
        let read = Self {
            rule: needed("rule")?,
            tensors: tensors(&given, needed("tensors")?)?,
            lookahead: read(OPTIONS, "lookahead", field("lookahead"))?,
            groups: given
                .items("groups")
                .map_err(|wrong| Problem::argument(format!("{OPTIONS}: {wrong}")))?,
            schedule: match field("schedule") {
                function if function.is_function() => Some(own::schedule(function.unchecked_into())),
                other => read(OPTIONS, "schedule", other)?,
            },
            options,
        };
        read.check_places()?;
        Ok(read)
    }

    /// Refuses gradients of the page's for weights of the optimizer's.
    fn check_places(&self) -> Result<(), Problem> {
        let alone =
            self.tensors.iter().find(|tensor| tensor.places[0].is_none() && tensor.places[1].is_some());
        let Some(Tensor { name, .. }) = alone else { return Ok(()) };
        let problem = format!(
            "the tensor `{name}` has `gradients` and no `weights`; on buffers of the page's are both"
        );
        Err(Problem::argument(format!("{OPTIONS}: {problem}")))
    }

    /// Weights or gradients are the page's.
    pub fn is_borrowed(&self) -> bool {
        self.tensors.iter().any(|tensor| tensor.places.iter().any(Option::is_some))
    }

    /// Where the weights lie that are the page's.
    pub fn weights(&self, device: &Device) -> Result<Vec<Placed>, Problem> {
        self.places(device, 0, None)
    }

    /// Where the gradients lie that are the page's.
    pub fn gradients(&self, device: &Device) -> Result<Vec<Placed>, Problem> {
        self.places(device, 1, self.options.half_gradients)
    }

    fn places(&self, device: &Device, role: usize, half: Option<Half>) -> Result<Vec<Placed>, Problem> {
        let given = self.tensors.iter().filter_map(|tensor| Some((tensor, tensor.places[role].clone()?)));
        let place = |(tensor, given): (&Tensor, JsValue)| {
            let what = format!("`{}` of the tensor `{}`", PLACES[role], tensor.name);
            Ok((tensor.name.clone(), place(device, &what, given, bytes(&tensor.shape, half))?))
        };
        given.map(place).collect()
    }

    /// An optimizer to be. Without a device, borrowed tensors are taken for the optimizer's own.
    pub fn builder(&self, device: Option<&Device>) -> Result<Builder, Problem> {
        let mut builder = Builder::new(rules::read(self.rule.clone())?).options(self.options.clone());
        if let Some(lookahead) = self.lookahead {
            builder = builder.lookahead(lookahead);
        }
        if let Some(schedule) = &self.schedule {
            builder = builder.schedule(schedule.clone());
        }
        for (index, group) in self.groups.iter().enumerate() {
            builder = builder.group(self.group(index, Given(group.clone()))?);
        }
        for tensor in &self.tensors {
            let group = tensor.group.as_deref().unwrap_or(DEFAULT_GROUP);
            builder = match (device, &tensor.places[0]) {
                (Some(device), Some(given)) => {
                    let what = format!("`weights` of the tensor `{}`", tensor.name);
                    let weights = place(device, &what, given.clone(), bytes(&tensor.shape, None))?;
                    builder.borrowed_in(group, &tensor.name, &tensor.shape, weights)
                }
                _ => builder.tensor_in(group, &tensor.name, &tensor.shape),
            };
        }
        Ok(builder)
    }

    /// A group's own rule is the one that it names, or the optimizer's, with the hyperparameters that it names.
    fn group(&self, index: usize, given: Given) -> Result<Group, Problem> {
        let group: GroupOptions = read(OPTIONS, &format!("groups[{index}]"), given.without(&RULE))?;
        let group = group.group();
        let [rule, over] = RULE.map(|name| given.field(name).filter(|field| !field.is_null()));
        let rule = match (rule, over) {
            (None, None) => return Ok(group),
            (rule, None) => rule.unwrap_or_default(),
            (rule, Some(over)) => Given(rule.unwrap_or_else(|| self.rule.clone())).with(&over),
        };
        Ok(group.rule(rules::read(rule)?))
    }

    /// In what gradients are.
    pub fn half_gradients(&self) -> Option<Half> {
        self.options.half_gradients
    }
}

/// Bytes of a tensor's values.
pub fn bytes(shape: &[usize], half: Option<Half>) -> u64 {
    let values = shape.iter().fold(1, |all: u64, size| all.saturating_mul(*size as u64));
    match half {
        None => values.saturating_mul(4),
        Some(_) => values.div_ceil(2).saturating_mul(4),
    }
}

fn tensors(given: &Given, tensors: JsValue) -> Result<Vec<Tensor>, Problem> {
    if !Array::is_array(&tensors) {
        // Told in the words of all other options.
        return read::<Vec<Tensor>>(OPTIONS, "tensors", tensors);
    }
    let items = given.items("tensors").map_err(|wrong| Problem::argument(format!("{OPTIONS}: {wrong}")))?;
    let tensor = |(at, item)| Tensor::read(&Given(item), &format!("tensors[{at}]"));
    items.into_iter().enumerate().map(tensor).collect()
}

/// What `borrow` is given: where weights and gradients lie now.
pub fn moved(
    device: &Device,
    optimizer: &lookahead_wgpu::Optimizer<Foreign<Device>>,
    tensors: JsValue,
    half_gradients: Option<Half>,
) -> Result<[Vec<Placed>; 2], Problem> {
    let mut moved = [vec![], vec![]];
    for tensor in Array::from(&tensors) {
        let given = Given(tensor);
        let name = given.field("name").and_then(|name| name.as_string());
        let name = name.ok_or_else(|| Problem::argument("`borrow`: each tensor has a `name`"))?;
        let shape = optimizer.tensors().find(|(other, _)| *other == name).map(|(_, shape)| shape);
        for (role, half) in [None, half_gradients].into_iter().enumerate() {
            let Some(there) = given.field(PLACES[role]) else { continue };
            let what = format!("`{}` of the tensor `{name}`", PLACES[role]);
            // The library says of a tensor that there is none.
            let size = shape.map_or(0, |shape| bytes(shape, half));
            moved[role].push((name.clone(), place(device, &what, there, size)?));
        }
    }
    Ok(moved)
}
