//! Rules: the inner optimizers. A rule is a small WGSL function and its twin in f64.
//!
//! Each takes the step `w <- w - lr d` along its own direction `d`. `g` is the gradient, `m` and `v` are the
//! running means of `g` and of `g^2`, `^` marks bias correction, and `mu` is the momentum.
//!
//! | rule | formula | slots | bytes | weight decay | follows | source |
//! |---|---|---|---|---|---|---|
//! | [`Sgd`] | `d = g` | none | 12 | L2 | `torch.optim.SGD` | [1951][sgd] |
//! | [`Sgd`] with momentum | `b <- mu b + g; d = b`, Nesterov `d = g + mu b` | `momentum_buffer` | 20 | L2 | `torch.optim.SGD` | [1964][heavy], [1983][nesterov] |
//! | [`Adagrad`] | `s <- s + g^2; d = g / (sqrt(s) + eps)` | `sum` | 20 | L2 | `torch.optim.Adagrad` | [2011][adagrad] |
//! | [`RmsProp`] | `d = g / (sqrt(v) + eps)` | `square_avg` | 20 | L2 | `torch.optim.RMSprop` | [2012][rmsprop] |
//! | [`RmsProp`] centred | `d = g / (sqrt(v - a^2) + eps)` | `square_avg`, `grad_avg` | 28 | L2 | the same | [2013][centred] |
//! | [`RmsProp`] with momentum | `b <- mu b + d` for `d` | one more, `momentum_buffer` | +8 | L2 | the same | [2012][rmsprop] |
//! | [`Adadelta`] | `d = sqrt(a + eps) / sqrt(v + eps) g; a` the mean of `d^2` | `square_avg`, `acc_delta` | 28 | L2 | `torch.optim.Adadelta` | [2012][adadelta] |
//! | [`Adam`] | `d = m^ / (sqrt(v^) + eps)` | `exp_avg`, `exp_avg_sq` | 28 | L2 | `torch.optim.Adam` | [2015][adam] |
//! | [`AdamW`] | Adam's | `exp_avg`, `exp_avg_sq` | 28 | decoupled | `torch.optim.AdamW` | [2019][adamw] |
//! | [`Adam`], [`AdamW`] with `amsgrad` | Adam's with the largest `v` so far | one more, `max_exp_avg_sq` | 36 | theirs | the same, `amsgrad=True` | [2018][amsgrad] |
//! | [`Adamax`] | `u <- max(beta2 u, abs(g) + eps); d = m^ / u` | `exp_avg`, `exp_inf` | 28 | L2 | `torch.optim.Adamax` | [2015][adam] |
//! | [`NAdam`] | Adam's, with Nesterov's momentum in `m^` | `exp_avg`, `exp_avg_sq` | 28 | L2 | `torch.optim.NAdam` | [2016][nadam] |
//! | [`RAdam`] | `d = r_t m^ / (sqrt(v^) + eps)`, first steps `d = m^` | `exp_avg`, `exp_avg_sq` | 28 | L2 | `torch.optim.RAdam` | [2020][radam] |
//! | [`Ranger`] | RAdam's, on centralised gradients | `exp_avg`, `exp_avg_sq` | 28 | decoupled | its authors | [2019][ranger] |
//! | [`AdaBelief`] | `d = m^ / (sqrt(s^) + eps); s` the mean of `(g - m)^2` | `exp_avg`, `exp_avg_var` | 28 | decoupled | `optax.adabelief` | [2020][adabelief] |
//! | [`Lion`] | `d = sign(beta1 m + (1 - beta1) g)` | `exp_avg` | 20 | decoupled | `optax.lion` | [2023][lion] |
//! | [`Lars`] | `b <- mu b + lr trust g; w <- w - b` | `momentum_buffer` | 20 | L2 | `optax.lars` | [2017][lars] |
//! | [`Lamb`] | `d = trust (m^ / (sqrt(v^) + eps) + decay w)` | `exp_avg`, `exp_avg_sq` | 28 | in the direction | `optax.lamb` | [2020][lamb] |
//! | [`AdaFactor`] | `d = scale g / sqrt(r c / mean(r)); r, c` the means of `g^2` by row and by column | none | 12 | decoupled | `optax.adafactor` | [2018][adafactor] |
//! | [`AdaFactor`] with momentum | the mean of `lr d` for `lr d` | `exp_avg` | 20 | decoupled | the same | [2018][adafactor] |
//! | [`Katyusha`] | `z <- z - lr/tau1 g; y <- w - lr g; w <- tau1 z + tau2 phi + (1 - tau1 - tau2) y`, phi the slow weights | `z`, `mean`, `mean_weight` | 40 | L2 | its paper | [2017][katyusha] |
//!
//! Bytes are what a step without a sync moves for each weight: the weight, read and written, its gradient,
//! read, and the slots, read and written. The trust ratios of LARS and LAMB, AdaFactor's sums and the norms of
//! clipping take more.
//!
//! [sgd]: https://doi.org/10.1214/aoms/1177729586
//! [heavy]: https://doi.org/10.1016/0041-5553(64)90137-5
//! [nesterov]: https://www.mathnet.ru/eng/dan46009
//! [adagrad]: https://jmlr.org/papers/v12/duchi11a.html
//! [rmsprop]: https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf
//! [centred]: https://arxiv.org/abs/1308.0850
//! [adadelta]: https://arxiv.org/abs/1212.5701
//! [adam]: https://arxiv.org/abs/1412.6980
//! [adamw]: https://arxiv.org/abs/1711.05101
//! [amsgrad]: https://openreview.net/forum?id=ryQu7f-RZ
//! [nadam]: https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ
//! [radam]: https://arxiv.org/abs/1908.03265
//! [ranger]: https://github.com/lessw2020/Ranger-Deep-Learning-Optimizer
//! [adabelief]: https://arxiv.org/abs/2010.07468
//! [lion]: https://arxiv.org/abs/2302.06675
//! [lars]: https://arxiv.org/abs/1708.03888
//! [lamb]: https://arxiv.org/abs/1904.00962
//! [adafactor]: https://arxiv.org/abs/1804.04235
//! [katyusha]: https://arxiv.org/abs/1603.05953
//!
//! # A rule of one's own
//!
//! Implement [`Rule`]: the WGSL text holds `struct Hyper` (members of type `f32` only, in the order in
//! which [`Rule::hyper`] pushes them; left out where it pushes none) and
//! `fn update(w: vec4f, g: vec4f) -> vec4f`, which sees four weights and their gradients and returns the new
//! weights. Gradient clipping, weight decay, windows, tails and the Lookahead sync are the driver's.
//! `examples/custom_rule` is one such rule, whole. What it may use, besides all of WGSL's own functions:
//!
//! | name | what |
//! |---|---|
//! | `hyper` | the members of `Hyper` |
//! | `control.lr` | the learning rate of the step |
//! | `control.decay` | the weight decay, where it is [`WeightDecay::Direction`], else 0 |
//! | `state[0]`, `state[1]`, ... | the slots, to be read and written, each a `vec4f` |
//! | `trust` | the tensor's trust ratio, in `update` of a rule that has a [`Trust`] |
//! | `la_trusted(v)` | `trust * v`, right where the ratio itself lies below f32's range, too |
//! | `la_anchor` | the slow weights, in a rule that is [anchored](Rule::anchored) |
//! | `la_is_nan(v)` | which of four values are NaN, a `vec4<bool>`; `v != v` may be optimised away |
//! | `la_sign(v)`, `la_min(a, b)`, `la_max(a, b)`, `la_clamp(v, low, high)` | as WGSL's of `vec4f`, but a NaN stays one, as in PyTorch; WGSL leaves open what its own give |
//!
//! Helper functions, constants, types and private variables may have any name but WGSL's own functions' and types',
//! `control`, `hyper`, `state`, `trust`, `outer`, `outer_state`, and all that begin with `la_` (in either case):
//! those are the driver's.
//!
//! # Numbers at the ends of f32's range
//!
//! A gradient that is NaN makes its weight NaN, under every rule and option, unless a [guard](crate::guard) skips the
//! step. Norms, trust ratios and row means are right for finite gradients of any size (of at least 1.2e-38), though their
//! squares would leave f32's range. Second moments are squares that are stored, as in PyTorch and optax: a gradient
//! beyond 1.8e19 makes them infinite for good, and the rules that divide by their root (Adagrad, RMSProp, Adadelta, Adam,
//! AMSGrad, NAdam, RAdam, AdaBelief, LAMB, AdaFactor) then no longer move that weight; one below 1e-19 has a second
//! moment of 0, or nearly, and `eps` decides. Where such gradients are to be expected, clip them by value or norm.

