//! What there is of something for each access, and the bind group layouts that kernels over the weights share.

use super::program::{BindGroupLayout, Id, Kernel, Program};
use crate::kernels::{Access, Recipe, Source};

/// One for each access of a plan: the owned one, or those of borrowed tensors.
#[derive(Debug, Clone)]
pub(crate) struct ByAccess<T>(Vec<(Access, T)>);

impl<T> ByAccess<T> {
    /// What `make` gives for each.
    pub fn new(accesses: &[Access], mut make: impl FnMut(Access) -> T) -> Self {
        Self(accesses.iter().map(|&access| (access, make(access))).collect())
    }

    /// That of an access of the plan.
    pub fn get(&self, access: Access) -> Option<&T> {
        self.0.iter().find(|(other, _)| *other == access).map(|(_, found)| found)
    }

    /// The accesses of the plan.
    pub fn accesses(&self) -> impl Iterator<Item = Access> {
        self.0.iter().map(|(access, _)| *access)
    }
}

/// The layouts of groups 0 to 2 of every kernel over the weights.
#[derive(Debug)]
pub(crate) struct SharedLayouts {
    /// What a dispatch is told.
    pub control: Id<BindGroupLayout>,
    /// Weights and gradients.
    pub access: ByAccess<Id<BindGroupLayout>>,
    /// What is the optimizer's own, by group.
    pub own: Vec<Id<BindGroupLayout>>,
}

impl SharedLayouts {
    /// A kernel of each group, for each access, where there is a source; `last` is the layout of bind group 3.
    pub fn kernels(
        &self,
        program: &mut Program,
        recipes: &[Recipe<'_>],
        last: Option<Id<BindGroupLayout>>,
        source: impl Fn(&Recipe<'_>) -> Option<Source>,
    ) -> Vec<Option<ByAccess<Id<Kernel>>>> {
        let mut of_group = |recipe: &Recipe<'_>, own: Id<BindGroupLayout>| {
            let mut all = Vec::new();
            for &(access, layout) in &self.access.0 {
                let recipe = Recipe { access, ..*recipe };
                let mut layouts = vec![Some(self.control), Some(layout), Some(own)];
                layouts.extend(last.map(Some));
                all.push((access, program.kernel(recipe.rule.name(), &source(&recipe)?, &layouts)));
            }
            Some(ByAccess(all))
        };
        recipes.iter().zip(&self.own).map(|(recipe, own)| of_group(recipe, *own)).collect()
    }
}
