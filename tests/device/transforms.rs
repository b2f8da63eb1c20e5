//! Transformations of the gradient in every order, against the f64 twin, which has each in one loop.

#[path = "../../examples/custom_transform/soft_clip.rs"]
mod soft_clip;

use std::sync::Arc;

use crate::{
    common::{counters, download, export, largest_error, noise, spared, submit, widen, write_gradient},
    pairs::{Case, Everything},
    twin::run_options,
};
use lookahead_wgpu::{
    Accumulation, Builder, Clip, Field, Guard, Lookahead, LossScale, Optimizer, Options, Shape, Transform,
    gpu::Gpu,
    rules::{self, Adam, Sgd},
    transform::{Centralise, GradientNoise},
    twin::Twin,
};
use soft_clip::SoftClip;

on_devices!(
    transformations_agree_with_the_twin_in_every_order,
    a_listed_clip_is_the_clip_option,
    noise_goes_on_after_a_checkpoint,
    a_skipped_step_draws_no_noise,
    a_guard_sees_what_a_transformation_hides,
    a_flushed_step_after_a_skipped_one_is_measured_as_it_is,
);

type List = Vec<Arc<dyn Transform>>;

fn clip(clip: Clip) -> Arc<dyn Transform> {
    Arc::new(clip)
}

/// Lists in which what is reduced is what comes out of others.
fn lists() -> Vec<List> {
    let noise: Arc<dyn Transform> = Arc::new(GradientNoise::new(0.09).gamma(1.0).seed(u32::MAX));
    let (centralise, soft): (Arc<dyn Transform>, Arc<dyn Transform>) =
        (Arc::new(Centralise), Arc::new(SoftClip { bound: 0.4 }));
    let everything: Arc<dyn Transform> = Arc::new(Everything);
    vec![
        vec![soft.clone()],
        vec![noise.clone(), clip(Clip::GlobalNorm(0.7))],
        vec![clip(Clip::TensorNorm(0.5)), centralise.clone(), noise.clone()],
        vec![centralise, clip(Clip::TensorNorm(0.5)), noise.clone()],
        vec![clip(Clip::Value(0.3)), everything, clip(Clip::GlobalNorm(2.0)), soft],
        vec![clip(Clip::None), noise],
    ]
}

// Faults: what is reduced is the gradient before all transformations, or after all; means of rows are found before the norm
// that they come after; a transformation has another's coefficients.
async fn transformations_agree_with_the_twin_in_every_order(gpu: &Gpu) {
    let kind = rules::kind("sgd").unwrap();
    let guard = Guard::loss_scale(LossScale::default().initial(8.0)).check_updates();
    for (number, list) in lists().into_iter().enumerate() {
        for around in (0..3).filter(|_| !spared(gpu)) {
            let mut options = Options::default()
                .guard((around == 1).then_some(guard))
                .accumulate((around == 2).then_some(Accumulation::mean(2)))
                .maximize(around == 2);
            options.transforms = list.clone();
            let (lookahead, home) = (Some(Lookahead::new(3, 0.4)), (number + around) % 7);
            let shape = Shape::from(&gpu.info);
            run_options(gpu, &Case { kind, lookahead, options, home, shape }, number as u64).await;
        }
    }
}

const SHAPE: [usize; 2] = [5, 7];

async fn build(gpu: &Gpu, builder: Builder) -> Optimizer {
    let builder = builder.tensor("v", &[3]).tensor("w", &SHAPE);
    let mut optimizer = builder.pipelines(&gpu.pipelines).build(&gpu.device, &gpu.queue).await.unwrap();
    optimizer.upload("w", &noise(35, 1)).unwrap();
    optimizer
}

fn step(gpu: &Gpu, optimizer: &mut Optimizer, values: &[f32]) {
    write_gradient(gpu, optimizer, "w", values);
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
}

async fn a_listed_clip_is_the_clip_option(gpu: &Gpu) {
    let adam = || Optimizer::builder(Adam::new(0.01)).lookahead(Lookahead::new(3, 0.5));
    for clip in [Clip::Value(0.3), Clip::GlobalNorm(0.7), Clip::TensorNorm(0.5)] {
        let mut option = build(gpu, adam().clip(clip)).await;
        let mut listed = build(gpu, adam().transform(clip)).await;
        for seed in 0..7 {
            let gradient = noise(35, 100 + seed);
            step(gpu, &mut option, &gradient);
            step(gpu, &mut listed, &gradient);
        }
        assert_eq!(export(&option).await, export(&listed).await, "{clip:?}");
    }
}

