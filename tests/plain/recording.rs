//! What is recorded for a step.

use lookahead_wgpu::{Lookahead, Optimizer, rules::Adam, wgpu};

/// One dispatch a step whatever the number of tensors, the sync step included.
#[test]
fn the_number_of_tensors_does_not_change_the_number_of_dispatches() {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    for tensors in [1, 7, 161] {
        let mut builder = Optimizer::builder(Adam::new(0.01)).lookahead(Lookahead::default());
        for index in 0..tensors {
            builder = builder.tensor(&index.to_string(), &[3, 5]);
        }
        let optimizer = builder.build_blocking(&device, &queue).unwrap();
        assert_eq!(optimizer.dispatches(), 1);
    }
}
