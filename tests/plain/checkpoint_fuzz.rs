//! No bytes make reading panic, or take more memory than their own number justifies.
//!
//! 100 000 inputs by default; `LOOKAHEAD_FUZZ=1000000 cargo test --test plain checkpoint_fuzz` reads a million.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use lookahead_wgpu::{
    CycleSnapshot, GroupSnapshot, Optimizer, Schedule, Snapshot, StatePolicy, TensorSnapshot, rules::Sgd,
    wgpu,
};
use rand::{Rng, RngExt, SeedableRng, rngs::SmallRng};

/// The system's allocator, which counts what each thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // Threads that end free what they hold after their counters are gone.
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(held.get())));
    });
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    // The one of the trait allocates anew and copies, so that old and new are both counted, as the worst case is.
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `call` held at once.
fn peak<T>(call: impl FnOnce() -> T) -> (usize, T) {
    let before = HELD.get();
    PEAK.set(before);
    let result = call();
    ((PEAK.get() - before) as usize, result)
}

/// Bytes that reading may hold for each byte of the input (the worst is a list of short numbers, `0,` for eight
/// bytes in a growing vector), and bytes that it may hold for none.
const PER_BYTE: usize = 16;
const FOR_NONE: usize = 8 << 10;

fn snapshot() -> Snapshot {
    let group = |name: &str, rule: &str| GroupSnapshot {
        name: name.to_owned(),
        rule: rule.to_owned(),
        policy: Some(StatePolicy::Interpolate),
        count: 7,
        position: 2,
        initialised: true,
        learning_rate: 0.1,
        learning_rate_factor: 1.0,
        k: Some(5),
        alpha: Some(0.5),
        tasks: 3,
        frozen: Some(false),
        weight_decay: Some(0.01),
        hyperparameters: vec![("eps".to_owned(), 1e-8)],
        cycle: Some(CycleSnapshot { k: 3, one_minus_alpha: 0.5 }),
    };
    let tensor = |name: &str, group: &str, shape: &[usize], fields: &[&str]| TensorSnapshot {
        name: name.to_owned(),
        group: group.to_owned(),
        shape: shape.to_vec(),
        fields: fields.iter().map(|field| (field.to_string(), vec![0.5; shape.iter().product()])).collect(),
    };
    Snapshot {
        steps: 7,
        skipped: 0,
        loss_scale: 1.0,
        loss_unscale: 1.0,
        since_rescaled: 0,
        accumulated: 0,
        average_start: 3,
        outer: "interpolation".to_owned(),
        loss_scaling: Some(false),
        schedule: Some(Schedule::steps([(30, 0.1)])),
        groups: vec![group("default", "adam"), group("head", "sgd")],
        tensors: vec![
            tensor("w", "default", &[2, 3], &["weights", "slow_weights", "state.exp_avg"]),
            tensor("v", "head", &[2], &["weights", "slow_weights", "state.momentum_buffer"]),
        ],
    }
}

/// Every way in which bytes are read.
struct Readers {
    snapshot: Snapshot,
    optimizer: Optimizer,
}

impl Readers {
    fn new() -> Self {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let builder = Optimizer::builder(Sgd::new(0.1)).tensor("w", &[2, 3]).tensor("v", &[2]);
        Self { snapshot: snapshot(), optimizer: builder.build_blocking(&device, &queue).unwrap() }
    }

    /// Reads bytes; how many of the readers took them.
    fn read(&mut self, bytes: &[u8]) -> usize {
        let allowed = PER_BYTE * bytes.len() + FOR_NONE;
        let (checkpoint, outcome) = peak(|| Snapshot::from_bytes(bytes).map_err(|error| error.to_string()));
        let whole = outcome.is_ok();
        if let Ok(snapshot) = outcome {
            assert_eq!(snapshot.to_bytes().map(|bytes| Snapshot::from_bytes(&bytes).is_ok()), Ok(true));
        }
        let mut other = self.snapshot.clone();
        let (torch, outcome) = peak(|| other.import_torch(bytes).map_err(|error| error.to_string()));
        let (weights, uploaded) =
            peak(|| self.optimizer.import_weights(bytes).map_err(|error| error.to_string()));
        // wgpu takes memory of its own for what is written.
        let weights = if uploaded.is_ok() { 0 } else { weights };
        for (reader, peak) in
            [("from_bytes", checkpoint), ("import_torch", torch), ("import_weights", weights)]
        {
            assert!(peak <= allowed, "{reader} held {peak} bytes for {}: {:?}", bytes.len(), text(bytes));
        }
        usize::from(whole) + usize::from(outcome.is_ok()) + usize::from(uploaded.is_ok())
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned()
}

fn with_header(header: &[u8], data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header, data].concat()
}

