//! Averages that begin when a trigger fires: NT-ASGD's against torch.optim.ASGD, and what `begin_average` leaves as it is.

use crate::common::{
    download, export, largest_error, noise, read_slice_async, spared, submit, widen, write_gradient,
};
use lookahead_wgpu::{
    Accumulation, Average, Error, Field, Group, Guard, Half, Lookahead, Optimizer, Options, Schedule,
    Snapshot, StatePolicy,
    average::NonMonotone,
    gpu::Gpu,
    rules::{Adam, Sgd},
    twin::Twin,
};
use serde::Deserialize;

on_devices!(
    the_average_is_that_of_torch_from_the_trigger_on,
    an_average_begun_anew_agrees_with_the_twin,
    until_the_next_step_it_is_a_copy_of_the_weights,
    cycles_go_on_where_they_are,
    skipped_steps_do_not_count,
    a_run_goes_on_from_a_checkpoint_beside_the_beginning,
    it_is_refused_where_there_is_none,
);

#[derive(Deserialize)]
struct File {
    run: Run,
}

/// Steps of torch.optim.ASGD.
#[derive(Deserialize)]
struct Run {
    interval: u32,
    /// Steps from one loss to the next.
    every: usize,
    lr: f64,
    x0: Vec<f32>,
    gradients: Vec<Vec<f32>>,
    losses: Vec<f64>,
    /// Steps taken when the trigger fires.
    begins: usize,
    x: Vec<Vec<f64>>,
    /// torch's average after each step.
    ax: Vec<Vec<f64>>,
}

fn golden() -> File {
    serde_json::from_str(include_str!("../golden/nt_asgd.json")).unwrap()
}

async fn the_average_is_that_of_torch_from_the_trigger_on(gpu: &Gpu) {
    let Run { interval, every, lr, x0, gradients, losses, begins, x, ax } = golden().run;
    let builder = Optimizer::builder(Sgd::new(lr)).average(Average::Polyak { from: 0 });
    let builder = builder.tensor("x", &[x0.len()]).pipelines(&gpu.pipelines);
    let mut optimizer = builder.build(&gpu.device, &gpu.queue).await.unwrap();
    optimizer.upload("x", &x0).unwrap();
    let mut trigger = NonMonotone::new(interval);
    let mut fired = None;
    for step in 0..gradients.len() {
        write_gradient(gpu, &optimizer, "x", &gradients[step]);
        submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
        let error = largest_error(&download(&optimizer, Field::Weights, "x").await, &x[step]);
        assert!(error < 1e-6, "the weights are off by {error:e} after step {step}");
        if (step + 1).is_multiple_of(every) && trigger.observe(losses[(step + 1) / every - 1]) {
            submit(gpu, |encoder| optimizer.begin_average(encoder)).unwrap();
            fired = Some(step + 1);
        }
        let error = largest_error(&download(&optimizer, Field::Average, "x").await, &ax[step]);
        // Before the trigger torch's is a copy of the weights, and ours a mean since the start.
        assert!(fired.is_none() || error < 1e-6, "the average is off by {error:e} after step {step}");
    }
    assert_eq!(fired, Some(begins));
}

const LEN: usize = 37;
const HEAD: usize = 130;

/// Two groups with cycles of their own.
async fn build(gpu: &Gpu, lookahead: Option<Lookahead>, options: &Options) -> Optimizer {
    let mut builder = Optimizer::builder(Adam::new(0.01).eps(1e-4)).options(options.clone());
    let mut head = Group::new("head").rule(Sgd::new(0.1).momentum(0.9));
    if let Some(lookahead) = lookahead {
        builder = builder.lookahead(lookahead);
        head = head.k(2);
    }
    let builder = builder.group(head).schedule(Schedule::steps([(3, 0.5)]));
    let builder = builder.tensor("w", &[LEN]).tensor_in("head", "v", &[HEAD]).pipelines(&gpu.pipelines);
    let mut optimizer = builder.build(&gpu.device, &gpu.queue).await.unwrap();
    optimizer.upload("w", &noise(LEN, 1)).unwrap();
    optimizer.upload("v", &noise(HEAD, 2)).unwrap();
    optimizer
}