// Fault: the noise is numbered by what was recorded since the program began.
async fn noise_goes_on_after_a_checkpoint(gpu: &Gpu) {
    let sgd = || Optimizer::builder(Sgd::new(0.1)).transform(GradientNoise::new(0.3).seed(9));
    let mut whole = build(gpu, sgd()).await;
    (0..3).for_each(|_| step(gpu, &mut whole, &[0.0; 35]));
    let mut resumed = build(gpu, sgd()).await;
    resumed.import(&export(&whole).await).unwrap();
    for _ in 0..3 {
        let before = download(&whole, Field::Weights, "w").await;
        step(gpu, &mut whole, &[0.0; 35]);
        step(gpu, &mut resumed, &[0.0; 35]);
        let after = download(&whole, Field::Weights, "w").await;
        assert_eq!(after, download(&resumed, Field::Weights, "w").await);
        assert!(before.iter().zip(&after).all(|(before, after)| before != after), "all is noise");
    }
}

// Fault: a guard looks at what is left of a gradient, which may be finite where it is not.
async fn a_guard_sees_what_a_transformation_hides(gpu: &Gpu) {
    let lists: [List; 2] = [
        vec![clip(Clip::Value(0.3)), clip(Clip::GlobalNorm(0.7))],
        vec![Arc::new(SoftClip { bound: 0.5 }), clip(Clip::TensorNorm(0.7))],
    ];
    for list in lists {
        for wrong in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            let mut options = Options::default().guard(Guard::default());
            options.transforms = list.clone();
            let mut optimizer = build(gpu, Optimizer::builder(Sgd::new(0.1)).options(options)).await;
            let mut gradient = noise(35, 3);
            gradient[34] = wrong;
            step(gpu, &mut optimizer, &gradient);
            assert_eq!(download(&optimizer, Field::Weights, "w").await, noise(35, 1), "{wrong} in {list:?}");
            assert_eq!(counters(&optimizer).await.skipped, 1);
        }
    }
}

// Fault: a guard that skipped a step forgets, while the next one is measured, that its gradient is the accumulated one alone.
async fn a_flushed_step_after_a_skipped_one_is_measured_as_it_is(gpu: &Gpu) {
    let mut options = Options::default().guard(Guard::default()).accumulate(Accumulation::sum(3));
    options.transforms = vec![clip(Clip::Value(2.0)), clip(Clip::GlobalNorm(1e6))];
    let mut optimizer = build(gpu, Optimizer::builder(Sgd::new(0.5)).options(options)).await;
    (0..3).for_each(|_| step(gpu, &mut optimizer, &[f32::NAN; 35]));
    (0..2).for_each(|_| step(gpu, &mut optimizer, &[0.5; 35]));
    write_gradient(gpu, &optimizer, "w", &[f32::NAN; 35]);
    assert!(submit(gpu, |encoder| optimizer.flush(encoder)).unwrap());
    let counted = counters(&optimizer).await;
    assert_eq!((counted.steps, counted.skipped), (1, 1));
    let due: Vec<f64> = noise(35, 1).iter().map(|w| f64::from(*w) - 0.5).collect();
    let error = largest_error(&download(&optimizer, Field::Weights, "w").await, &due);
    assert!(error < 1e-6, "off by {error:e}");
}

// Faults: a guard gives a step its number, or keeps the coefficients, as if none had been skipped.
async fn a_skipped_step_draws_no_noise(gpu: &Gpu) {
    let noise_of = GradientNoise::new(0.3).gamma(2.0);
    let builder = Optimizer::builder(Sgd::new(0.1)).transform(noise_of).guard(Guard::default());
    let mut optimizer = build(gpu, builder).await;
    let start = vec![vec![0.0; 3], widen(&noise(35, 1))];
    let options = Options::default().transform(noise_of).guard(Guard::default());
    let mut twin = Twin::new(Sgd::new(0.1), start).options(options);
    for number in 0..8 {
        let mut gradient = noise(35, 50 + number);
        if number % 3 == 1 {
            gradient[17] = f32::NAN;
        }
        step(gpu, &mut optimizer, &gradient);
        twin.step(&[vec![0.0; 3], widen(&gradient)], 0.1);
    }
    assert_eq!((twin.steps, twin.skipped), (5, 3));
    for (tensor, name) in ["v", "w"].into_iter().enumerate() {
        let error = largest_error(&download(&optimizer, Field::Weights, name).await, &twin.weights[tensor]);
        assert!(error < 1e-5, "`{name}` is off by {error:e}");
    }
}
