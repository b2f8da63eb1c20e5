//! The words that kernels are told, as one table: Rust's structs and constants, and what of WGSL says the same.
//!
//! A slot of the control ring is two blocks: [`Control`] with the guard's [`GuardControl`] behind it, and the rule's `Hyper`.
//! Each field stands here once, with what it is; a field that WGSL would lay out elsewhere does not compile.

use std::{fmt::Write, mem::offset_of, sync::LazyLock};

use bytemuck::{Pod, Zeroable};

use crate::{
    config::transform::MAX_TRANSFORMS,
    rules::{MAX_HYPER, MAX_SLOTS},
};

/// Bytes of a block of a slot: the largest uniform offset alignment of WebGPU.
pub(crate) const UNIFORM_BLOCK: usize = 256;

/// Bytes of a slot.
pub(crate) const SLOT: usize = 2 * UNIFORM_BLOCK;

/// Pushes a slot of these words to `out`.
pub(crate) fn push_slot(control: &Control, hyper: &[f32], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(bytemuck::bytes_of(control));
    out.resize(start + UNIFORM_BLOCK, 0);
    out.extend_from_slice(bytemuck::cast_slice(hyper));
    out.resize(start + UNIFORM_BLOCK + 4 * MAX_HYPER, 0);
}

/// A field's type on both sides.
trait Word {
    /// Its name in WGSL; empty where the struct ends before, or the bytes are only there to be skipped.
    const WGSL: &'static str;
    const ALIGN: usize;
}

impl Word for u32 {
    const WGSL: &'static str = "u32";
    const ALIGN: usize = 4;
}

impl Word for f32 {
    const WGSL: &'static str = "f32";
    const ALIGN: usize = 4;
}

impl Word for [f32; 2] {
    const WGSL: &'static str = "vec2f";
    const ALIGN: usize = 8;
}

impl Word for [f32; 4] {
    const WGSL: &'static str = "vec4f";
    const ALIGN: usize = 16;
}

/// A value for each state slot.
impl Word for [f32; MAX_SLOTS] {
    const WGSL: &'static str = "array<vec4f, 2>";
    const ALIGN: usize = 16;
}

impl Word for [u32; 2] {
    const WGSL: &'static str = "";
    const ALIGN: usize = 4;
}

impl Word for [u32; 1] {
    const WGSL: &'static str = "";
    const ALIGN: usize = 4;
}

impl Word for GuardControl {
    const WGSL: &'static str = "array<vec4u, 4>";
    const ALIGN: usize = 16;
}

/// Four values for each transformation of the gradient.
impl Word for [[f32; 4]; MAX_TRANSFORMS] {
    const WGSL: &'static str = "array<vec4f, 4>";
    const ALIGN: usize = 16;
}

/// A field of a struct.
#[derive(Debug, Clone, Copy)]
struct Member {
    name: &'static str,
    /// In WGSL, or empty.
    ty: &'static str,
    align: usize,
    size: usize,
    /// In Rust, in bytes.
    offset: usize,
    about: &'static str,
}

/// A constant of WGSL's.
#[derive(Debug, Clone, Copy)]
struct Constant {
    name: &'static str,
    value: u32,
    about: &'static str,
}