mod entry;
mod rule;
mod settings;

use std::any::Any;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use entry::Listed;
pub use entry::{Entry, Kind};
pub use rule::{Factored, MAX_HYPER, MAX_SLOTS, Rule, SecondMoment, Slot, Step, Trust, WeightDecay};
pub(crate) use rule::{check_learning_rate, maximum, minimum};
pub use settings::Settings;

/// Lists the rules, those that read the slow weights first: the file of each and its types. This line is all that a rule needs besides its two files.
macro_rules! rules {
    (anchored $anchored_file:ident: $anchored:ident; $($file:ident: $($rule:ident),+;)+) => {
        $(mod $file; pub use $file::{$($rule),+};)+
        mod $anchored_file;
        pub use $anchored_file::$anchored;

        /// Every rule of this crate.
        ///
        /// ```
        /// use lookahead_wgpu::rules;
        /// for kind in rules::kinds() {
        ///     println!("{}: {}", kind.name, kind.title); // heavy_ball: SGD with momentum 0.9 (Polyak's heavy ball)
        ///     let rule = kind.rule(kind.learning_rate);
        /// }
        /// ```
        pub static ALL: &[&Entry] = &[$($(&<$rule as Listed>::ENTRY),+),+];

        /// The rules of this crate whose steps read the slow weights, so that they need Lookahead around them.
        pub static ANCHORED: &[&Entry] = &[&<$anchored as Listed>::ENTRY];

        /// The rule of [`ALL`] or [`ANCHORED`] with this name and these settings, by serde: the fields of its type, each of
        /// which may be left out where it has a default.
        ///
        /// ```
        /// # fn main() -> Result<(), serde_json::Error> {
        /// let settings = serde_json::json!({ "lr": 0.01, "betas": [0.9, 0.99] });
        /// let rule = lookahead_wgpu::rules::read("adam", settings)?;
        /// # Ok(())
        /// # }
        /// ```
        ///
        /// # Errors
        ///
        /// The deserializer's, where there is no such rule (it names those that there are), or the rule no such setting,
        /// or a value is not what the setting is. Ranges are checked where an optimizer is built.
        pub fn read<'de, D: Deserializer<'de>>(name: &str, settings: D) -> Result<Box<dyn Rule>, D::Error> {
            $($(if name == <$rule as Listed>::ENTRY.name {
                return Ok(Box::new(<$rule as Deserialize>::deserialize(settings)?));
            })+)+
            if name == <$anchored as Listed>::ENTRY.name {
                return Ok(Box::new(<$anchored as Deserialize>::deserialize(settings)?));
            }
            Err(de::Error::custom(unknown(name)))
        }

        /// The settings of a rule of this crate, of which [`read`] makes the same again; none of a rule of one's own.
        pub fn settings(rule: &dyn Rule) -> Option<Settings> {
            let any: &dyn Any = rule;
            if let Some(boxed) = any.downcast_ref::<Box<dyn Rule>>() {
                return settings(boxed.as_ref());
            }
            $($(if let Some(rule) = any.downcast_ref::<$rule>() {
                return Settings::of(<$rule as Listed>::ENTRY.name, rule);
            })+)+
            if let Some(rule) = any.downcast_ref::<$anchored>() {
                return Settings::of(<$anchored as Listed>::ENTRY.name, rule);
            }
            None
        }
    };
}

