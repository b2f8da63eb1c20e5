//! Tests of the parts of the `train` example: its data, its network, its report and its plot.

#[path = "../../examples/train/arguments.rs"]
mod arguments;
#[path = "../../examples/train/batches.rs"]
mod batches;
#[path = "../../examples/train/canvas.rs"]
mod canvas;
#[path = "../../examples/train/checkpoint.rs"]
mod checkpoint;
mod command_line;
#[path = "../common/mod.rs"]
mod common;
#[path = "../../examples/train/data.rs"]
mod data;
mod data_sets;
#[path = "../../examples/train/device.rs"]
mod device;
#[path = "../../examples/train/folder.rs"]
mod folder;
#[path = "../../examples/train/history.rs"]
mod history;
#[path = "../../examples/train/kernels.rs"]
mod kernels;
#[path = "../../examples/train/meter.rs"]
mod meter;
#[path = "../../examples/train/model.rs"]
mod model;
mod network;
#[path = "../../examples/train/options.rs"]
mod options;
#[path = "../../examples/train/output.rs"]
mod output;
#[path = "../../examples/train/paths.rs"]
mod paths;
#[path = "../../examples/train/plot.rs"]
mod plot;
#[path = "../../examples/train/program.rs"]
mod program;
#[path = "../../examples/train/reading.rs"]
mod reading;
#[path = "../../examples/train/report.rs"]
mod report;
mod reporting;
#[path = "../../examples/train/rule.rs"]
mod rule;
#[path = "../../examples/train/run.rs"]
mod run;
#[path = "../../examples/train/settings.rs"]
mod settings;
#[path = "../../examples/train/train.rs"]
mod train;
mod training;
#[path = "../../examples/train/twin.rs"]
mod twin;
#[path = "../../examples/train/unpack.rs"]
mod unpack;

mod accumulation;
mod divergence;
mod files;
mod folders;
mod programs;

/// Held by each test that uses every adapter: wgpu gives an OpenGL context up that another thread holds for long.
fn turn() -> impl Drop {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A folder of this test's own.
fn fresh_folder(name: &str) -> std::path::PathBuf {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // It may not be there.
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

/// The history of a run from its start, and the checkpoints that it keeps: one every so many batches, and one at the end.
fn trained(
    bench: &train::Workbench,
    how: &settings::Settings,
    every: u64,
) -> (history::History, Vec<(lookahead_wgpu::Snapshot, history::History)>) {
    let mut kept = Vec::new();
    let mut keep = |snapshot: &lookahead_wgpu::Snapshot, history: &history::History| {
        kept.push((snapshot.clone(), history.clone()));
        Ok(())
    };
    let checkpoints = train::Checkpoints { start: None, every, keep: &mut keep };
    let whole = bench.train_with(how, checkpoints, &mut |_| ()).unwrap();
    (whole, kept)
}
