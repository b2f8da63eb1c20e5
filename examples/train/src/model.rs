//! A multi-layer perceptron for images: ReLU between its layers, softmax cross-entropy at its end,
//! forward and backward as compute shaders. `twin` computes the same on the CPU.
//!
//! Only records commands; nothing here waits, reads files or starts threads, so that it works on the
//! web as it does natively. Images, weights and activations stay on the GPU. A batch is chosen by
//! the indices of its images.

pub mod product;

use crate::batches::{Batches, Images};
use crate::device::{MOST_UNITS, ModelError, checked, fits, storage, uniform};
use crate::kernels::Kernels;
use crate::meter::Meter;
use product::{Layer, Product};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Invocations of a workgroup of `gather.wgsl`.
const GATHER_WIDTH: u32 = 64;
/// Invocations of a workgroup of `narrow.wgsl`.
const NARROW_WIDTH: u32 = 64;
/// Workgroups of it: enough for any device.
const NARROW_GROUPS: u32 = 4096;

/// The layers of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    sizes: Vec<usize>,
}

/// A tensor that is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Its name, as in `fc1.weight`.
    pub name: String,
    /// Its shape: inputs x outputs for a weight, outputs for a bias.
    pub shape: Vec<usize>,
}

impl Network {
    /// A network from so many inputs through hidden layers to so many classes.
    pub fn new(inputs: usize, hidden: &[usize], classes: usize) -> Result<Self, ModelError> {
        let sizes: Vec<_> = [&[inputs], hidden, &[classes]].concat();
        match sizes.iter().find(|&&units| units == 0 || units > MOST_UNITS) {
            Some(&units) => Err(ModelError::Units { units }),
            None => Ok(Self { sizes }),
        }
    }

    /// The tensors to train: weight and bias of each layer in turn.
    pub fn parameters(&self) -> Vec<Parameter> {
        let layers = self.sizes.windows(2).enumerate();
        let pair = layers.map(|(layer, sizes)| {
            let name = |what| format!("fc{}.{what}", layer + 1);
            [
                Parameter { name: name("weight"), shape: sizes.to_vec() },
                Parameter { name: name("bias"), shape: vec![sizes[1]] },
            ]
        });
        pair.flatten().collect()
    }

    /// Values to begin with, in the order of the parameters: weights uniform with the variance 2/inputs
    /// (He et al. 2015), biases zero.
    pub fn initial_values(&self, random: &mut Xoshiro256PlusPlus) -> Vec<Vec<f32>> {
        let pair = self.sizes.windows(2).map(|sizes| {
            let bound = (6.0 / sizes[0] as f32).sqrt();
            let weight = (0..sizes[0] * sizes[1]).map(|_| random.random_range(-bound..bound)).collect();
            [weight, vec![0.0; sizes[1]]]
        });
        pair.collect::<Vec<_>>().into_iter().flatten().collect()
    }
}

/// The random numbers of a run: for its first weights, and for the order of its images. The second do
/// not depend on how many of the first are drawn.
pub fn random_streams(seed: u64) -> [Xoshiro256PlusPlus; 2] {
    let mut root = Xoshiro256PlusPlus::seed_from_u64(seed);
    [Xoshiro256PlusPlus::from_rng(&mut root), Xoshiro256PlusPlus::from_rng(&mut root)]
}

/// A forward pass and its loss: some images, through weights, into a meter.
pub struct Forward {
    rows: u32,
    /// Bytes from one batch to the next.
    batch_stride: u32,
    words: u32,
    /// Shape of each layer.
    layers: Vec<Layer>,
    /// The images, then what each layer makes of them; the last are the logits.
    activations: Vec<wgpu::Buffer>,
    /// Gradient of the batch's mean loss with respect to the logits.
    logit_gradient: wgpu::Buffer,
    gather: wgpu::BindGroup,
    products: Vec<Product>,
    loss: wgpu::BindGroup,
}

impl Forward {
    /// A pass of `batches` of `images` through weights and biases, given in the order of the network's
    /// parameters. The gradient of the loss is multiplied by `loss_scale`, one f32 on the GPU.
    #[expect(clippy::too_many_arguments, reason = "each is bound once, here")]
    pub async fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        kernels: &Kernels,
        network: &Network,
        images: &Images,
        batches: &Batches,
        meter: &Meter,
        parameters: &[wgpu::BindingResource<'_>],
        loss_scale: Option<wgpu::BindingResource<'_>>,
    ) -> Result<Self, ModelError> {
        let rows = batches.rows;
        let sizes: Vec<u32> = network.sizes.iter().map(|&units| units as u32).collect();
        let bytes = |units: u32| Layer::bytes(rows, units);
        for &units in &sizes {
            fits(device, "the activations of a layer", bytes(units), "use smaller batches")?;
        }
        checked(device, "making room for the activations", || {
            let activations: Vec<_> =
                sizes.iter().map(|&units| storage(device, "activations", bytes(units))).collect();
            let logit_gradient = storage(device, "logit gradient", bytes(sizes[sizes.len() - 1]));
            let source = uniform(device, queue, [rows, images.pixels_each, images.scale.to_bits(), 0]);
            let last = sizes.len() - 2;
            let layers: Vec<_> = (0..=last)
                .map(|layer| Layer::new(device, queue, [rows, sizes[layer], sizes[layer + 1]], layer < last))
                .collect();
            let gather = kernels.gather.bind(
                device,
                &[
                    source.as_entire_binding(),
                    images.pixels.as_entire_binding(),
                    batches.binding(),
                    activations[0].as_entire_binding(),
                ],
            );
            let products = layers.iter().enumerate().map(|(i, layer)| {
                let buffers = [
                    activations[i].as_entire_binding(),
                    parameters[2 * i].clone(),
                    parameters[2 * i + 1].clone(),
                    activations[i + 1].as_entire_binding(),
                ];
                Product::forward(device, kernels, layer, buffers)
            });
            let products = products.collect();
            let one = storage(device, "loss scale", 4);
            queue.write_buffer(&one, 0, bytemuck::bytes_of(&1.0f32));
            let loss = kernels.loss.bind(
                device,
                &[
                    layers[last].uniform.as_entire_binding(),
                    activations[last + 1].as_entire_binding(),
                    images.labels.as_entire_binding(),
                    batches.binding(),
                    logit_gradient.as_entire_binding(),
                    meter.buffer.as_entire_binding(),
                    loss_scale.unwrap_or(one.as_entire_binding()),
                ],
            );
            Self {
                rows,
                batch_stride: 4 * batches.stride,
                words: images.pixels_each.div_ceil(4),
                layers,
                activations,
                logit_gradient,
                gather,
                products,
                loss,
            }
        })
        .await
    }

