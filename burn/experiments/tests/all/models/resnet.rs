use super::{device, trained, uniform, unreached, values, words};
use burn::module::Module;
use burn::tensor::{Device, Tensor};
use experiments::models::block::{Kind, Shortcut};
use experiments::models::resnet::{ResNetConfig, Stem};
use experiments::models::smoothing::cross_entropy;

fn count(config: &ResNetConfig) -> usize {
    trained(&config.init(&Device::flex()))
}

/// A small one of each part.
fn small(stem: Stem, kind: Kind, shortcut: Shortcut) -> ResNetConfig {
    ResNetConfig { channels: 3, stem, kind, shortcut, width: 4, depths: vec![1, 2], classes: 5 }
}

#[test]
fn parameters_are_as_many_as_published() {
    assert_eq!(count(&ResNetConfig::cifar_18(10)), 11_173_962);
    assert_eq!(count(&ResNetConfig::cifar_32(10)), 464_154);
    let projected = ResNetConfig { shortcut: Shortcut::Projected, ..ResNetConfig::cifar_32(10) };
    assert_eq!(count(&projected), 466_906);
    assert_eq!(count(&ResNetConfig::imagenet_50(1000)), 25_557_032);
    assert_eq!(count(&ResNetConfig::imagenet_152(1000)), 60_192_808);
    // CIFAR-100 has 90 classes more, each with a weight a channel and a bias.
    assert_eq!(count(&ResNetConfig::cifar_18(100)), 11_173_962 + 90 * (512 + 1));
    assert_eq!(count(&ResNetConfig::cifar_32(100)), 464_154 + 90 * (64 + 1));
}

#[test]
fn images_become_logits() {
    let device = Device::flex();
    for (config, side) in [
        (ResNetConfig::cifar_32(10), 32),
        (small(Stem::ImageNet, Kind::Bottleneck, Shortcut::Projected), 64),
        (small(Stem::Cifar, Kind::Bottleneck, Shortcut::Padded), 9),
    ] {
        let logits = config.init(&device).forward(uniform([2, 3, side, side], &device));
        assert_eq!(logits.dims(), [2, config.classes]);
    }
}

#[test]
fn gradients_reach_every_parameter() {
    let device = device();
    for stem in [Stem::Cifar, Stem::ImageNet] {
        for kind in [Kind::Basic, Kind::Bottleneck] {
            for shortcut in [Shortcut::Padded, Shortcut::Projected] {
                let model = small(stem, kind, shortcut).init(&device);
                let logits = model.forward(uniform([4, 3, 32, 32], &device));
                let loss = cross_entropy(logits, words([4], 5, &device), 0.0, None);
                assert_eq!(unreached(&model, &loss), Vec::<String>::new(), "{stem:?} {kind:?} {shortcut:?}");
            }
        }
    }
}

#[test]
fn evaluation_takes_running_means() {
    let device = device();
    let model = small(Stem::Cifar, Kind::Basic, Shortcut::Padded).init(&device);
    let images = uniform([4, 3, 8, 8], &device);
    let trained = values(model.forward(images.clone()));
    let evaluated = model.valid();
    let whole = values(evaluated.forward(images.clone().inner()));
    let alone: Vec<f32> =
        images.inner().iter_dim(0).flat_map(|image: Tensor<4>| values(evaluated.forward(image))).collect();
    // While training an image's logits depend on the others of its batch, in evaluation they do not.
    assert!(whole.iter().zip(&alone).all(|(a, b)| (a - b).abs() < 1e-4));
    assert!(whole.iter().zip(&trained).any(|(a, b)| (a - b).abs() > 1e-3));
}
