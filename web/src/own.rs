//! Rules and schedules of the page's own: WGSL, numbers and functions.

use js_sys::{Array, Function};
use lookahead_wgpu::{
    Error, Rule, Schedule, check_hyperparameter,
    rules::{Slot, Step, WeightDecay},
};
use send_wrapper::SendWrapper;
use serde::{Deserialize, de::DeserializeOwned};
use wasm_bindgen::{JsCast, JsValue};

use crate::{given::Given, problem::Problem};

/// A rule of the page's: `{ name, wgsl, lr, slots, hyper, weightDecay }`.
#[derive(Debug)]
struct OwnRule {
    name: String,
    wgsl: String,
    lr: f64,
    slots: Vec<Slot>,
    hyper: Hyper,
    weight_decay: WeightDecay,
}

/// What `Hyper` holds.
#[derive(Debug)]
enum Hyper {
    Numbers(Vec<f64>),
    /// Of the count, from 1. A page has one thread.
    Function(SendWrapper<Function>),
}

/// All of it but `hyper`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    name: String,
    wgsl: String,
    lr: f64,
    #[serde(default)]
    slots: Vec<SlotSettings>,
    #[serde(default)]
    weight_decay: Decay,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotSettings {
    name: String,
    #[serde(default)]
    initial: f64,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "snake_case")]
enum Decay {
    #[default]
    None,
    L2(f64),
    Decoupled(f64),
    Direction(f64),
}

fn settings<T: DeserializeOwned>(place: &str, given: JsValue) -> Result<T, Problem> {
    T::deserialize(Given(given)).map_err(|wrong| {
        let wrong = if place.is_empty() { wrong } else { wrong.within(place) };
        Problem::argument(format!("the rule: {wrong}"))
    })
}

/// The rule that an object describes which has WGSL of its own, if it is one.
pub fn rule(given: &Given) -> Result<Option<Box<dyn Rule>>, Problem> {
    if given.field("wgsl").is_none() {
        return Ok(None);
    }
    let Settings { name, wgsl, lr, slots, weight_decay } = settings("", given.without(&["hyper"]))?;
    let hyper = match given.field("hyper") {
        None => Hyper::Numbers(vec![]),
        Some(function) if function.is_function() => {
            Hyper::Function(SendWrapper::new(function.unchecked_into()))
        }
        Some(numbers) => Hyper::Numbers(settings("hyper", numbers)?),
    };
    // A name lives as long as the module, of which each optimizer has an instance.
    let slot = |slot: SlotSettings| Slot { name: slot.name.leak(), initial: slot.initial as f32 };
    let weight_decay = match weight_decay {
        Decay::None => WeightDecay::None,
        Decay::L2(factor) => WeightDecay::L2(factor),
        Decay::Decoupled(factor) => WeightDecay::Decoupled(factor),
        Decay::Direction(factor) => WeightDecay::Direction(factor),
    };
    let slots = slots.into_iter().map(slot).collect();
    Ok(Some(Box::new(OwnRule { name, wgsl, lr, slots, hyper, weight_decay })))
}

impl Rule for OwnRule {
    fn name(&self) -> &str {
        &self.name
    }

    fn wgsl(&self) -> &str {
        &self.wgsl
    }

    fn slots(&self) -> Vec<Slot> {
        self.slots.clone()
    }

    fn learning_rate(&self) -> f64 {
        self.lr
    }

    fn weight_decay(&self) -> WeightDecay {
        self.weight_decay
    }

    fn check(&self) -> Result<(), Error> {
        check_hyperparameter("lr", self.lr, |lr| lr >= 0.0, "finite and at least 0")
    }

    fn hyper(&self, count: u64, out: &mut Vec<f32>) {
        match &self.hyper {
            Hyper::Numbers(numbers) => out.extend(numbers.iter().map(|number| *number as f32)),
            // What is thrown, and what is no number, is a NaN, which the library refuses in words.
            Hyper::Function(function) => match function.call1(&JsValue::UNDEFINED, &(count as f64).into()) {
                Ok(numbers) if numbers.is_object() => {
                    let number = |number: JsValue| number.as_f64().unwrap_or(f64::NAN) as f32;
                    out.extend(Array::from(&numbers).iter().map(number));
                }
                _ => out.push(f32::NAN),
            },
        }
    }

    /// The f64 twin is for the library's own tests.
    fn update(&self, _: &Step, weight: f64, _: f64, _: &mut [f64]) -> f64 {
        weight
    }
}

/// A function of the step as a schedule. What it throws, and what is no number, is a NaN, which the library refuses.
pub fn schedule(function: Function) -> Schedule {
    let function = SendWrapper::new(function);
    Schedule::custom(move |step| {
        let factor = function.call1(&JsValue::UNDEFINED, &(step as f64).into());
        factor.ok().and_then(|factor| factor.as_f64()).unwrap_or(f64::NAN)
    })
}
