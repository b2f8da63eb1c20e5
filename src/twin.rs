//! The f64 twin of the whole optimizer: the same schedule, on the host, one value at a time.
//!
//! It is what the kernels are tested against, and what a rule of one's own can be. Half-width formats are not its
//! business: it is what they are measured by.

mod anderson;
mod factored;

use std::sync::Arc;

use crate::{
    config::{
        alpha::{AdaptiveAlpha, Curvature, GradientAt, Scope},
        clip::Clip,
        lookahead::Lookahead,
        options::Options,
        shape::Shape,
        transform::Context,
    },
    kernels::{Access, Recipe, Tensors},
    layout::{
        params::{flags, iterate, tasks},
        planes::iterates,
    },
    plan::cycle::CycleState,
    rules::{Rule, Slot, Step, WeightDecay},
};

/// One group's training in f64. The fields are its state, for comparison.
#[derive(Debug, Clone)]
pub struct Twin {
    rule: Arc<dyn Rule>,
    lookahead: Option<Lookahead>,
    options: Options,
    cycle: CycleState,
    shapes: Vec<Vec<usize>>,
    micro_batches: u32,
    average_start: u64,
    /// Steps taken.
    pub steps: u64,
    /// Steps that the guard skipped.
    pub skipped: u64,
    /// Fast weights, a tensor each.
    pub weights: Vec<Vec<f64>>,
    /// Slow weights.
    pub slow_weights: Vec<Vec<f64>>,
    /// State slots of every weight.
    pub state: Vec<Vec<Vec<f64>>>,
    /// Their slow copies.
    pub slow_state: Vec<Vec<Vec<f64>>>,
    /// The second moment of every tensor, where it is the driver's to keep: rows and columns, or the whole.
    pub moments: Vec<Vec<Vec<f64>>>,
    /// Their slow copies.
    pub slow_moments: Vec<Vec<Vec<f64>>>,
    /// The outer step's buffers of every weight.
    pub outer: Vec<Vec<Vec<f64>>>,
    /// The empirical Fisher.
    pub fisher: Vec<Vec<f64>>,
    /// The curvature that the caller gives.
    pub curvature: Vec<Vec<f64>>,
    /// The average of the weights.
    pub average: Vec<Vec<f64>>,
    /// The sum of the micro-batches' gradients so far.
    pub accumulated: Vec<Vec<f64>>,
    /// The mean of the weights that the tasks of a round have come to.
    pub task_mean: Vec<Vec<f64>>,
    /// The mini-batch's gradient at the slow weights, which the caller gives for variance reduction.
    pub snapshot_gradients: Vec<Vec<f64>>,
    /// The whole objective's gradient there.
    pub full_gradients: Vec<Vec<f64>>,
    /// The iterates of this cycle that Anderson acceleration combines, each a tensor each.
    pub iterates: Vec<Vec<Vec<f64>>>,
    /// Its coefficients of the last sync: one set, or one a tensor.
    pub accelerations: Vec<Option<Vec<f64>>>,
    /// The adaptive alphas of the last sync: one, or one a tensor.
    pub alphas: Vec<Option<f64>>,
}

impl Twin {
    /// Training from these weights, with the rule alone.
    pub fn new(rule: impl Rule + 'static, weights: Vec<Vec<f64>>) -> Self {
        let each = |values: Vec<f64>| -> Vec<Vec<Vec<f64>>> {
            weights.iter().map(|tensor| vec![values.clone(); tensor.len()]).collect()
        };
        let state = each(initial(&rule.slots()));
        let zeros: Vec<Vec<f64>> = weights.iter().map(|tensor| vec![0.0; tensor.len()]).collect();
        let shapes: Vec<_> = weights.iter().map(|tensor| vec![tensor.len()]).collect();
        let moments = initial_moments(&rule, &shapes);
        Self {
            rule: Arc::new(rule),
            lookahead: None,
            options: Options::default(),
            cycle: CycleState::new(),
            shapes,
            slow_moments: moments.clone(),
            moments,
            micro_batches: 0,
            average_start: 0,
            steps: 0,
            skipped: 0,
            slow_weights: weights.clone(),
            slow_state: state.clone(),
            state,
            outer: each(vec![]),
            fisher: zeros.clone(),
            curvature: zeros.clone(),
            average: weights.clone(),
            accumulated: zeros.clone(),
            task_mean: zeros.clone(),
            snapshot_gradients: zeros.clone(),
            full_gradients: zeros,
            iterates: vec![],
            accelerations: vec![],
            alphas: vec![],
            weights,
        }
    }

