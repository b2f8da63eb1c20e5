//! Records that no training made.

use experiments::run::method::{Inner, Method};
use experiments::run::record::{Inside, Pace, Plane, Point, Probe, Record, Run, Scores};

pub const SGD: Inner = Inner::Sgd { momentum: 0.9 };

pub fn sgd(rate: f64, momentum: f64) -> Method {
    Method::new(Inner::Sgd { momentum }, rate)
}

/// With these losses and scores after each epoch, training and validation and test alike.
pub fn record(method: &Method, seed: u64, losses: &[f64], scores: &[f64]) -> Record {
    let at = |i: usize| Scores { loss: losses[i], score: scores.get(i).copied() };
    let point = |i: usize| Point {
        epoch: i as u32 + 1,
        rate: method.rate,
        train_loss: losses[i],
        valid: at(i),
        is_average: false,
        seconds: 1.5 * (i + 1) as f64,
    };
    let test = losses.len().checked_sub(1).map_or(Scores { loss: f64::NAN, score: None }, at);
    Record {
        run: Run {
            preset: "made".into(),
            method: *method,
            pace: Pace::Constant,
            epochs: losses.len() as u32,
            seed,
            probe: None,
        },
        epoch_steps: 100,
        history: (0..losses.len()).map(point).collect(),
        test,
        probe: None,
        device: "none".into(),
        seconds: 1.5 * losses.len() as f64,
    }
}

/// A number from -1 to 1 that looks like chance.
pub fn noise(a: u64, b: u64) -> f64 {
    let mixed =
        (a.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ b.wrapping_mul(0xC2B2_AE3D_27D4_EB4F)).wrapping_add(b);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// As training with a rate that drops twice looks: the smaller `floor`, the better.
pub fn trained(method: &Method, seed: u64, epochs: u32, floor: f64) -> Record {
    let value = |epoch: u32| {
        let share = f64::from(epoch) / f64::from(epochs);
        let stage = if share < 0.4 {
            0.45
        } else if share < 0.7 {
            0.16
        } else {
            0.05
        };
        let rough = noise(seed, u64::from(epoch)) * stage * 0.18;
        floor + stage + 1.9 * (-14.0 * share).exp() + rough
    };
    let losses: Vec<f64> = (1..=epochs).map(value).collect();
    let scores: Vec<f64> = losses.iter().map(|loss| 100.0 * (1.0 - 0.26 * loss.min(3.2))).collect();
    let mut record = record(method, seed, &losses, &scores);
    for point in &mut record.history {
        point.train_loss = (0.7 * (point.valid.loss - floor)).max(0.001);
    }
    record
}

/// Steps of a few cycles, and a plane with a valley.
pub fn probe(k: u32, cycles: u32) -> Probe {
    let scores = |score: f64| Scores { loss: (100.0 - score) / 30.0, score: Some(score) };
    let mut steps = vec![Inside { step: 0, is_slow: true, scores: scores(92.1) }];
    for step in 1..=k * cycles {
        let within = f64::from((step - 1) % k + 1);
        let score = 92.0 - 0.55 * within + 0.25 * noise(7, u64::from(step)) + 0.1 * f64::from(step / k);
        steps.push(Inside { step, is_slow: false, scores: scores(score) });
        if step % k == 0 {
            let score = 92.1 + 0.1 * f64::from(step / k) + 0.1 * noise(8, u64::from(step));
            steps.push(Inside { step, is_slow: true, scores: scores(score) });
        }
    }
    let line = |from: f64, to: f64, count: u32| -> Vec<f64> {
        (0..count).map(|i| from + (to - from) * f64::from(i) / f64::from(count - 1)).collect()
    };
    let (x, y) = (line(-0.5, 1.5, 25), line(-0.6, 1.0, 21));
    let height =
        |x: f64, y: f64| 78.0 - 9.0 * (x - 0.55).powi(2) - 22.0 * (y - 0.12 + 0.3 * x * (1.0 - x)).powi(2);
    let row = |&y: &f64| x.iter().map(|&x| scores(height(x, y))).collect();
    let fast = vec![[0.0, 0.0], [0.12, 0.22], [0.33, 0.1], [0.5, 0.34], [0.78, 0.21], [1.0, 0.0]];
    let plane = Plane { scores: y.iter().map(row).collect(), x, y, fast, slow: vec![[0.0, 0.0], [0.5, 0.0]] };
    Probe { epoch: 60, steps, plane }
}
