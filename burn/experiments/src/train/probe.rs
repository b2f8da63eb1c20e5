//! A look into the inner loop: figures 1 and 10 of the paper.

use burn::module::Module;

use super::parameters::Layout;
use crate::data::DataError;
use crate::run::method::Slow;
use crate::run::record::{Inside, Plane, Probe, Scores};
use crate::task::{Part, Task};

/// How many cycles are looked into.
pub const CYCLES: u32 = 3;
/// Columns of the plane, and rows.
const SIDE: usize = 11;
/// How far beyond the path the plane goes, in lengths of it.
const MARGIN: f64 = 0.5;

/// Evaluates the models after each step of `CYCLES` cycles, of which the first is where they begin.
///
/// After the last step of a cycle a model has its new slow weights. The fast ones before them follow from
/// `slow' = slow + alpha (fast - slow)`.
pub fn probe<T: Task>(task: &T, epoch: u32, slow: Slow, models: &[T::Model]) -> Result<Probe, DataError> {
    let layout = models.first().map(Layout::of).unwrap_or_default();
    let scores = |model: &T::Model| task.evaluate(&model.clone().valid(), Part::Valid);
    let mut steps = Vec::new();
    let mut fast_of_first = Vec::new();
    let mut slow_of_first = Vec::new();
    for (cycle, models) in models.windows(slow.k as usize + 1).step_by(slow.k as usize).enumerate() {
        let start = layout.take(&models[0]);
        for (inner, model) in models.iter().enumerate() {
            let (is_first, is_last) = (inner == 0, inner == slow.k as usize);
            let step = cycle as u32 * slow.k + inner as u32;
            let mut weights = layout.take(model);
            if is_first || is_last {
                if !is_first || cycle == 0 {
                    steps.push(Inside { step, is_slow: true, scores: scores(model)? });
                }
                if cycle == 0 {
                    slow_of_first.push(weights.clone());
                }
            }
            if is_last {
                let fast = |(&start, &end): (&f32, &f32)| {
                    (f64::from(start) + f64::from(end - start) / slow.alpha) as f32
                };
                weights = start.iter().zip(&weights).map(fast).collect();
            }
            if !is_first {
                let model = layout.put(model.clone(), &weights);
                steps.push(Inside { step, is_slow: false, scores: scores(&model)? });
            }
            if cycle == 0 {
                fast_of_first.push(weights);
            }
        }
    }
    // By step, and within one the fast weights first, as they come before.
    steps.sort_by_key(|inside| (inside.step, inside.is_slow));
    let plane = plane(&layout, models.last(), &fast_of_first, &slow_of_first, scores)?;
    Ok(Probe { epoch, steps, plane })
}

fn plane<M: Module>(
    layout: &Layout,
    model: Option<&M>,
    fast: &[Vec<f32>],
    slow: &[Vec<f32>],
    scores: impl Fn(&M) -> Result<Scores, DataError>,
) -> Result<Plane, DataError> {
    let empty = Plane { x: vec![], y: vec![], scores: vec![], fast: vec![], slow: vec![] };
    let (Some(model), [first, .., last]) = (model, fast) else { return Ok(empty) };
    let middle = &fast[fast.len() / 2];
    let minus = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a - b)).collect::<Vec<_>>();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let across = minus(last, first);
    let length = dot(&across, &across).sqrt();
    let towards = minus(middle, first);
    let along = dot(&towards, &across) / (length * length);
    let mut up: Vec<f64> = towards.iter().zip(&across).map(|(a, b)| a - along * b).collect();
    let height = dot(&up, &up).sqrt();
    up.iter_mut().for_each(|value| *value *= length / height);
    let project = |weights: &Vec<f32>| {
        let from = minus(weights, first);
        [dot(&from, &across) / (length * length), dot(&from, &up) / (length * length)]
    };
    let fast: Vec<_> = fast.iter().map(project).collect();
    let slow: Vec<_> = slow.iter().map(project).collect();
    let range = |axis: usize| {
        let values = fast.iter().chain(&slow).map(|point| point[axis]);
        let (least, most) = values.fold((0f64, 0f64), |(least, most), it| (least.min(it), most.max(it)));
        let (least, most) = (least - MARGIN, most + MARGIN);
        (0..SIDE).map(move |at| least + (most - least) * at as f64 / (SIDE - 1) as f64).collect::<Vec<_>>()
    };
    let (x, y) = (range(0), range(1));
    let at = |x: f64, y: f64| {
        let numbers = first.iter().zip(across.iter().zip(&up));
        let numbers: Vec<f32> =
            numbers.map(|(&first, (a, u))| (f64::from(first) + x * a + y * u) as f32).collect();
        scores(&layout.put(model.clone(), &numbers))
    };
    let rows = y.iter().map(|&y| x.iter().map(|&x| at(x, y)).collect());
    let scores = rows.collect::<Result<_, _>>()?;
    Ok(Plane { x, y, scores, fast, slow })
}