    /// With Lookahead around the rule.
    pub fn lookahead(self, lookahead: Lookahead) -> Self {
        Self { lookahead: Some(lookahead), ..self }
    }

    /// With gradients clipped.
    pub fn clip(mut self, clip: Clip) -> Self {
        self.options.clip = clip;
        self
    }

    /// With all of these; what is half-width is not heeded.
    pub fn options(mut self, options: Options) -> Self {
        let slots = initial(&options.outer.slots());
        self.outer = self.weights.iter().map(|tensor| vec![slots.clone(); tensor.len()]).collect();
        self.options = options;
        self
    }

    /// With tensors of these shapes, which centralisation and factored second moments need to know.
    pub fn shapes(self, shapes: &[Vec<usize>]) -> Self {
        let moments = initial_moments(self.rule.as_ref(), shapes);
        Self { shapes: shapes.to_vec(), slow_moments: moments.clone(), moments, ..self }
    }

    /// One call of the optimizer's `flush`, at this learning rate.
    pub fn flush(&mut self, learning_rate: f64) {
        let micro_batches = std::mem::take(&mut self.micro_batches);
        if micro_batches > 0 {
            self.take_step(self.accumulated.clone(), micro_batches, learning_rate);
        }
    }

    /// One call of the optimizer's `discard`.
    pub fn discard(&mut self) {
        self.micro_batches = 0;
    }

    /// One call of the optimizer's `sync_now`, at this learning rate.
    pub fn sync_now(&mut self, learning_rate: f64) {
        let Some(lookahead) = self.lookahead.filter(|_| self.cycle.position > 0) else { return };
        self.alphas.clear();
        // The fixed step is taken.
        self.iterates.clear();
        self.sync(&lookahead, self.cycle.task(&lookahead, true), learning_rate);
        self.cycle.synced(&lookahead);
    }

    /// The number of the task of its round that the next step belongs to, from 0.
    pub fn task(&self) -> u32 {
        self.lookahead.map_or(0, |lookahead| self.cycle.task(&lookahead, false) - 1)
    }

    /// One call of the optimizer's `init_synced`.
    pub fn init_synced(&mut self) {
        self.slow_weights.clone_from(&self.weights);
        self.average.clone_from(&self.weights);
        let slots = initial(&self.options.outer.slots());
        self.outer.iter_mut().flatten().for_each(|outer| outer.clone_from(&slots));
        self.cycle.begin();
        self.iterates.clear();
        self.average_start = self.steps;
    }

    /// One call of the optimizer's `begin_average`.
    pub fn begin_average(&mut self) {
        self.average.clone_from(&self.weights);
        self.average_start = self.steps;
    }

    /// One call of the optimizer's `step`, at this learning rate.
    pub fn step(&mut self, gradients: &[Vec<f64>], learning_rate: f64) {
        let micro_batches = self.options.micro_batches();
        let mut total = self.reduced(gradients);
        if micro_batches > 1 {
            for (sum, gradient) in self.accumulated.iter_mut().flatten().zip(total.iter().flatten()) {
                *sum = if self.micro_batches == 0 { *gradient } else { *sum + gradient };
            }
            self.micro_batches += 1;
            if self.micro_batches < micro_batches {
                return;
            }
            self.micro_batches = 0;
            total.clone_from(&self.accumulated);
        }
        self.take_step(total, micro_batches, learning_rate);
    }

    /// The gradients, less those at the slow weights and with the full ones there.
    fn reduced(&self, gradients: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let mut given = gradients.to_vec();
        if self.options.variance_reduced {
            let there = self.snapshot_gradients.iter().flatten().zip(self.full_gradients.iter().flatten());
            for (gradient, (snapshot, full)) in given.iter_mut().flatten().zip(there) {
                *gradient = *gradient - snapshot + full;
            }
        }
        given
    }

