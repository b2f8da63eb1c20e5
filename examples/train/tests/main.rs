//! Its data, its network, its runs, its command line, its reports and its plots.

mod accumulation;
mod command_line;
mod data_sets;
mod divergence;
mod files;
mod folders;
mod network;
mod profiles;
mod programs;
mod reporting;
mod sweeps;
mod training;
mod twin;

/// Held by each test that uses every adapter: wgpu gives an OpenGL context up that another thread holds for long.
fn turn() -> impl Drop {
    static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The inner optimizer of this name.
fn rule(name: &str) -> train::rule::RuleName {
    train::rule::RuleName::named(name).unwrap()
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
    bench: &train::driver::Workbench,
    how: &train::settings::Settings,
    every: u64,
) -> (train::history::History, Vec<(lookahead_wgpu::Snapshot, train::history::History)>) {
    let mut kept = Vec::new();
    let mut keep = |snapshot: &lookahead_wgpu::Snapshot, history: &train::history::History| {
        kept.push((snapshot.clone(), history.clone()));
        Ok(())
    };
    let checkpoints = train::driver::Checkpoints { start: None, every, keep: &mut keep };
    let whole = bench.train_with(how, checkpoints, &mut |_| ()).unwrap();
    (whole, kept)
}