fn step(gpu: &Gpu, optimizer: &mut Optimizer, number: u64) {
    write_gradient(gpu, optimizer, "w", &noise(LEN, 100 + number));
    write_gradient(gpu, optimizer, "v", &noise(HEAD, 200 + number));
    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
}

fn begin(gpu: &Gpu, optimizer: &mut Optimizer) {
    submit(gpu, |encoder| optimizer.begin_average(encoder)).unwrap();
}

fn averages() -> [Average; 5] {
    [
        Average::Ema { decay: 0.8 },
        Average::Polyak { from: 0 },
        Average::Polyak { from: 2 },
        Average::Swa { every: 2, from: 0 },
        Average::Swa { every: 2, from: 3 },
    ]
}

fn policies() -> [Option<Lookahead>; 3] {
    let with = |policy| Some(Lookahead::new(3, 0.4).policy(policy));
    [None, with(StatePolicy::Maintain), with(StatePolicy::Reset)]
}

async fn an_average_begun_anew_agrees_with_the_twin(gpu: &Gpu) {
    for average in averages() {
        for lookahead in policies() {
            for begins in [0, 1, 4, 6] {
                if spared(gpu) {
                    continue;
                }
                let options = Options::default().average(average);
                let mut optimizer = build(gpu, lookahead, &options).await;
                let weights = vec![widen(&noise(LEN, 1))];
                let mut twin = Twin::new(Adam::new(0.01).eps(1e-4), weights).options(options);
                if let Some(lookahead) = lookahead {
                    twin = twin.lookahead(lookahead);
                }
                for number in 0..11 {
                    if number == begins {
                        begin(gpu, &mut optimizer);
                        twin.begin_average();
                    }
                    let lr = optimizer.learning_rate("default").unwrap();
                    step(gpu, &mut optimizer, number);
                    twin.step(&[widen(&noise(LEN, 100 + number))], lr);
                    let error =
                        largest_error(&download(&optimizer, Field::Average, "w").await, &twin.average[0]);
                    let what = format!("{average:?}, {lookahead:?}, begun at {begins}, step {number}");
                    assert!(error < 1e-5, "{what}: off by {error:e}");
                }
                let error = largest_error(&download(&optimizer, Field::Weights, "w").await, &twin.weights[0]);
                assert!(error < 1e-5, "the weights are off by {error:e}");
            }
        }
    }
}

async fn until_the_next_step_it_is_a_copy_of_the_weights(gpu: &Gpu) {
    let options = Options::default().average(Average::Polyak { from: 0 });
    let halves = options.clone().half_weights(Half::Bf16).accumulate(Accumulation::mean(2));
    for options in [options.clone(), options.guard(Guard::default()), halves] {
        let mut optimizer = build(gpu, Some(Lookahead::new(3, 0.4)), &options).await;
        for number in 0..5 {
            step(gpu, &mut optimizer, number);
        }
        let before = export(&optimizer).await;
        begin(gpu, &mut optimizer);
        let after = export(&optimizer).await;
        let steps = before.steps;
        assert_eq!((before.average_start, after.average_start), (0, steps));
        for tensor in &after.tensors {
            let [weights, average] = [Field::Weights, Field::Average].map(|field| tensor.field(field));
            assert_eq!(weights, average, "{}", tensor.name);
        }
        assert_eq!(without_average(&after), without_average(&before));
        // Kernels see it, too.
        let slice = optimizer.average("w").unwrap();
        assert_eq!(Some(&*read_slice_async(gpu, &slice).await), after.tensors[0].field(Field::Weights));
    }
}

/// All but what is the average's.
fn without_average(snapshot: &Snapshot) -> Snapshot {
    let mut snapshot = Snapshot { average_start: 0, ..snapshot.clone() };
    for tensor in &mut snapshot.tensors {
        tensor.fields.retain(|(name, _)| name != "average");
    }
    snapshot
}