    /// Takes a step with the sum of so many micro-batches' gradients.
    fn take_step(&mut self, total: Vec<Vec<f64>>, micro_batches: u32, learning_rate: f64) {
        if self.options.guard.is_some() && !total.iter().flatten().all(|value| value.is_finite()) {
            self.skipped += 1;
            return;
        }
        let gradient_scale = self.options.gradient_scale(micro_batches, self.options.maximize);
        let adaptive = self.options.adaptive.filter(|_| self.lookahead.is_some());
        let mut phases = self.cycle.next_step(self.lookahead.as_ref(), self.options.sync_gradient(), false);
        self.cycle.keep(&iterates(self.lookahead.as_ref(), self.options.anderson), &mut phases);
        if phases[0] & flags::INIT != 0 {
            self.slow_weights.clone_from(&self.weights);
        }
        if phases[0] & iterate::KEEP != 0 {
            self.iterates.push(self.weights.clone());
        }
        if phases[0] & flags::UPDATE != 0 {
            self.update(total.clone(), gradient_scale, learning_rate);
        }
        if let Some(lookahead) = self.lookahead
            && (phases[0] | phases[1]) & flags::SYNC != 0
        {
            let count = self.cycle.count + u64::from(phases[0] & flags::UPDATE != 0);
            self.alphas = adaptive
                .map_or(vec![], |adaptive| self.find_alphas(&adaptive, &total, gradient_scale, count));
            self.sync(&lookahead, self.cycle.task(&lookahead, false), learning_rate);
            self.iterates.clear();
        }
        if let Some(lookahead) = self.lookahead
            && phases[0] & tasks::TASK != 0
        {
            self.take_task(self.cycle.task(&lookahead, false));
            self.weights.clone_from(&self.slow_weights);
            self.reset_state(&lookahead);
        }
        if let Some(average_weight) =
            self.options.average.and_then(|average| average.weight(self.steps - self.average_start))
        {
            for (mean, weight) in self.average.iter_mut().flatten().zip(self.weights.iter().flatten()) {
                *mean += average_weight * (weight - *mean);
            }
        }
        self.cycle.step_taken(phases, self.lookahead.as_ref());
        self.steps += 1;
    }

    fn update(&mut self, total: Vec<Vec<f64>>, gradient_scale: f64, learning_rate: f64) {
        let weight_decay = self.rule.weight_decay();
        let decay = if let WeightDecay::Direction(factor) = weight_decay { factor } else { 0.0 };
        let step = Step { count: self.cycle.count + 1, learning_rate, decay, trust: 1.0, anchor: 0.0 };
        let fisher = self.fisher_decay();
        let l2 = if let WeightDecay::L2(factor) = weight_decay { factor } else { 0.0 };
        let gradients = self.transformed(total, gradient_scale);
        for (tensor, gradients) in gradients.iter().enumerate() {
            let weights = &mut self.weights[tensor];
            let mut step = step;
            if let Some(trust) = self.rule.trust() {
                let (mut w, mut u) = (0.0f64, 0.0f64);
                for (index, &gradient) in gradients.iter().enumerate() {
                    let mut state = self.state[tensor][index].clone();
                    let weight = weights[index];
                    let direction = self.rule.measure(&step, weight, gradient + l2 * weight, &mut state);
                    if trust.measure_stores {
                        self.state[tensor][index] = state;
                    }
                    (w, u) = (w + weight * weight, u + direction * direction);
                }
                let (w, u) = (w.sqrt(), u.sqrt());
                let zero = w == 0.0 || u == 0.0;
                step.trust = if zero { 1.0 } else { trust.coefficient * w / (u + trust.eps) };
            }
            let mut decayed: Vec<f64> = gradients.iter().zip(&*weights).map(|(g, w)| g + l2 * w).collect();
            if let Some(factored) = self.rule.factored(step.count) {
                let (shape, moments) = (&self.shapes[tensor], &mut self.moments[tensor]);
                decayed = factored::normalised(&factored, shape, &decayed, weights, moments);
            }
            for (index, &gradient) in gradients.iter().enumerate() {
                let weight = weights[index];
                let mean = &mut self.fisher[tensor][index];
                *mean = fisher * *mean + (1.0 - fisher) * gradient * gradient;
                let shrunk = match weight_decay {
                    WeightDecay::Decoupled(factor) => weight - learning_rate * factor * weight,
                    _ => weight,
                };
                let state = &mut self.state[tensor][index];
                step.anchor = self.slow_weights[tensor][index];
                weights[index] = self.rule.update(&step, shrunk, decayed[index], state);
            }
        }
    }