/// Files that are right: a checkpoint, PyTorch's state, weights.
fn seeds() -> Vec<Vec<u8>> {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let builder = Optimizer::builder(Sgd::new(0.1)).tensor("w", &[2, 3]).tensor("v", &[2]);
    let optimizer = builder.build_blocking(&device, &queue).unwrap();
    vec![
        snapshot().to_bytes().unwrap(),
        snapshot().to_torch().unwrap(),
        optimizer.export_weights_blocking(lookahead_wgpu::Field::Weights).unwrap(),
    ]
}

/// What JSON and this format have to offer that is hostile.
const PIECES: [&str; 32] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "null",
    "-1",
    "1.5",
    "1e400",
    "18446744073709551616",
    "1152921504606846976",
    "0",
    "[[[[[[[[[[[[[[[[",
    "\"__metadata__\":{}",
    "\"w\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}",
    "\"dtype\":\"F64\"",
    "\"dtype\":\"F4\"",
    "\"shape\":[4294967296,4294967296]",
    "\"shape\":[0]",
    "\"data_offsets\":[0,1152921504606846976]",
    "\"data_offsets\":[8,0]",
    "\"data_offsets\":[0,4,8]",
    "\\u0000",
    "\\ud800",
    "\"lookahead-wgpu\":\"{}\"",
    "\\\"version\\\":1",
    "\\\"shape\\\":[9,9]",
    "\\\"NaN 7ff\\\"",
    "0,0,0,0,0,0",
    "\u{1F980}",
];

/// One input.
fn input(rng: &mut SmallRng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let seed = &seeds[rng.random_range(0..seeds.len())];
    let header = u64::from_le_bytes(seed[..8].try_into().unwrap()) as usize;
    match rng.random_range(0..8) {
        // Bits.
        0 => {
            let mut bytes = seed.clone();
            for _ in 0..rng.random_range(1..6) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] ^= 1 << rng.random_range(0..8);
            }
            bytes
        }
        // The end.
        1 => {
            let mut bytes = seed[..rng.random_range(0..seed.len())].to_vec();
            if rng.random() {
                bytes.resize(seed.len(), 0);
            }
            bytes
        }
        // Random bytes, and random bytes after a length that fits.
        2 => {
            let mut bytes = vec![0; rng.random_range(0..200)];
            rng.fill_bytes(&mut bytes);
            if rng.random() { bytes } else { with_header(&bytes, &seed[8 + header..]) }
        }
        // Another length.
        3 => {
            let mut bytes = seed.clone();
            let lengths = [0, 1, bytes.len() as u64 - 8, bytes.len() as u64, 100_000_001, 1 << 60, u64::MAX];
            let length = lengths[rng.random_range(0..lengths.len())].wrapping_add(rng.random_range(0..3));
            bytes[..8].copy_from_slice(&length.to_le_bytes());
            bytes
        }
        // A header made of pieces.
        4 => {
            let mut text = String::from("{");
            for _ in 0..rng.random_range(1..30) {
                text.push_str(PIECES[rng.random_range(0..PIECES.len())]);
            }
            with_header(text.as_bytes(), &seed[8 + header..])
        }
        // Digits of a right header replaced, so that it stays JSON.
        5 => {
            let mut text = seed[8..8 + header].to_vec();
            let digits: Vec<usize> = (0..header).filter(|at| text[*at].is_ascii_digit()).collect();
            for _ in 0..rng.random_range(1..4) {
                text[digits[rng.random_range(0..digits.len())]] = b"0123456789-.e,"[rng.random_range(0..14)];
            }
            with_header(&text, &seed[8 + header..])
        }
        // A piece put into a right header, or a part of it doubled or taken out.
        6 => {
            let mut text = seed[8..8 + header].to_vec();
            let (a, b) = (rng.random_range(0..header), rng.random_range(0..header));
            let (a, b) = (a.min(b), a.max(b));
            let piece = match rng.random_range(0..3) {
                0 => PIECES[rng.random_range(0..PIECES.len())].as_bytes().to_vec(),
                1 => text[a..b].repeat(2),
                _ => vec![],
            };
            let end = if rng.random() { a } else { b };
            text.splice(a..end, piece);
            with_header(&text, &seed[8 + header..])
        }
        // The right header over other values.
        _ => {
            let mut data = seed[8 + header..].to_vec();
            rng.fill_bytes(&mut data);
            with_header(&seed[8..8 + header], &data)
        }
    }
}

