//! Exchanges that go on beside steps, by a thread and over a communicator of its own.

use std::{
    sync::mpsc::{Receiver, Sender, channel},
    thread::{Builder, JoinHandle},
    time::{Duration, Instant},
};

use mpi::{
    Rank, Threading,
    topology::SimpleCommunicator,
    traits::{Communicator, Group},
};

use crate::{
    error::Error,
    mean::Mean,
    meeting::{Hash, Said, Standing, check_same, meet_with, ready, who},
};

/// How often it looks whether a message has come: often enough beside steps of milliseconds.
const PATIENCE: Duration = Duration::from_micros(100);

/// The thread.
pub(crate) struct Beside {
    /// What starts it, and what it says then.
    start: Option<(Sender<()>, Receiver<()>)>,
    jobs: Option<Sender<Job>>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
    /// An exchange was begun, and not yet waited for.
    is_busy: bool,
}

/// What is to be exchanged.
pub(crate) struct Job {
    pub fragment: usize,
    /// As this rank has packed it; empty unless it is ready.
    pub packed: Vec<u8>,
    pub standing: Standing,
    pub mean: Mean,
}

/// What came of it.
pub(crate) struct Done {
    pub fragment: usize,
    /// The packed mean, where all ranks were ready.
    pub packed: Vec<u8>,
    pub mean: Mean,
    /// How all ranks stood.
    pub said: Vec<Said>,
    /// How long each of them waited for the last.
    pub waited: Vec<f64>,
    /// A hash of the mean, which all have received alike.
    pub hash: Result<u64, Error>,
    /// Bytes that this rank sent.
    pub bytes: u64,
    pub seconds: f64,
}

/// Refuses an MPI that was not begun for threads.
pub(crate) fn check_threads() -> Result<(), Error> {
    match mpi::environment::threading_support() {
        Threading::Multiple => Ok(()),
        provided => Err(Error::Threads { provided: format!("Threading::{provided:?}") }),
    }
}

impl Beside {
    /// A thread for these ranks, which does nothing before it [starts](Self::start).
    pub fn new(world: &SimpleCommunicator) -> Result<Self, Error> {
        // A communicator is not given to another thread; the ranks' numbers among all are.
        let (all, own) = (SimpleCommunicator::world().group(), world.group());
        let ranks: Vec<Rank> = (0..world.size()).filter_map(|rank| own.translate_rank(rank, &all)).collect();
        let (jobs, to_do) = channel();
        let (tell, done) = channel();
        let (start, started) = channel();
        let (connected, is_connected) = channel();
        let serve = move || {
            // Nobody starts it where another rank has none.
            if started.recv().is_ok() {
                serve(&ranks, &connected, &to_do, &tell);
            }
        };
        let thread = Builder::new().name("lookahead-mpi".to_owned()).spawn(serve);
        let thread =
            thread.map_err(|problem| Error::Thread { problem: format!("cannot begin ({problem})") })?;
        let start = Some((start, is_connected));
        Ok(Self { start, jobs: Some(jobs), done, thread: Some(thread), is_busy: false })
    }

    /// Makes its communicator, and waits for that, since two are not made at once. All ranks call this together.
    pub fn start(&mut self) -> Result<(), Error> {
        let Some((start, is_connected)) = self.start.take() else { return Ok(()) };
        start.send(()).map_err(|_| gone())?;
        is_connected.recv().map_err(|_| gone())
    }

    /// Begins an exchange.
    pub fn begin(&mut self, job: Job) -> Result<(), Error> {
        self.is_busy = true;
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        if sent { Ok(()) } else { Err(gone()) }
    }

    /// Whether there is one that was not yet waited for.
    pub fn is_busy(&self) -> bool {
        self.is_busy
    }

    /// What came of the last one, waiting for it.
    pub fn finish(&mut self) -> Result<Done, Error> {
        self.is_busy = false;
        self.done.recv().map_err(|_| gone())
    }
}

fn gone() -> Error {
    Error::Thread { problem: "has ended".to_owned() }
}

impl Drop for Beside {
    /// Waits for an exchange that is under way: MPI must not end before.
    fn drop(&mut self) {
        drop((self.start.take(), self.jobs.take()));
        let thread = self.thread.take().filter(|_| !std::thread::panicking());
        if let Some(thread) = thread {
            // It says nothing more.
            let _ = thread.join();
        }
    }
}

fn serve(ranks: &[Rank], connected: &Sender<()>, jobs: &Receiver<Job>, tell: &Sender<Done>) {
    let all = SimpleCommunicator::world();
    let Some(world) = all.split_by_subgroup(&all.group().include(ranks)) else { return };
    if connected.send(()).is_err() {
        return;
    }
    for job in jobs {
        if tell.send(exchange(&world, job)).is_err() {
            return;
        }
    }
}

fn exchange(world: &SimpleCommunicator, job: Job) -> Done {
    let Job { fragment, mut packed, standing, mut mean } = job;
    let start = Instant::now();
    let (said, waited) = meet_with(world, Said { standing, ..ready() }, Some(PATIENCE));
    let (mut bytes, mut word) = (0, 0);
    if who(&said, Standing::Ready).len() == said.len() {
        bytes = mean.exchange(world, &mut packed, Some(PATIENCE));
        word = Hash::of_bytes(&packed);
    }
    let (told, _) = meet_with(world, Said { word, seconds: waited, ..ready() }, Some(PATIENCE));
    let hash = check_same(&told, "bytes received").map(|()| word);
    let waited = told.iter().map(|said| said.seconds).collect();
    Done { fragment, packed, mean, said, waited, hash, bytes, seconds: start.elapsed().as_secs_f64() }
}