    /// Takes the weights into the mean of the tasks, of which this is the so-and-so-many-th; 0: there is none.
    fn take_task(&mut self, number: u32) {
        if number > 0 {
            for (mean, weight) in self.task_mean.iter_mut().flatten().zip(self.weights.iter().flatten()) {
                let before = if number == 1 { 0.0 } else { *mean };
                *mean = before + (weight - before) / f64::from(number);
            }
        }
    }

    /// What the end of a task or cycle does to the state with the policy reset.
    fn reset_state(&mut self, lookahead: &Lookahead) {
        if lookahead.policy.resets() {
            let initial = initial(&self.rule.slots());
            self.state.iter_mut().flatten().for_each(|state| state.clone_from(&initial));
            self.fisher.iter_mut().for_each(|fisher| fisher.fill(0.0));
            self.moments.iter_mut().flatten().flatten().for_each(|value| *value = 0.0);
        }
    }

    /// `task`: the number of the one that ends; 0: none does.
    fn sync(&mut self, lookahead: &Lookahead, task: u32, learning_rate: f64) {
        let found = |alphas: &[Option<f64>], tensor: usize| {
            let alpha = if alphas.len() == 1 { alphas[0] } else { alphas.get(tensor).copied().flatten() };
            alpha.unwrap_or(lookahead.alpha)
        };
        // What it ends with is not kept: the next round's first task begins it anew.
        let task_mean = self.task_mean.clone();
        if lookahead.has_tasks() {
            self.take_task(task);
            std::mem::swap(&mut self.weights, &mut self.task_mean);
        }
        let combined = self.accelerate(lookahead.alpha);
        for tensor in 0..self.weights.len() {
            let alpha = found(&self.alphas, tensor);
            if let Some(combined) = &combined[tensor] {
                self.slow_weights[tensor].clone_from(combined);
                self.weights[tensor].clone_from(combined);
            }
            let fixed = if combined[tensor].is_none() { self.weights[tensor].len() } else { 0 };
            for index in 0..fixed {
                let (phi, weight) = (self.slow_weights[tensor][index], self.weights[tensor][index]);
                let theta = self.rule.snapshot(weight, &mut self.state[tensor][index]);
                let outer = &mut self.outer[tensor][index];
                let synced = self.options.outer.step(phi, theta, alpha, learning_rate, outer);
                self.slow_weights[tensor][index] = synced;
                self.weights[tensor][index] = self.rule.shifted(weight, phi, synced);
            }
            let (state, slow) = (&mut self.state[tensor], &mut self.slow_state[tensor]);
            let (moments, slow_moments) = (&mut self.moments[tensor], &mut self.slow_moments[tensor]);
            if lookahead.policy.keeps_slow_state() {
                let fast = state.iter_mut().chain(moments).flatten();
                for (fast, slow) in fast.zip(slow.iter_mut().chain(slow_moments).flatten()) {
                    *slow += alpha * (*fast - *slow);
                    *fast = *slow;
                }
            }
        }
        self.task_mean = task_mean;
        self.reset_state(lookahead);
    }

    /// Each tensor's slow weights by Anderson acceleration; none where the fixed step is to be taken.
    fn accelerate(&mut self, alpha: f64) -> Vec<Option<Vec<f64>>> {
        let tensors = self.weights.len();
        let Some(anderson) = self.options.anderson.filter(|_| self.lookahead.is_some()) else {
            return vec![None; tensors];
        };
        let path: Vec<_> = self.iterates.iter().chain([&self.weights]).cloned().collect();
        let of = |tensors: std::ops::Range<usize>| {
            let flat = path.iter().map(|point| point[tensors.clone()].concat()).collect::<Vec<_>>();
            anderson::coefficients(&flat, anderson.regularisation)
        };
        self.accelerations = match anderson.scope {
            Scope::Tensor => (0..tensors).map(|tensor| of(tensor..tensor + 1)).collect(),
            Scope::Model | Scope::Group => vec![of(0..tensors)],
        };
        let of_tensor = |tensor: usize| {
            let coefficients = self.accelerations[tensor.min(self.accelerations.len() - 1)].as_ref()?;
            let path: Vec<_> = path.iter().map(|point| point[tensor].as_slice()).collect();
            Some(anderson::combined(&path, coefficients, alpha))
        };
        (0..tensors).map(of_tensor).collect()
    }