async fn cycles_go_on_where_they_are(gpu: &Gpu) {
    for policy in [StatePolicy::Maintain, StatePolicy::Interpolate, StatePolicy::Reset] {
        for guard in [None, Some(Guard::default())] {
            if spared(gpu) {
                continue;
            }
            let options = Options::default().average(Average::Ema { decay: 0.9 }).guard(guard);
            let lookahead = Some(Lookahead::new(3, 0.4).policy(policy));
            let run = async |begins: &[u64]| {
                let mut optimizer = build(gpu, lookahead, &options).await;
                for number in 0..8 {
                    if begins.contains(&number) {
                        begin(gpu, &mut optimizer);
                    }
                    step(gpu, &mut optimizer, number);
                }
                without_average(&export(&optimizer).await)
            };
            assert_eq!(run(&[0, 1, 3, 5]).await, run(&[]).await, "{policy:?}, {guard:?}");
        }
    }
}

/// A guard alone knows how many steps were taken when the average began.
async fn skipped_steps_do_not_count(gpu: &Gpu) {
    for average in averages() {
        if spared(gpu) {
            continue;
        }
        let options = Options::default().average(average).guard(Guard::default());
        let run = async |bad: &[u64]| {
            let mut optimizer = build(gpu, Some(Lookahead::new(3, 0.4)), &options).await;
            for number in 0..10 {
                for _ in bad.iter().filter(|&&bad| bad == number) {
                    write_gradient(gpu, &optimizer, "w", &[f32::NAN; LEN]);
                    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
                }
                if number == 4 {
                    begin(gpu, &mut optimizer);
                }
                step(gpu, &mut optimizer, number);
            }
            Snapshot { skipped: 0, since_rescaled: 0, ..export(&optimizer).await }
        };
        assert_eq!(run(&[0, 2, 2, 4, 5, 7]).await, run(&[]).await, "{average:?}");
    }
}

async fn a_run_goes_on_from_a_checkpoint_beside_the_beginning(gpu: &Gpu) {
    for (average, guard) in averages().into_iter().zip([None, Some(Guard::default())].into_iter().cycle()) {
        if spared(gpu) {
            continue;
        }
        let options = Options::default().average(average).guard(guard);
        let lookahead = Some(Lookahead::new(3, 0.4));
        let run = async |stop: Option<u64>| {
            let mut optimizer = build(gpu, lookahead, &options).await;
            for number in 0..9 {
                if guard.is_some() && number == 1 {
                    write_gradient(gpu, &optimizer, "w", &[f32::NAN; LEN]);
                    submit(gpu, |encoder| optimizer.step(encoder)).unwrap();
                }
                if number == 4 {
                    begin(gpu, &mut optimizer);
                }
                if stop == Some(number) {
                    let bytes = export(&optimizer).await.to_bytes().unwrap();
                    optimizer = build(gpu, lookahead, &options).await;
                    optimizer.import(&Snapshot::from_bytes(&bytes).unwrap()).unwrap();
                }
                step(gpu, &mut optimizer, number);
            }
            export(&optimizer).await
        };
        let whole = run(None).await;
        for stop in 3..8 {
            assert_eq!(run(Some(stop)).await, whole, "{average:?}, stopped before step {stop}");
        }
    }
}

async fn it_is_refused_where_there_is_none(gpu: &Gpu) {
    let mut optimizer = build(gpu, None, &Options::default()).await;
    let error = submit(gpu, |encoder| optimizer.begin_average(encoder)).unwrap_err();
    assert!(error.to_string().contains("there is no average `begin_average`"), "{error}");
    let mut optimizer = build(gpu, None, &Options::default().average(Average::Ema { decay: 0.5 })).await;
    submit(gpu, |encoder| optimizer.swap_average(encoder)).unwrap();
    let error = submit(gpu, |encoder| optimizer.begin_average(encoder)).unwrap_err();
    assert_eq!(error, Error::Swapped { call: "begin_average" });
}
