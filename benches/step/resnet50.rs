//! The parameters of ResNet-50 (He, Zhang, Ren, Sun, 2015; 1000 classes): 161 tensors, 25,557,032 values
//! at its width of 64.

/// Channels of the first convolution of ResNet-50.
pub const WIDTH: usize = 64;

/// Names and shapes.
pub type Tensors = Vec<(String, Vec<usize>)>;

/// The tensors' names, as torchvision has them, and shapes, in a network that is `width` wide.
pub fn tensors(width: usize) -> Tensors {
    let mut model = Model(vec![]);
    model.convolution("conv1", width, 3, 7);
    model.normalisation("bn1", width);
    let mut channels = width;
    let stages = [(3, width), (4, 2 * width), (6, 4 * width), (3, 8 * width)];
    for (stage, (blocks, width)) in (1..).zip(stages) {
        for block in 0..blocks {
            let name = format!("layer{stage}.{block}");
            for (part, (outputs, inputs, size)) in
                (1..).zip([(width, channels, 1), (width, width, 3), (4 * width, width, 1)])
            {
                model.convolution(&format!("{name}.conv{part}"), outputs, inputs, size);
                model.normalisation(&format!("{name}.bn{part}"), outputs);
            }
            if block == 0 {
                model.convolution(&format!("{name}.downsample.0"), 4 * width, channels, 1);
                model.normalisation(&format!("{name}.downsample.1"), 4 * width);
            }
            channels = 4 * width;
        }
    }
    model.tensor("fc.weight", vec![1000, channels]);
    model.tensor("fc.bias", vec![1000]);
    model.0
}

struct Model(Tensors);

impl Model {
    fn convolution(&mut self, name: &str, outputs: usize, inputs: usize, size: usize) {
        self.tensor(&format!("{name}.weight"), vec![outputs, inputs, size, size]);
    }

    fn normalisation(&mut self, name: &str, channels: usize) {
        self.tensor(&format!("{name}.weight"), vec![channels]);
        self.tensor(&format!("{name}.bias"), vec![channels]);
    }

    fn tensor(&mut self, name: &str, shape: Vec<usize>) {
        self.0.push((name.to_owned(), shape));
    }
}
