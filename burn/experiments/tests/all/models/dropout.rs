use super::{device, values};
use burn::module::Module;
use burn::tensor::Tensor;
use experiments::models::dropout::SharedDropout;

#[test]
fn masks_are_the_same_at_all_times() {
    let device = device();
    let dropped = values(SharedDropout::new(0.25).over_time(Tensor::ones([3, 40, 50], &device)));
    let (first, later) = dropped.split_at(40 * 50);
    assert!(later.chunks_exact(40 * 50).all(|time| time == first));
    let kept = first.iter().filter(|&&value| value != 0.0).count();
    assert!(first.iter().all(|&value| value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-6));
    // 2,000 draws have a standard deviation of 19.
    assert!((1400..1600).contains(&kept), "{kept}");
}

#[test]
fn whole_rows_are_dropped() {
    let device = device();
    let dropped = values(SharedDropout::new(0.5).rows(Tensor::ones([1000, 3], &device)));
    assert!(dropped.chunks_exact(3).all(|row| row == [0.0; 3] || row == [2.0; 3]));
    let kept = dropped.iter().filter(|&&value| value != 0.0).count() / 3;
    assert!((400..600).contains(&kept), "{kept}");
}

#[test]
fn nothing_is_dropped_in_evaluation() {
    let device = device();
    let dropout = SharedDropout::new(0.5).valid();
    let ones = Tensor::<2>::ones([20, 3], &device).inner();
    assert_eq!(values(dropout.rows(ones.clone())), values(ones));
    let ones = Tensor::<3>::ones([2, 20, 3], &device).inner();
    assert_eq!(values(dropout.over_time(ones.clone())), values(ones));
}
