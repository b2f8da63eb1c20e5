//! The forward and backward pass on the CPU in f64: what the kernels of `model` must compute.

/// The result of one pass over a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Twin {
    /// The mean loss of the batch.
    pub loss: f64,
    /// How many images have their largest logit (the first of equals) at their label.
    pub correct: u32,
    /// The gradient of the mean loss, tensor by tensor, in the order of the parameters.
    pub gradients: Vec<Vec<f64>>,
}

/// Passes a batch forward and backward through a network of these layer sizes, whose `parameters`
/// are weight and bias of each layer in turn. `inputs` holds one row an image.
pub fn pass(sizes: &[usize], parameters: &[Vec<f64>], inputs: &[f64], labels: &[u8]) -> Twin {
    let rows = labels.len();
    let layers = sizes.len() - 1;
    let mut activations = vec![inputs.to_vec()];
    for layer in 0..layers {
        let (width, outputs) = (sizes[layer], sizes[layer + 1]);
        let (weight, bias) = (&parameters[2 * layer], &parameters[2 * layer + 1]);
        let mut output = Vec::with_capacity(rows * outputs);
        for input in activations[layer].chunks(width) {
            for column in 0..outputs {
                let products = input.iter().zip(weight[column..].iter().step_by(outputs));
                let sum = bias[column] + products.map(|(x, w)| x * w).sum::<f64>();
                output.push(if layer + 1 < layers { sum.max(0.0) } else { sum });
            }
        }
        activations.push(output);
    }

    let classes = sizes[layers];
    let (mut loss, mut correct) = (0.0, 0);
    let mut gradient = Vec::with_capacity(rows * classes);
    for (logits, &label) in activations[layers].chunks(classes).zip(labels) {
        let label = usize::from(label);
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        loss += sum.ln() + largest - logits[label];
        correct += u32::from(logits.iter().position(|&logit| logit == largest) == Some(label));
        gradient.extend(logits.iter().enumerate().map(|(class, logit)| {
            let probability = (logit - largest).exp() / sum;
            (probability - f64::from(u8::from(class == label))) / rows as f64
        }));
    }

    let mut gradients = Vec::new();
    for layer in (0..layers).rev() {
        let (width, outputs) = (sizes[layer], sizes[layer + 1]);
        let weight = &parameters[2 * layer];
        let mut weight_gradient = vec![0.0; width * outputs];
        let mut bias_gradient = vec![0.0; outputs];
        let mut input_gradient = Vec::with_capacity(rows * width);
        for (input, output_gradient) in activations[layer].chunks(width).zip(gradient.chunks(outputs)) {
            for (sum, slope) in bias_gradient.iter_mut().zip(output_gradient) {
                *sum += slope;
            }
            for (row, &x) in input.iter().enumerate() {
                let range = row * outputs..(row + 1) * outputs;
                let mut product = 0.0;
                for ((sum, w), slope) in
                    weight_gradient[range.clone()].iter_mut().zip(&weight[range]).zip(output_gradient)
                {
                    *sum += x * slope;
                    product += w * slope;
                }
                input_gradient.push(if x > 0.0 { product } else { 0.0 });
            }
        }
        gradients.push(bias_gradient);
        gradients.push(weight_gradient);
        gradient = input_gradient;
    }
    gradients.reverse();
    Twin { loss: loss / rows as f64, correct, gradients }
}
