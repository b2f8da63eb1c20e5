//! Tests on several ranks.

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::{Mutex, PoisonError},
};

use lookahead_mpi::mpi::{self, Threading, topology::SimpleCommunicator, traits::Communicator};

/// Set for the processes that `mpirun` starts.
const WORKER: &str = "LOOKAHEAD_TEST_WORKER";

/// What each rank prints at its end: a test whose name is wrong runs nothing, and would pass.
const DONE: &str = "rank is done";

/// Whether this process is a rank.
pub fn is_worker() -> bool {
    std::env::var_os(WORKER).is_some()
}

/// Runs the body on so many ranks. `name` is the test's, with its module.
pub fn on_ranks(ranks: usize, name: &str, body: impl FnOnce(SimpleCommunicator)) {
    on_ranks_with(Threading::Single, ranks, name, body);
}

/// [`on_ranks`] where MPI is begun for so many threads.
pub fn on_ranks_with(threading: Threading, ranks: usize, name: &str, body: impl FnOnce(SimpleCommunicator)) {
    if is_worker() {
        work(threading, body);
        // A test may go on with another number of ranks, and MPI begins once only.
        std::process::exit(0);
    }
    let output = run(&mut test_command(ranks, name, &[]));
    let text = text(&output);
    assert!(output.status.success(), "{name} on {ranks} ranks failed ({}):\n{text}", output.status);
    assert_eq!(
        text.matches(DONE).count(),
        ranks,
        "{name} is not the test's name, or a rank did not end:\n{text}"
    );
}

/// What a rank does. One that panics ends the process at once, without waiting for the others, which `mpirun` then ends.
pub fn work(threading: Threading, body: impl FnOnce(SimpleCommunicator)) {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        std::process::exit(101);
    }));
    let (universe, _) = mpi::initialize_with_threading(threading).unwrap();
    let world = universe.world();
    let rank = world.rank();
    body(world);
    println!("{DONE}: {rank}");
}

/// `mpirun` with a program, or where it is not there a failure that says what to do.
pub fn mpirun(ranks: usize) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--timeout", "300"])
        .args(["--mca", "mpi_yield_when_idle", "1", "--mca", "btl_vader_single_copy_mechanism", "none"])
        .args(["-n", &ranks.to_string()]);
    // One thread a rank: there are more ranks than cores.
    command.env("LP_NUM_THREADS", "1");
    command
}

/// This program under `mpirun`, for one test, with variables of the environment.
pub fn test_command(ranks: usize, name: &str, variables: &[(&str, String)]) -> Command {
    let mut command = mpirun(ranks);
    command.arg(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    command.env(WORKER, "1");
    command.envs(variables.iter().map(|(name, value)| (*name, value)));
    command
}

/// Runs a command, one at a time: ranks that wait for each other should have the cores.
pub fn run(command: &mut Command) -> Output {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    command.output().unwrap_or_else(|problem| {
        panic!(
            "`mpirun` cannot be started ({problem}): install Debian's openmpi-bin, or run `cargo xtask mpi`"
        )
    })
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// An example that was built beside this program.
pub fn example(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let path = program.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "`{}` is not there: `cargo test` builds it", path.display());
    path
}