/// Declares a struct, and the table of its fields.
macro_rules! words {
    ($(#[$of:meta])* $struct:ident { $(#[doc = $about:literal] $name:ident: $ty:ty,)+ }) => {
        $(#[$of])*
        #[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
        #[repr(C)]
        pub(crate) struct $struct {
            $(#[doc = $about] pub $name: $ty,)+
        }

        impl $struct {
            const MEMBERS: &[Member] = &[$(Member {
                name: stringify!($name),
                ty: <$ty as Word>::WGSL,
                align: <$ty as Word>::ALIGN,
                size: size_of::<$ty>(),
                offset: offset_of!($struct, $name),
                about: $about,
            },)+];
        }
    };
}

/// Declares constants in a module, and their table.
macro_rules! numbers {
    ($(#[$of:meta])* $module:ident: $ty:ty { $(#[doc = $about:literal] $name:ident = $value:expr,)+ }) => {
        $(#[$of])*
        pub(crate) mod $module {
            $(#[doc = $about] #[allow(dead_code)] pub const $name: $ty = $value;)+

            pub(super) const TABLE: &[super::Constant] = &[$(super::Constant {
                name: stringify!($name),
                value: $name as u32,
                about: $about,
            },)+];
        }
    };
}

words! {
    /// What every dispatch of a step is told.
    Control {
        /// what to do: the bits of `flags`
        flags: u32,
        /// the learning rate of the step
        lr: f32,
        /// 1 - alpha: how far the fast weights go back towards the slow ones at a sync
        one_minus_alpha: f32,
        /// bound of each gradient value, where clipping is by value
        clip: f32,
        /// weight decay added to the gradient
        l2: f32,
        /// lr * decoupled weight decay
        shrink: f32,
        /// weight decay that is the rule's own to apply
        decay: f32,
        /// on the gradient: 1 / micro-batches / loss scale
        gradient_scale: f32,
        /// the outer step's coefficients
        outer: [f32; 4],
        /// what the weights weigh in the average
        average_weight: f32,
        /// the number of the step, for random bits
        step: u32,
        /// the empirical Fisher: how much stays, and what a squared gradient weighs
        fisher: [f32; 2],
        /// the curvature: 1 / bias correction, and eps
        curvature: [f32; 2],
        /// of a round of several: the number of the task that ends, from 1; 0: none is under way
        task: u32,
        /// up to the next multiple of 16 bytes
        padding: [u32; 1],
        /// the state slots' initial values
        initial: [f32; MAX_SLOTS],
        /// read by the guard alone
        guard: GuardControl,
        /// the coefficients of the listed transformations
        transforms: [[f32; 4]; MAX_TRANSFORMS],
    }
}

words! {
    /// What a guard is told besides, for one group: the rest of the block.
    GuardControl {
        /// the bits of `kind`
        kind: u32,
        /// the group's number
        group: u32,
        /// k of a cycle that begins now
        k: u32,
        /// the schedule's at the step
        factor: f32,
        /// decoupled weight decay
        decoupled: f32,
        /// the step, counted as if none were skipped
        steps: u32,
        /// the inner step that `hyper` and the curvature are for
        count: u32,
        /// how many members `Hyper` has
        hypers: u32,
        /// how many results of the norm say whether gradients are finite
        results: u32,
        /// what multiplies the loss scale after `interval` finite steps
        growth: f32,
        /// and after one that was not
        backoff: f32,
        /// finite steps in a row that raise the loss scale
        interval: u32,
        /// where the group's tables start, in words
        table: u32,
        /// tasks of a round, where there are several
        tasks: u32,
        /// iterates of a cycle that Anderson acceleration combines
        columns: u32,
        /// steps from one of them to the next
        stride: u32,
    }
}

numbers! {
    /// Bits of [`Control::flags`].
    flags: u32 {
        /// take an inner step
        UPDATE = 1,
        /// then pull fast weights back and store them as the slow ones
        SYNC = 2,
        /// the slow weights start as the fast weights before this step
        INIT = 4,
        /// take the weights into the average
        AVERAGE = 8,
        /// only add the gradient to the accumulated one
        ACCUMULATE = 16,
        /// which starts at zero
        FRESH = 32,
        /// the sync has no gradient: take the fixed alpha
        FIXED = 64,
        /// the gradient is the accumulated one alone
        ACCUMULATED = 128,
    }
}

numbers! {
    /// More of [`Control::flags`], of kernels that keep iterates for Anderson acceleration.
    iterate: u32 {
        /// the weights before the step are an iterate that counts
        KEEP = 65536,
        /// which plane takes it: so many bits up
        PLANE = 24,
    }
}

/// A bit of [`Control::flags`] that is never set, which no compiler knows.
pub(crate) const NEVER: u32 = 1 << 31;

/// All flags but the number of an iterate's plane.
pub(crate) fn without_plane(flags: u32) -> u32 {
    flags & ((1 << iterate::PLANE) - 1)
}

numbers! {
    /// Bits of [`Control::flags`] that only rounds of several tasks have, and only their kernels know.
    tasks: u32 {
        /// a task ends, and not its round: only take the weights into the mean, and return to the slow ones
        TASK = 256,
    }
}

/// Fields that only kernels of rounds of several tasks know.
const OF_TASKS: [&str; 2] = ["task", "tasks"];

/// Fields that only guards with Anderson acceleration know.
const OF_ANDERSON: [&str; 2] = ["columns", "stride"];

numbers! {
    /// Bits of [`GuardControl::kind`].
    kind: u32 {
        /// the group takes inner steps
        UPDATES = 1,
        /// it has Lookahead
        LOOKAHEAD = 2,
        /// with an adaptive alpha: a sync has a dispatch of its own
        ADAPTIVE = 4,
        /// the gradient of the adaptive alpha is taken at theta_k
        SYNCHRONISED = 8,
        /// a sync begins the count again
        RESETS = 16,
        /// the last group
        LAST = 32,
        /// no step, but a sync
        SYNC_NOW = 64,
        /// no step, but the slow weights and the average start, or start again
        START = 128,
        /// no step, but the slow weights start again
        INIT_SYNCED = 256,
    }
}

numbers! {
    /// Words of the guard's state.
    guard_state: usize {
        /// steps taken
        STEPS = 0,
        /// steps skipped
        SKIPPED = 1,
        /// finite steps in a row since the loss scale changed
        TRACKER = 2,
        /// 1 / loss scale
        UNSCALE = 4,
        /// steps taken when the average was begun
        AVERAGE_START = 5,
        /// steps skipped until then
        AVERAGE_SKIPPED = 6,
        /// the loss scale: byte 256, so that it can be bound
        SCALE = 64,
        /// where the groups begin
        GROUPS = 128,
    }
}

numbers! {
    /// Words of a group in the guard's state.
    group: usize {
        /// inner steps since the state was initialised
        COUNT = 0,
        /// steps since the last sync
        POSITION = 1,
        /// k of this cycle
        CYCLE_K = 2,
        /// 1 - alpha of this cycle
        CYCLE_ONE_MINUS_ALPHA = 3,
        /// iterates of this cycle that were kept, of which none is missing before
        KEPT = 4,
        /// how many they are
        WORDS = 5,
    }
}

numbers! {
    /// Words of a row of the guard's tables: of a step's, and of a count's.
    row: usize {
        /// the step's number + 1; 0 where it has not been told
        STEP = 0,
        /// the schedule's factor
        FACTOR = 1,
        /// what the weights weigh in the average; negative: none
        AVERAGE_WEIGHT = 2,
        /// how many words a step's row has
        STEP_WORDS = 3,
        /// the count
        COUNT = 0,
        /// 1 / bias correction of the curvature
        CURVATURE = 1,
        /// the members of `Hyper`: so many words go before them
        HYPER = 2,
    }
}

/// Rows of each table: how many steps can be skipped in all before no more are taken.
pub(crate) const ROWS: u64 = 4096;

/// Whether WGSL lays a struct out as Rust does.
const fn agree(members: &[Member]) -> bool {
    let (mut at, mut index) = (0_usize, 0);
    while index < members.len() {
        let Member { ty, align, size, offset, .. } = members[index];
        if !ty.is_empty() {
            at = at.next_multiple_of(align);
            if at != offset {
                return false;
            }
            at += size;
        }
        index += 1;
    }
    true
}

const _: () = assert!(agree(Control::MEMBERS) && agree(GuardControl::MEMBERS));
const _: () = assert!(size_of::<Control>() <= UNIFORM_BLOCK && 4 * MAX_HYPER <= UNIFORM_BLOCK);
const _: () = assert!(
    size_of::<GuardControl>() == 4 * 16 && MAX_TRANSFORMS == 4 && offset_of!(Control, guard) == 28 * 4
);
// An array of vec4f has no gap; a slot lies in whole words.
const _: () = assert!(MAX_SLOTS == 2 * 4 && SLOT.is_multiple_of(4) && 4 * guard_state::SCALE == 256);

/// `struct La_Control` and its flags, as the preprocessor takes them.
pub(crate) static CONTROL_WGSL: LazyLock<String> = LazyLock::new(|| {
    let mut text = "// What every dispatch of a step is told.\nstruct La_Control {\n".to_owned();
    for Member { name, ty, about, .. } in Control::MEMBERS.iter().filter(|member| !member.ty.is_empty()) {
        // What comes from here on few kernels read.
        text += if *name == "guard" { "#if transforms\n" } else { "" };
        let line = format!("    {:27} // {}\n", format!("{name}: {ty},"), about.trim());
        text += &if OF_TASKS.contains(name) { only("tasks", &line) } else { line };
    }
    text + "#end\n}\n"
        + &constants("// Bits of its flags.", "LA_", flags::TABLE)
        + &only("tasks", &constants("// Of rounds of several tasks.", "LA_", tasks::TABLE))
});

/// The guard's words: flags, controls, state and tables.
pub(crate) static GUARD_WGSL: LazyLock<String> = LazyLock::new(|| {
    let words = |members: &[Member], start: usize, of: &[&str]| -> Vec<Constant> {
        let named = members.iter().filter(|member| member.name != "padding" && member.name != "guard");
        let special = |name| OF_TASKS.contains(name) || OF_ANDERSON.contains(name);
        named
            .filter(|member| if of.is_empty() { !special(&member.name) } else { of.contains(&member.name) })
            .map(|member| Constant {
                name: member.name,
                value: ((start + member.offset) / 4) as u32,
                about: member.about,
            })
            .collect()
    };
    let guard = offset_of!(Control, guard);
    let slot = [
        Constant { name: "SLOT_WORDS", value: (SLOT / 4) as u32, about: "from a slot to the next" },
        Constant {
            name: "HYPER_AT",
            value: (UNIFORM_BLOCK / 4) as u32,
            about: "where `Hyper` begins in one",
        },
        Constant { name: "ROWS", value: ROWS as u32, about: "of a table" },
    ];
    [
        constants("// Slots of the control ring, and tables.", "LA_", &slot),
        constants("// Words of a slot: of the control block,", "LA_AT_", &words(Control::MEMBERS, 0, &[])),
        constants(
            "// and of what the guard alone reads.",
            "LA_AT_",
            &words(GuardControl::MEMBERS, guard, &[]),
        ),
        constants("// Bits of LA_AT_KIND.", "LA_", kind::TABLE),
        constants("// Bits of LA_AT_FLAGS.", "LA_", flags::TABLE),
        constants("// Words of the state,", "LA_GUARD_", guard_state::TABLE),
        constants("// and of a group in it.", "LA_GROUP_", group::TABLE),
        constants("// Words of the tables' rows: of a step, and of a count.", "LA_ROW_", row::TABLE),
        only(
            "tasks",
            &[
                constants("// Of rounds of several tasks.", "LA_", tasks::TABLE),
                constants("// Words of a slot.", "LA_AT_", &words(Control::MEMBERS, 0, &OF_TASKS)),
                constants(
                    "// And of the guard's part.",
                    "LA_AT_",
                    &words(GuardControl::MEMBERS, guard, &OF_TASKS),
                ),
            ]
            .concat(),
        ),
        only(
            "anderson",
            &[
                constants("// More bits of LA_AT_FLAGS, for Anderson acceleration.", "LA_", iterate::TABLE),
                constants(
                    "// Words of a slot.",
                    "LA_AT_",
                    &words(GuardControl::MEMBERS, guard, &OF_ANDERSON),
                ),
            ]
            .concat(),
        ),
    ]
    .join("")
    .trim_start()
    .to_owned()
});

/// What only kernels with this flag have, as the preprocessor takes it.
fn only(flag: &str, text: &str) -> String {
    format!("#if {flag}\n{text}#end\n")
}

fn constants(title: &str, prefix: &str, table: &[Constant]) -> String {
    let mut text = format!("\n{title}\n");
    for Constant { name, value, about } in table {
        let name = format!("const {prefix}{} = {value}u;", name.to_ascii_uppercase());
        let _ = writeln!(text, "{name:33} // {}", about.trim());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With all that a kernel may have.
    fn without_directives(text: &str) -> String {
        text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
    }

    /// naga lays the struct out as Rust does.
    #[test]
    fn offsets_are_those_of_wgsl() {
        let whole = without_directives(&CONTROL_WGSL);
        let text = format!("{whole}\n@group(0) @binding(0) var<uniform> control: La_Control;");
        let module = naga::front::wgsl::parse_str(&text).unwrap();
        let (_, found) =
            module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("La_Control")).unwrap();
        let naga::TypeInner::Struct { members, span } = &found.inner else { panic!("{found:?}") };
        let due: Vec<_> = Control::MEMBERS.iter().filter(|member| !member.ty.is_empty()).collect();
        assert_eq!(members.len(), due.len());
        for (member, due) in members.iter().zip(due) {
            assert_eq!(member.name.as_deref(), Some(due.name));
            assert_eq!(member.offset as usize, due.offset, "{}", due.name);
            let size = module.types[member.ty].inner.size(module.to_ctx());
            assert_eq!(size as usize, due.size, "{}", due.name);
        }
        assert_eq!(*span as usize, size_of::<Control>());
    }

    /// Each word has one name, and bits do not overlap.
    #[test]
    fn words_and_bits_are_told_apart() {
        let module = naga::front::wgsl::parse_str(&without_directives(&GUARD_WGSL)).unwrap();
        let value = |name: &str| {
            let (_, constant) =
                module.constants.iter().find(|(_, constant)| constant.name.as_deref() == Some(name)).unwrap();
            match module.global_expressions[constant.init] {
                naga::Expression::Literal(naga::Literal::U32(value)) => value,
                ref other => panic!("{name}: {other:?}"),
            }
        };
        let mut words = std::collections::BTreeSet::new();
        for member in Control::MEMBERS.iter().chain(GuardControl::MEMBERS) {
            if member.name != "padding" && member.name != "guard" {
                assert!(
                    words.insert(value(&format!("LA_AT_{}", member.name.to_ascii_uppercase()))),
                    "{}",
                    member.name
                );
            }
        }
        assert_eq!((value("LA_AT_KIND"), value("LA_AT_TABLE"), value("LA_SLOT_WORDS")), (28, 40, 128));
        for table in [[flags::TABLE, tasks::TABLE].concat(), kind::TABLE.to_vec()] {
            let bits: Vec<u32> = table.iter().map(|bit| bit.value).collect();
            assert!(bits.iter().all(|bit| bit.count_ones() == 1), "{bits:?}");
            assert_eq!(bits.iter().sum::<u32>(), bits.iter().fold(0, |all, bit| all | bit), "{bits:?}");
        }
    }
}
