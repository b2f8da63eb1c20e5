//! Runs that the npm package makes, too: on wgpu, in the same browser, they come to the same bytes.

use lookahead_wgpu::{Error, Lookahead, Optimizer, Options, Schedule, gpu::Gpu, rules, wgpu};
use serde::Deserialize;
use serde_json::{Map, Value};
use wasm_bindgen::{JsError, prelude::wasm_bindgen};

use crate::gpu;

/// What the package's `Optimizer.create` is given.
#[derive(Deserialize)]
struct Case {
    rule: Map<String, Value>,
    lookahead: Option<Lookahead>,
    #[serde(default)]
    schedule: Schedule,
    tensors: Vec<Tensor>,
    #[serde(flatten)]
    options: Options,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
}

/// The checkpoint after a step for each of `gradients`. Each, as `weights`, has the values of all tensors in their order.
#[wasm_bindgen]
pub async fn checkpoint(
    options: String,
    weights: Vec<f32>,
    gradients: Vec<js_sys::Float32Array>,
) -> Result<Vec<u8>, JsError> {
    let mut options: Value = serde_json::from_str(&options)?;
    rename(&mut options);
    let Case { mut rule, lookahead, schedule, tensors, options } = serde_json::from_value(options)?;
    let name = rule.remove("name").unwrap_or_default();
    let rule = rules::read(name.as_str().unwrap_or_default(), Value::Object(rule))?;
    let mut builder = Optimizer::builder(rule).options(options.clone()).schedule(schedule);
    if let Some(lookahead) = lookahead {
        builder = builder.lookahead(lookahead);
    }
    for Tensor { name, shape } in &tensors {
        builder = builder.tensor(name, shape);
    }
    let gpu = gpu().await?;
    let mut optimizer = builder.build(&gpu.device, &gpu.queue).await?;
    let mut rest = weights.as_slice();
    for tensor in &tensors {
        optimizer.upload(&tensor.name, tensor.next(&mut rest))?;
    }
    for gradient in gradients {
        let gradient = gradient.to_vec();
        step(&gpu, &mut optimizer, &tensors, &options, &gradient)?;
    }
    Ok(optimizer.export().await?.to_bytes()?)
}

fn step(
    gpu: &Gpu,
    optimizer: &mut Optimizer,
    tensors: &[Tensor],
    options: &Options,
    mut gradient: &[f32],
) -> Result<(), Error> {
    for tensor in tensors {
        let slice = optimizer.gradients(&tensor.name)?;
        let values = tensor.next(&mut gradient);
        let half = options.half_gradients.map(|half| half.encode(values));
        gpu.queue.write_buffer(
            &slice.buffer,
            slice.offset,
            half.as_deref().unwrap_or(bytemuck::cast_slice(values)),
        );
    }
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    optimizer.step(&mut encoder)?;
    gpu.queue.submit([encoder.finish()]);
    Ok(())
}

impl Tensor {
    /// Its values, the next of all.
    fn next<'a>(&self, rest: &mut &'a [f32]) -> &'a [f32] {
        let (values, others) = rest.split_at(self.shape.iter().product());
        *rest = others;
        values
    }
}

/// Gives every field the name that it has in Rust.
fn rename(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            *fields = std::mem::take(fields).into_iter().map(|(name, value)| (snake(&name), value)).collect();
            fields.values_mut().for_each(rename);
        }
        Value::Array(items) => items.iter_mut().for_each(rename),
        // The names of variants, too.
        Value::String(text) => *text = snake(text),
        _ => {}
    }
}

fn snake(name: &str) -> String {
    name.chars().fold(String::new(), |text, letter| {
        let line = if letter.is_ascii_uppercase() { "_" } else { "" };
        format!("{text}{line}{}", letter.to_ascii_lowercase())
    })
}
