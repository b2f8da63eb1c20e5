//! The order of the data.

use experiments::tasks::order::Order;

#[test]
fn an_epoch_has_everything_once() {
    let mut order = Order::new(10, 3, 1);
    assert_eq!(order.epoch_steps(), 3);
    let mut epoch = |first: u64| -> Vec<usize> {
        (first..first + 3).flat_map(|step| order.batch(step).to_vec()).collect()
    };
    let (first, second) = (epoch(0), epoch(3));
    for epoch in [&first, &second] {
        let mut sorted = epoch.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 9);
    }
    assert_ne!(first, second);
}

#[test]
fn a_batch_hangs_on_seed_and_step_alone() {
    let mut order = Order::new(100, 8, 7);
    let batches: Vec<_> = (0..30).map(|step| order.batch(step).to_vec()).collect();
    for step in [29, 0, 13] {
        assert_eq!(Order::new(100, 8, 7).batch(step), batches[step as usize]);
    }
    assert_ne!(Order::new(100, 8, 8).batch(0), batches[0]);
}