    fn fisher_decay(&self) -> f64 {
        match self.options.adaptive.map(|adaptive| adaptive.curvature) {
            Some(Curvature::Fisher { decay }) => decay,
            _ => 0.999,
        }
    }

    /// alpha^ for the model (or its one group) or for each tensor; none where it is no number. `count` updates have
    /// been.
    fn find_alphas(
        &self,
        adaptive: &AdaptiveAlpha,
        total: &[Vec<f64>],
        gradient_scale: f64,
        count: u64,
    ) -> Vec<Option<f64>> {
        let l2 = if let WeightDecay::L2(factor) = self.rule.weight_decay() { factor } else { 0.0 };
        let moment = self.rule.second_moment(count.max(1));
        let curvature = |tensor: usize, index: usize| match (adaptive.curvature, moment) {
            (Curvature::Given, _) => self.curvature[tensor][index],
            (Curvature::Corrected, Some(moment)) => {
                self.state[tensor][index][moment.slot] / moment.bias_correction
            }
            (Curvature::Raw, Some(moment)) => self.state[tensor][index][moment.slot],
            (Curvature::Root, Some(moment)) => {
                (self.state[tensor][index][moment.slot] / moment.bias_correction).sqrt() + moment.eps
            }
            _ => self.fisher[tensor][index] / (1.0 - self.fisher_decay().powf(count.max(1) as f64)),
        };
        let dots = |tensor: usize| {
            let mut sums = [0.0; 2];
            for (index, gradient) in total[tensor].iter().enumerate() {
                let weight = self.weights[tensor][index];
                let d = weight - self.slow_weights[tensor][index];
                sums[0] += (gradient_scale * gradient + l2 * weight) * d;
                sums[1] += d * curvature(tensor, index) * d;
            }
            sums
        };
        let alpha = |[gd, dad]: [f64; 2]| {
            let is_number = dad > 0.0 && dad.is_finite() && gd.is_finite();
            is_number.then(|| (1.0 - gd / dad).clamp(adaptive.alpha_low, 1.0))
        };
        let sums = (0..total.len()).map(dots);
        if adaptive.scope == Scope::Tensor {
            return sums.map(alpha).collect();
        }
        vec![alpha(sums.fold([0.0; 2], |a, b| [a[0] + b[0], a[1] + b[1]]))]
    }

    /// Calls of `step` in a cycle, or a round of tasks.
    pub fn calls_in_a_cycle(&self) -> u32 {
        let at = self.options.adaptive.map(|adaptive| adaptive.gradient);
        let extra = u32::from(at == Some(GradientAt::Synchronised));
        self.lookahead.map_or(1, |lookahead| lookahead.round() + extra) * self.options.micro_batches()
    }

    /// What the rule is given, of the sum of the micro-batches' gradients.
    fn transformed(&self, mut total: Vec<Vec<f64>>, gradient_scale: f64) -> Vec<Vec<f64>> {
        let (rule, lookahead) = (self.rule.as_ref(), self.lookahead.as_ref());
        let (access, shape) = (Access::Owned, Shape::default());
        let recipe =
            Recipe { rule, lookahead, options: &self.options, access, shape, tensors: Tensors::default() };
        let context = Context { shapes: &self.shapes, step: self.steps, gradient_scale };
        recipe.transforms().iter().for_each(|link| link.transform.apply(&mut total, &context));
        total
    }
}

/// The second moments that are the driver's, at the start.
fn initial_moments(rule: &dyn Rule, shapes: &[Vec<usize>]) -> Vec<Vec<Vec<f64>>> {
    let factored = rule.factored(1);
    let of = |shape: &Vec<usize>| factored.map_or(vec![], |factored| factored::initial(shape, &factored));
    shapes.iter().map(of).collect()
}

/// The initial state of one weight.
fn initial(slots: &[Slot]) -> Vec<f64> {
    slots.iter().map(|slot| f64::from(slot.initial)).collect()
}
