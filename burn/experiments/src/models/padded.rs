//! Sentences of a batch, made as long as the longest of them.

use burn::tensor::{Device, Int, Tensor, TensorData};

/// Sentences as `[batch, words]`, with `pad` after short ones.
pub fn padded<'a>(
    sentences: impl IntoIterator<Item = &'a [u32], IntoIter: Clone>,
    pad: u32,
    device: &Device,
) -> Tensor<2, Int> {
    let sentences = sentences.into_iter();
    let batch = sentences.clone().count();
    let length = sentences.clone().map(<[u32]>::len).max().unwrap_or_default();
    let words = sentences.flat_map(|sentence| {
        let pads = std::iter::repeat_n(&pad, length - sentence.len());
        sentence.iter().chain(pads).map(|&word| i64::from(word)).collect::<Vec<_>>()
    });
    Tensor::from_data(TensorData::new(words.collect::<Vec<_>>(), [batch, length]), device)
}
