//! What residual networks are made of.

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

/// A convolution without bias, and batch normalisation.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution.
    pub convolution: Conv2d,
    /// The normalisation.
    pub norm: BatchNorm,
}

impl ConvNorm {
    /// Of `[from, to]` channels and a square kernel, padded so that stride 1 keeps the size.
    pub fn new(channels: [usize; 2], kernel: usize, stride: usize, device: &Device) -> Self {
        let padding = kernel / 2;
        let convolution = Conv2dConfig::new(channels, [kernel; 2])
            .with_stride([stride; 2])
            .with_padding(PaddingConfig2d::Explicit(padding, padding, padding, padding))
            .with_bias(false)
            // He, Zhang, Ren, Sun, 2015, for rectifiers.
            .with_initializer(Initializer::KaimingNormal { gain: 2f64.sqrt(), fan_out_only: true })
            .init(device);
        Self { convolution, norm: BatchNormConfig::new(channels[1]).init(device) }
    }

    /// `[batch, from, height, width]` to `[batch, to, height / stride, width / stride]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        self.norm.forward(self.convolution.forward(input))
    }
}

/// What a block's convolutions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Two of 3 x 3.
    Basic,
    /// 1 x 1, 3 x 3, which has the stride, and 1 x 1 to four times the channels.
    Bottleneck,
}

impl Kind {
    /// How many times a block's own width come out of it.
    pub fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// How a block's input gets to its output where the two differ in size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortcut {
    /// Every `stride`-th pixel, and zeros for the channels that are new: no parameters ("option A").
    Padded,
    /// A convolution of 1 x 1 ("option B").
    Projected,
}

/// Convolutions whose input is added to their output.
#[derive(Module, Debug)]
pub struct Block {
    /// The convolutions, with a rectifier after each.
    pub layers: Vec<ConvNorm>,
    /// What the input goes through, where that is a convolution.
    pub projection: Option<ConvNorm>,
    /// Pixels of the input for one of the output.
    pub stride: usize,
    /// Channels of the output.
    pub channels: usize,
}

impl Block {
    /// From so many channels to `width`, times the expansion of the kind.
    pub fn new(
        kind: Kind,
        shortcut: Shortcut,
        from: usize,
        width: usize,
        stride: usize,
        device: &Device,
    ) -> Self {
        let channels = width * kind.expansion();
        let layers = match kind {
            Kind::Basic => {
                vec![
                    ConvNorm::new([from, width], 3, stride, device),
                    ConvNorm::new([width, width], 3, 1, device),
                ]
            }
            Kind::Bottleneck => vec![
                ConvNorm::new([from, width], 1, 1, device),
                ConvNorm::new([width, width], 3, stride, device),
                ConvNorm::new([width, channels], 1, 1, device),
            ],
        };
        let is_projected = shortcut == Shortcut::Projected && (stride != 1 || from != channels);
        let projection = is_projected.then(|| ConvNorm::new([from, channels], 1, stride, device));
        Self { layers, projection, stride, channels }
    }

    /// `[batch, from, height, width]` to `[batch, channels, height / stride, width / stride]`.
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mut output = input.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            output = if index == 0 { layer.forward(output) } else { layer.forward(relu(output)) };
        }
        let input = match &self.projection {
            Some(projection) => projection.forward(input),
            None => self.padded(input),
        };
        relu(output + input)
    }

    fn padded(&self, input: Tensor<4>) -> Tensor<4> {
        let input = match self.stride {
            1 => input,
            // Pools of one pixel: a choice of pixels that gradients pass through.
            stride => max_pool2d(input, MaxPoolOptions::new([1; 2]).with_stride([stride; 2])),
        };
        let [batch, from, height, width] = input.dims();
        if from == self.channels {
            return input;
        }
        let zeros = Tensor::zeros([batch, self.channels - from, height, width], &input.device());
        Tensor::cat(vec![input, zeros], 1)
    }
}