#[test]
fn no_bytes_make_reading_panic_or_hoard() {
    let total: u64 = std::env::var("LOOKAHEAD_FUZZ").map_or(100_000, |text| text.parse().unwrap());
    let threads = std::thread::available_parallelism().map_or(2, |threads| threads.get() as u64);
    let start = std::time::Instant::now();
    let taken: usize = std::thread::scope(|scope| {
        let run = |thread: u64| {
            move || {
                let (mut readers, seeds) = (Readers::new(), seeds());
                assert!(
                    seeds.iter().all(|seed| readers.read(seed) == 1),
                    "what is right is taken, by its reader"
                );
                let mut rng = SmallRng::seed_from_u64(thread);
                let share = total / threads + u64::from(thread < total % threads);
                let mut taken = 0;
                for _ in 0..share {
                    let bytes = input(&mut rng, &seeds);
                    let outcome =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| readers.read(&bytes)));
                    taken += outcome.unwrap_or_else(|_| panic!("for {:02x?}, {}", bytes, text(&bytes)));
                }
                taken
            }
        };
        let all: Vec<_> = (0..threads).map(|thread| scope.spawn(run(thread))).collect();
        all.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    println!("{total} inputs in {:.1} s, {taken} taken", start.elapsed().as_secs_f64());
    assert!(taken > 0 && (taken as u64) < total / 2, "most inputs are wrong, and not all: {taken}");
}

/// Headers that are large for what they say.
#[test]
fn large_headers_take_a_small_multiple_of_their_own_size() {
    let mut readers = Readers::new();
    let many = |piece: &str, count: usize| piece.repeat(count);
    let entry = |index: usize| {
        format!(r#""{index}":{{"dtype":"U8","shape":[],"data_offsets":[{index},{}]}}"#, index + 1)
    };
    let entries: Vec<String> = (0..2000).map(entry).collect();
    let describe = |text: &str| {
        let text = serde_json::to_string(text).unwrap();
        format!(r#"{{"__metadata__":{{"lookahead-wgpu":{text}}}}}"#)
    };
    let head = r#""format":"checkpoint","version":1,"crc32":0,"steps":0,"skipped":0,"loss_scale":"1","loss_unscale":"1","since_rescaled":0,"accumulated":0,"outer":"","groups":[]"#;
    let bare = r#"{"name":"","group":"","shape":[],"fields":[]}"#;
    for (header, data) in [
        (format!(r#"{{"w":{{"dtype":"F32","shape":[0{}],"data_offsets":[0,0]}}}}"#, many(",0", 33_000)), 0),
        (format!(r#"{{"w":{{"dtype":"F32","shape":{}"#, many("[", 66_000)), 0),
        (format!(r#"{{"w":{}"#, many("{\"a\":", 20_000)), 0),
        (
            format!(
                r#"{{"w":{{"more":[0{}],"dtype":"F32","shape":[],"data_offsets":[0,4]}}}}"#,
                many(",0", 33_000)
            ),
            4,
        ),
        (format!("{{{}}}", entries.join(",")), 2000),
        (format!(r#"{{"{}":1}}"#, many("x", 66_000)), 0),
        (
            format!(
                r#"{{"__metadata__":{{"":""{}}}}}"#,
                (0..5000).map(|at| format!(r#","{at}":"""#)).collect::<String>()
            ),
            0,
        ),
        (describe(&format!(r#"{{{head},"tensors":[{bare}{}]}}"#, many(&format!(",{bare}"), 1030))), 0),
        (
            describe(&format!(
                r#"{{{head},"tensors":[{{"name":"","group":"","shape":[0{}],"fields":[]}}]}}"#,
                many(",0", 33_000)
            )),
            0,
        ),
        (
            describe(&format!(
                r#"{{{head},"tensors":[{{"name":"","group":"","shape":[],"fields":[""{}]}}]}}"#,
                many(",\"\"", 17_000)
            )),
            0,
        ),
    ] {
        readers.read(&with_header(header.as_bytes(), &vec![0; data]));
    }
}
