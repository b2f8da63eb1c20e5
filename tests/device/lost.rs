//! A lost device: an error that says so, and a way on.

use crate::common::{noise, on_every_adapter, submit, write_gradient};
use lookahead_wgpu::{Error, Field, Lookahead, Optimizer, gpu::Gpu, rules::Adam};

fn build(gpu: &Gpu) -> Result<Optimizer, Error> {
    let mut optimizer = Optimizer::builder(Adam::new(0.01))
        .lookahead(Lookahead::new(3, 0.5))
        .tensor("w", &[50])
        .build_blocking(&gpu.device, &gpu.queue)?;
    optimizer.upload("w", &noise(50, 1))?;
    Ok(optimizer)
}

fn train(gpu: &Gpu, optimizer: &mut Optimizer, steps: u64) {
    for step in 0..steps {
        write_gradient(gpu, optimizer, "w", &noise(50, step));
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
    }
}

#[test]
fn training_goes_on_from_a_snapshot_on_another_device() {
    on_every_adapter(|gpu| {
        let open = || pollster::block_on(Gpu::with_limits(&gpu.adapter, gpu.device.limits())).unwrap();
        let (first, second) = (open(), open());
        let mut optimizer = build(&first).unwrap();
        train(&first, &mut optimizer, 4);
        let snapshot = optimizer.export_blocking().unwrap();
        first.device.destroy();
        let error = optimizer.download_blocking(Field::Weights, "w").unwrap_err();
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");
        let error = build(&first).map(|_| ()).unwrap_err();
        assert!(matches!(error, Error::DeviceLost { .. }), "{error}");

        let mut revived = build(&second).unwrap();
        revived.import(&snapshot).unwrap();
        assert_eq!(revived.export_blocking().unwrap(), snapshot);
        train(&second, &mut revived, 4);
    });
}
