//! Residual networks ([He, Zhang, Ren, Sun, 2015](https://arxiv.org/abs/1512.03385)).

use super::block::{Block, ConvNorm, Kind, Shortcut};
use burn::module::Module;
use burn::nn::{Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

/// What comes before the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stem {
    /// A convolution of 3 x 3, for images of 32 x 32 pixels.
    Cifar,
    /// A convolution of 7 x 7 with stride 2, and a maximum over 3 x 3 with stride 2, for 224 x 224 pixels.
    ImageNet,
}

/// The shape of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResNetConfig {
    /// Channels of the images.
    pub channels: usize,
    /// What comes before the blocks.
    pub stem: Stem,
    /// The kind of the blocks.
    pub kind: Kind,
    /// What their input goes through.
    pub shortcut: Shortcut,
    /// The width of the first stage; each further one doubles it and halves the image.
    pub width: usize,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Classes to tell apart.
    pub classes: usize,
}

impl ResNetConfig {
    /// ResNet-18 for CIFAR, in the width of ImageNet's: the network of the paper's section 5.1.
    pub fn cifar_18(classes: usize) -> Self {
        Self {
            channels: 3,
            stem: Stem::Cifar,
            kind: Kind::Basic,
            shortcut: Shortcut::Projected,
            width: 64,
            depths: vec![2, 2, 2, 2],
            classes,
        }
    }

    /// ResNet-32 for CIFAR, of section 4.2 of He et al.: the network of the paper's figure 1.
    pub fn cifar_32(classes: usize) -> Self {
        Self { shortcut: Shortcut::Padded, width: 16, depths: vec![5, 5, 5], ..Self::cifar_18(classes) }
    }

    /// ResNet-50 for ImageNet.
    pub fn imagenet_50(classes: usize) -> Self {
        let (stem, kind) = (Stem::ImageNet, Kind::Bottleneck);
        Self { stem, kind, depths: vec![3, 4, 6, 3], ..Self::cifar_18(classes) }
    }

    /// ResNet-152 for ImageNet.
    pub fn imagenet_152(classes: usize) -> Self {
        Self { depths: vec![3, 8, 36, 3], ..Self::imagenet_50(classes) }
    }

    /// A network of new weights.
    pub fn init(&self, device: &Device) -> ResNet {
        let (kernel, stride) = match self.stem {
            Stem::Cifar => (3, 1),
            Stem::ImageNet => (7, 2),
        };
        let mut blocks = Vec::new();
        let mut from = self.width;
        for (stage, &depth) in self.depths.iter().enumerate() {
            let width = self.width << stage;
            for index in 0..depth {
                let stride = if stage > 0 && index == 0 { 2 } else { 1 };
                blocks.push(Block::new(self.kind, self.shortcut, from, width, stride, device));
                from = width * self.kind.expansion();
            }
        }
        ResNet {
            stem: ConvNorm::new([self.channels, self.width], kernel, stride, device),
            is_pooled: self.stem == Stem::ImageNet,
            blocks,
            output: LinearConfig::new(from, self.classes).init(device),
        }
    }
}

/// A residual network.
#[derive(Module, Debug)]
pub struct ResNet {
    /// The first convolution.
    pub stem: ConvNorm,
    /// Whether a maximum over 3 x 3 comes after it.
    pub is_pooled: bool,
    /// The blocks of all stages.
    pub blocks: Vec<Block>,
    /// From the channels' means to the classes.
    pub output: Linear,
}

impl ResNet {
    /// Images `[batch, channels, height, width]` to logits `[batch, classes]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut features = relu(self.stem.forward(images));
        if self.is_pooled {
            let options = MaxPoolOptions::new([3; 2]).with_stride([2; 2]).with_padding([1; 2]);
            features = max_pool2d(features, options);
        }
        for block in &self.blocks {
            features = block.forward(features);
        }
        let [batch, channels, height, width] = features.dims();
        let means = features.reshape([batch, channels, height * width]).mean_dim(2);
        self.output.forward(means.reshape([batch, channels]))
    }
}
