use super::{uniform, values};
use burn::module::Param;
use burn::tensor::{Device, Tensor};
use experiments::models::block::{Block, Kind, Shortcut};

#[test]
fn padded_shortcuts_choose_pixels_and_add_zeros() {
    let device = Device::flex();
    let mut block = Block::new(Kind::Basic, Shortcut::Padded, 2, 4, 2, &device);
    // Nothing comes out of the convolutions.
    let last = block.layers.last_mut().expect("a layer");
    last.norm.gamma = Param::from_tensor(Tensor::zeros([4], &device));
    let input = uniform([1, 2, 5, 4], &device).abs();
    let output = block.forward(input.clone());
    assert_eq!(output.dims(), [1, 4, 3, 2]);
    let (input, output) = (values(input), values(output));
    for channel in 0..4 {
        for (row, column) in (0..3).flat_map(|row| (0..2).map(move |column| (row, column))) {
            let expected = if channel < 2 { input[channel * 20 + 2 * row * 4 + 2 * column] } else { 0.0 };
            assert_eq!(output[channel * 6 + row * 2 + column], expected);
        }
    }
}

#[test]
fn shortcuts_are_projected_only_where_sizes_differ() {
    let device = Device::flex();
    let is_projected = |kind, shortcut, from, stride| {
        Block::new(kind, shortcut, from, 4, stride, &device).projection.is_some()
    };
    assert!(!is_projected(Kind::Basic, Shortcut::Projected, 4, 1));
    assert!(is_projected(Kind::Basic, Shortcut::Projected, 4, 2));
    assert!(is_projected(Kind::Basic, Shortcut::Projected, 2, 1));
    assert!(is_projected(Kind::Bottleneck, Shortcut::Projected, 4, 1));
    assert!(!is_projected(Kind::Bottleneck, Shortcut::Projected, 16, 1));
    assert!(!is_projected(Kind::Basic, Shortcut::Padded, 2, 2));
}
