//! Slow weights of a module, and syncs between those that are due.

use burn::{
    module::{Module, ModuleMapper, Param},
    optim::{GradientsParams, ModuleOptimizer},
    tensor::Tensor,
};

use super::request::Request;

/// The module with its slow weights, to be evaluated or saved; module and optimizer stay as they are.
///
/// Parameters that had no step yet, or belong to a group whose optimizer is not a [`Lookahead`](crate::Lookahead), have
/// their weights as they are. Nothing is copied or read back. Right after a sync these are the fast weights, too.
///
/// Burn's `Learner` does not give its optimizer away: there, load its optimizer's checkpoint into a `ModuleOptimizer` that
/// is made alike, and ask that.
pub fn slow<M: Module>(module: &M, optimizer: &ModuleOptimizer) -> M {
    module.clone().map(&mut Slow { optimizer: optimizer.clone() })
}

/// Syncs now, whatever the position in the cycle: slow weights move towards the fast ones by alpha, the fast ones restart
/// there, and the next sync is k steps away. For the end of training, where its steps are no multiple of k.
///
/// Parameters that had no step yet, or belong to a group whose optimizer is not a [`Lookahead`](crate::Lookahead), are left
/// alone.
#[must_use = "the module that is given has the synchronised weights"]
pub fn sync<M: Module>(module: M, optimizer: &mut ModuleOptimizer) -> M {
    module.map(&mut Sync { slow: Slow { optimizer: optimizer.clone() }, optimizer })
}

/// A step of one parameter that asks for something else; none where no `Lookahead` steps it.
fn ask<const D: usize>(
    optimizer: &mut ModuleOptimizer,
    request: Request,
    param: &Param<Tensor<D>>,
) -> Option<Param<Tensor<D>>> {
    let mut gradients = GradientsParams::new();
    // Burn's optimizer passes over parameters without one.
    gradients.register(param.id, param.val().inner());
    // It takes parameters that can have gradients alone, and those of `Module::valid` cannot.
    let can_have_gradients = param.val().is_autodiff();
    let asked = if can_have_gradients { param.clone() } else { param.clone().map(Tensor::from_inner) };
    let (is_answered, stepped) = request.during(|| optimizer.step(0.0, asked, gradients));
    let stepped = if can_have_gradients { stepped } else { stepped.map(Tensor::inner) };
    is_answered.then_some(stepped)
}

/// On an optimizer that is a copy: one that is no `Lookahead` takes a step.
struct Slow {
    optimizer: ModuleOptimizer,
}

impl ModuleMapper for Slow {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        ask(&mut self.optimizer, Request::Slow, &param).unwrap_or(param)
    }
}

struct Sync<'a> {
    slow: Slow,
    optimizer: &'a mut ModuleOptimizer,
}

impl ModuleMapper for Sync<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        // Asked of the copy first, so that no other optimizer takes a step.
        let is_lookahead = ask(&mut self.slow.optimizer, Request::Slow, &param).is_some();
        let synced = is_lookahead.then(|| ask(self.optimizer, Request::Sync, &param));
        synced.flatten().unwrap_or(param)
    }
}
