//! Transformations of the gradient, between the buffers in which it lies and the rule: one after the other, on the GPU, in
//! registers. The gradient buffers themselves are left as they are.
//!
//! | transformation | formula | source |
//! |---|---|---|
//! | [`Centralise`] | `g <- g - mean of g's row` | gradient centralisation (Yong et al., 2020), `optax.centralize` |
//! | (always) | `g <- g / micro-batches / loss scale`, its negative to maximise | `torch.amp.GradScaler` |
//! | [`Clip`] | `g <- clamp(g)`, or `g min(1, bound / (norm + 1e-6))` | `torch.nn.utils.clip_grad_value_`, `clip_grad_norm_` |
//! | [`GradientNoise`] | `g <- g + N(0, eta / (1 + t)^gamma)` | Neelakantan et al., 2015, `optax.add_noise` |
//!
//! They stand in this order: [centralisation](crate::Builder::centralise), unscaling, [clipping](crate::Builder::clip), then
//! those of [`Builder::transform`](crate::Builder::transform) in the order in which they were given, [`Centralise`] and
//! [`Clip`] among them where they are to stand elsewhere. Weight decay comes after all of them. With micro-batches the sum of
//! their gradients is transformed. An [adaptive alpha](crate::alpha) sees the gradient unscaled, and no more.
//!
//! ```
//! use lookahead_wgpu::{Clip, Optimizer, rules::Adam, transform::GradientNoise};
//! # fn main() -> Result<(), lookahead_wgpu::Error> {
//! let builder = Optimizer::builder(Adam::default())
//!     .clip(Clip::GlobalNorm(1.0))
//!     .transform(GradientNoise::new(0.01)); // after clipping, as its paper has it
//! # builder.tensor("w", &[4]).plan(&Default::default())?;
//! # Ok(())
//! # }
//! ```
//!
//! One of one's own is another implementation of [`Transform`]: `examples/custom_transform`.

mod centralise;
pub(crate) mod contract;
mod noise;
mod unscale;

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};
use serde_json::Value;

use super::clip::Clip;
use crate::error::{Error, list};

pub(crate) use unscale::Unscale;
pub use {
    centralise::Centralise,
    contract::{Context, MAX_TRANSFORMS, Reduced, Transform},
    noise::GradientNoise,
};

/// A transformation of this crate as serde has it: `"centralise"`, `{ "clip": { "value": 0.5 } }`,
/// `{ "gradient_noise": { "eta": 0.01 } }`.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Settings {
    Centralise,
    Clip(Clip),
    GradientNoise(GradientNoise),
}

impl From<Settings> for Arc<dyn Transform> {
    fn from(settings: Settings) -> Self {
        match settings {
            Settings::Centralise => Arc::new(Centralise),
            Settings::Clip(clip) => Arc::new(clip),
            Settings::GradientNoise(noise) => Arc::new(noise),
        }
    }
}

pub(crate) fn serialize<S: Serializer>(
    transforms: &[Arc<dyn Transform>],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let settings = |transform: &Arc<dyn Transform>| {
        transform.settings().ok_or_else(|| {
            let name = transform.name();
            ser::Error::custom(format!("the transformation `{name}` has no settings to be serialised"))
        })
    };
    let all: Vec<Value> = transforms.iter().map(settings).collect::<Result<_, _>>()?;
    all.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Arc<dyn Transform>>, D::Error> {
    Ok(Vec::<Settings>::deserialize(deserializer)?.into_iter().map(Arc::from).collect())
}

/// Refuses a list that is too long, or has a transformation that cannot be used.
pub(crate) fn check(transforms: &[Arc<dyn Transform>]) -> Result<(), Error> {
    if let Some(beyond) = transforms.get(MAX_TRANSFORMS) {
        let (count, names) = (transforms.len(), list(transforms.iter().map(|transform| transform.name())));
        let problem =
            format!("is one too many: {count} were given ({names}), and {MAX_TRANSFORMS} is the most");
        return Err(Error::Transform { name: beyond.name().to_owned(), problem });
    }
    transforms.iter().try_for_each(|transform| transform.check())
}
