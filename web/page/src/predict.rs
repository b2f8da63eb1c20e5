//! What a network thinks of one image.

use lookahead_wgpu::Slice;
use train::batches::{Batches, Images};
use train::data::{CLASSES, Split};
use train::meter::Meter;
use train::model::{Forward, Network};
use train::reading::Reading;
use train::run::{Run, RunError, Workbench};

/// The probability of each class at a run's slow weights, or at those of the rule alone. `scale` makes the brightest
/// of `pixels` 1.
pub async fn predict(bench: &Workbench, run: &Run, pixels: &[u8], scale: f32) -> Result<Vec<f32>, RunError> {
    let Workbench { device, queue, kernels, .. } = bench;
    let network = Network::new(pixels.len(), &run.settings().hidden, CLASSES)?;
    let image = Split { pixels: pixels.to_vec(), labels: vec![0] };
    let images = Images::upload(device, queue, &image, scale).await?;
    let batches = Batches::new(device, &images, 1).await?;
    batches.fill(queue, &[0]);
    let meter = Meter::new(device, 1).await?;

    let optimizer = run.optimizer();
    // The first step makes the slow weights; until then they are the fast ones.
    let has_slow = run.settings().lookahead.is_some() && run.done() > 0;
    let parameters = network.parameters();
    let weights = parameters.iter().map(|parameter| match has_slow {
        true => optimizer.slow_weights(&parameter.name),
        false => optimizer.weights(&parameter.name),
    });
    let weights = weights.collect::<Result<Vec<_>, _>>()?;
    let weights: Vec<_> = weights.iter().map(Slice::binding).collect();
    let forward =
        Forward::new(device, queue, kernels, &network, &images, &batches, &meter, &weights, None).await?;

    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    forward.record(kernels, &mut pass, 0);
    drop(pass);
    let bytes = size_of::<[f32; CLASSES]>() as u64;
    let reading = Reading::new(device, &mut encoder, forward.logits(), 0, bytes).await?;
    queue.submit([encoder.finish()]);
    Ok(softmax(reading.finish().await?.into_iter().map(f32::from_bits).collect()))
}

fn softmax(logits: Vec<f32>) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<_> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter().map(|power| power / sum).collect()
}