    /// What the last layer gives: for each image of the batch a row of [`Network`]'s classes, with zeros up to a
    /// multiple of four.
    pub fn logits(&self) -> &wgpu::Buffer {
        &self.activations[self.activations.len() - 1]
    }

    /// Records the pass of one batch, counted from 0; its tally is the meter's next.
    pub fn record(&self, kernels: &Kernels, pass: &mut wgpu::ComputePass<'_>, batch: u32) {
        let offset = [batch * self.batch_stride];
        let size = [self.words.div_ceil(GATHER_WIDTH), self.rows];
        kernels.gather.dispatch(pass, &self.gather, &offset, size);
        self.products.iter().for_each(|product| product.record(pass));
        kernels.loss.dispatch(pass, &self.loss, &offset, [1, 1]);
    }
}

/// The backward pass that follows a forward one.
pub struct Backward {
    layers: Vec<LayerBackward>,
}

struct LayerBackward {
    weight: Product,
    /// Rounding weight and bias gradient, where they are half-width.
    narrow: Vec<(wgpu::BindGroup, [u32; 2])>,
    /// The first layer's inputs are the images, which need no gradient.
    input: Option<Product>,
}

impl Backward {
    /// The gradients of what `forward` computes with `parameters`, into `gradients`; both in the order
    /// of the network's parameters.
    pub async fn new(
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        kernels: &Kernels,
        forward: &Forward,
        parameters: &[wgpu::BindingResource<'_>],
        gradients: &[wgpu::BindingResource<'_>],
    ) -> Result<Self, ModelError> {
        let activations = &forward.activations;
        // Every layer's gradients in f32, one after the other, before they are rounded.
        let largest = |count: fn(&Layer) -> u64| 4 * forward.layers.iter().map(count).max().unwrap_or(0);
        let wide = [largest(Layer::weights), largest(|layer| u64::from(layer.outputs))];
        if kernels.narrow.is_some() {
            fits(device, "the gradients of a layer", wide[0], "use smaller layers")?;
        }
        checked(device, "making room for the gradients", || {
            // The gradient with respect to what each layer makes.
            let mut output_gradients: Vec<_> = activations[1..activations.len() - 1]
                .iter()
                .map(|hidden| storage(device, "activation gradient", hidden.size()))
                .collect();
            output_gradients.push(forward.logit_gradient.clone());
            let wide =
                kernels.narrow.as_ref().map(|_| wide.map(|bytes| storage(device, "wide gradients", bytes)));
            let layer = |(i, layer): (usize, &Layer)| {
                let target = |which: usize| match &wide {
                    Some(wide) => wide[which].as_entire_binding(),
                    None => gradients[2 * i + which].clone(),
                };
                let buffers = [
                    activations[i].as_entire_binding(),
                    output_gradients[i].as_entire_binding(),
                    target(0),
                    target(1),
                ];
                let weight = Product::weight_gradient(device, kernels, layer, buffers);
                let narrow = match (&kernels.narrow, &wide) {
                    (Some(kernel), Some(wide)) => [layer.weights() as u32, layer.outputs]
                        .into_iter()
                        .enumerate()
                        .map(|(which, values)| {
                            let groups = values.div_ceil(2 * NARROW_WIDTH).min(NARROW_GROUPS);
                            let count = uniform(device, queue, [values, groups * NARROW_WIDTH, 0, 0]);
                            let bindings = [
                                count.as_entire_binding(),
                                wide[which].as_entire_binding(),
                                gradients[2 * i + which].clone(),
                            ];
                            (kernel.bind(device, &bindings), [groups, 1])
                        })
                        .collect(),
                    _ => Vec::new(),
                };
                let input = (i > 0).then(|| {
                    let buffers = [
                        output_gradients[i].as_entire_binding(),
                        parameters[2 * i].clone(),
                        activations[i].as_entire_binding(),
                        output_gradients[i - 1].as_entire_binding(),
                    ];
                    Product::input_gradient(device, kernels, layer, buffers)
                });
                LayerBackward { weight, narrow, input }
            };
            Self { layers: forward.layers.iter().enumerate().map(layer).collect() }
        })
        .await
    }

    /// Records the pass; the forward pass of the batch comes before it.
    pub fn record(&self, kernels: &Kernels, pass: &mut wgpu::ComputePass<'_>) {
        for layer in self.layers.iter().rev() {
            layer.weight.record(pass);
            if let Some(kernel) = &kernels.narrow {
                for (bindings, size) in &layer.narrow {
                    kernel.dispatch(pass, bindings, &[], *size);
                }
            }
            if let Some(product) = &layer.input {
                product.record(pass);
            }
        }
    }
}
