use super::device;
use experiments::models::padded::padded;

#[test]
fn short_sentences_are_filled_up() {
    let sentences: [&[u32]; 3] = [&[1, 2], &[3, 4, 5], &[]];
    let found = padded(sentences, 9, &device());
    assert_eq!(found.dims(), [3, 3]);
    assert_eq!(found.try_into_vec_as::<i64>().expect("numbers"), [1, 2, 9, 3, 4, 5, 9, 9, 9]);
}
