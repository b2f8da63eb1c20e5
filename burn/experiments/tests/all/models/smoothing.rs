use super::{device, uniform, values, words};
use burn::nn::loss::CrossEntropyLossConfig;
use experiments::models::smoothing::cross_entropy;

#[test]
fn it_is_the_cross_entropy_with_smoothed_labels() {
    let device = device();
    for (smoothing, pad) in [(0.0, None), (0.1, None), (0.1, Some(3)), (0.0, Some(3)), (1.0, Some(0))] {
        let (logits, targets) = (uniform([12, 5], &device) * 4.0, words([12], 5, &device));
        let expected = CrossEntropyLossConfig::new()
            .with_smoothing(Some(smoothing as f32))
            .with_pad_tokens(pad.map(|pad: u32| vec![pad as usize]))
            .init(&device)
            .forward(logits.clone(), targets.clone());
        let (found, expected) = (values(cross_entropy(logits, targets, smoothing, pad)), values(expected));
        assert!((found[0] - expected[0]).abs() < 1e-5, "{smoothing} {pad:?}: {found:?} {expected:?}");
    }
}