rules! {
    anchored
    katyusha: Katyusha;
    sgd: Sgd;
    adagrad: Adagrad;
    rmsprop: RmsProp;
    adadelta: Adadelta;
    adam: Adam, AdamW;
    adamax: Adamax;
    nadam: NAdam;
    radam: RAdam, Ranger;
    adabelief: AdaBelief;
    lion: Lion;
    lars: Lars;
    lamb: Lamb;
    adafactor: AdaFactor;
}

/// The kinds of all rules of [`ALL`]: what differs in its WGSL, its slots or its name.
pub fn kinds() -> impl Iterator<Item = &'static Kind> {
    ALL.iter().flat_map(|entry| entry.kinds)
}

/// The kind of this name.
pub fn kind(name: &str) -> Option<&'static Kind> {
    kinds().find(|kind| kind.name == name)
}

/// Whether the steps of the rule that is called so depend on their count, the first aside. One of one's own counts as if
/// they did.
pub(crate) fn asks_count(rule: &str) -> bool {
    let has = |entry: &&&Entry| entry.kinds.iter().any(|kind| kind.name == rule);
    ALL.iter().chain(ANCHORED).find(has).is_none_or(|entry| entry.asks_count)
}

fn unknown(name: &str) -> String {
    let names: Vec<_> = ALL.iter().chain(ANCHORED).map(|entry| format!("`{}`", entry.name)).collect();
    format!("there is no rule `{name}`; there are: {}", names.join(", "))
}

/// As [`settings`] has it. A rule of one's own cannot be serialised.
impl Serialize for dyn Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(settings) = settings(self) else {
            let name = self.name();
            return Err(ser::Error::custom(format!("the rule `{name}` has no settings to be serialised")));
        };
        settings.serialize(serializer)
    }
}

/// The settings with the name among them: `{ "name": "adam", "lr": 0.01 }`.
impl<'de> Deserialize<'de> for Box<dyn Rule> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let settings = Settings::deserialize(deserializer)?;
        read(&settings.name, settings.fields).map_err(de::Error::custom)
    }
}
