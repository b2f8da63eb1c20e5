//! Trains a classifier of images on several workers, with local steps or with gradients exchanged.

mod arguments;
mod data;
mod learner;
mod table;

use std::process::ExitCode;

use clap::Parser;
use lookahead_mpi::{
    Error, Outcome, Workers,
    mpi::{self, Threading, topology::SimpleCommunicator, traits::Communicator},
};
use lookahead_wgpu::{
    DEFAULT_GROUP, Group, Lookahead, Optimizer,
    gpu::Gpu,
    outer::{HeavyBall, Interpolation, Nesterov, SlowMo},
};
use train::{
    data::{CLASSES, DataError, Dataset},
    device::ModelError,
    model::Network,
};

use arguments::{Arguments, OuterName};
use learner::Learner;
use table::{Row, Table};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    #[error(transparent)]
    Workers(#[from] Error),
    #[error(transparent)]
    Optimizer(#[from] lookahead_wgpu::Error),
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error("{ranks} ranks have no image each: `{name}` has {images} to train on; start fewer")]
    TooMany { ranks: usize, images: usize, name: String },
    #[error(
        "rank {rank} has read other data than rank 0; give all the same --data, with the same files on all machines"
    )]
    OtherData { rank: usize },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Layers are exchanged beside steps by a thread of their own.
    let threading = if arguments.overlap > Some(0) { Threading::Multiple } else { Threading::Single };
    let Some((universe, _)) = mpi::initialize_with_threading(threading) else {
        eprintln!("error: MPI has begun already");
        return ExitCode::FAILURE;
    };
    let world = universe.world();
    match run(&arguments, world) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // In one piece, since all ranks write to one terminal.
            let line = format!("error on rank {}: {error}\n", universe.world().rank());
            eprint!("{line}");
            // The others may wait for this one.
            universe.world().abort(1)
        }
    }
}

fn run(arguments: &Arguments, world: SimpleCommunicator) -> Result<(), TrainError> {
    let (rank, ranks) = (world.rank() as usize, world.size() as usize);
    let dataset = data::read(arguments, &world)?;
    let network = Network::new(dataset.pixels(), &arguments.hidden(), CLASSES)?;
    let gpu = Gpu::open_blocking(arguments.adapter.as_deref())?;
    let mut optimizer = optimizer(arguments, &network, &gpu)?;
    learner::upload_first_weights(&mut optimizer, &network, arguments.seed)?;
    let mut workers = workers(arguments, world, &mut optimizer, &gpu)?;
    let mut learner = Learner::new(&gpu, &optimizer, &network, &dataset, arguments, rank)?;
    let mut table = Table::new(rank == 0 && !arguments.json);
    table.begin(&format!(
        "{}\n{ranks} ranks on {}, {arguments}",
        describe(&dataset, &arguments.hidden()),
        gpu.label()
    ));
    if let Some(folder) = &arguments.checkpoint
        && let Some(restored) = workers.restore(&mut optimizer, folder)?
    {
        table.say(&format!("from round {} of {} ranks", restored.round, restored.ranks));
        restored.passed_over.iter().for_each(|problem| table.say(&format!("passed over {problem}")));
    }
    train(arguments, &gpu, &mut optimizer, &mut workers, &mut learner, &mut table)?;
    let hash = workers.check(&optimizer)?;
    let accuracy = learner.accuracy(&gpu)?;
    if rank == 0 {
        table.end(arguments.json, ranks, accuracy, hash);
    }
    Ok(())
}

fn workers(
    arguments: &Arguments,
    world: SimpleCommunicator,
    optimizer: &mut Optimizer,
    gpu: &Gpu,
) -> Result<Workers, Error> {
    let builder = Workers::builder(world).period(arguments.period).mode(arguments.mode.into());
    let builder = builder.wire(arguments.wire.into());
    let builder = match arguments.streaming() {
        // Who compares weights waits for the others.
        Some(streaming) => builder.streaming(streaming).verify(false),
        None => builder,
    };
    builder.build(optimizer, &gpu.device, &gpu.queue)
}

/// What each rank trains, in words.
fn describe(dataset: &Dataset, hidden: &[usize]) -> String {
    let Dataset { name, width, height, train, test, .. } = dataset;
    let layers = [&[dataset.pixels()], hidden, &[CLASSES]].concat();
    let layers: Vec<_> = layers.iter().map(ToString::to_string).collect();
    let (train, test, layers) = (train.len(), test.len(), layers.join("-"));
    format!(
        "{name}: {train} images of {height} x {width} on each rank, {test} to test on; layers of {layers} units"
    )
}

/// Takes the steps of all epochs that are left.
fn train(
    arguments: &Arguments,
    gpu: &Gpu,
    optimizer: &mut Optimizer,
    workers: &mut Workers,
    learner: &mut Learner,
    table: &mut Table,
) -> Result<(), TrainError> {
    let total = u64::from(arguments.epochs()) * learner.steps();
    let mut begun = optimizer.steps();
    while optimizer.steps() < total {
        let before = optimizer.steps();
        let encoder = learner.record(gpu, before)?;
        let mut report = workers.step(optimizer, encoder)?;
        let is_last = optimizer.steps() == total;
        // At the end all layers are exchanged that were not just now.
        if is_last && report.as_ref().is_none_or(|report| report.fragment.is_some()) {
            report.iter().for_each(|report| table.add(report));
            report = Some(workers.round(optimizer)?);
        }
        let Some(report) = report else { continue };
        // A step that was discarded is not taken again with the same images: its gradient would be no better.
        let is_stuck = optimizer.steps() == before && report.outcome != Outcome::Synchronised;
        let is_told = arguments.tells(report.round) || is_last;
        if is_told || is_stuck {
            let loss = workers.mean(learner.loss(gpu)?);
            table.row(Row { report: report.clone(), loss, begun });
            begun = optimizer.steps();
        } else {
            table.add(&report);
        }
        if is_stuck {
            break;
        }
        if let Some(folder) = &arguments.checkpoint
            && is_told
        {
            workers.save(optimizer, folder)?;
        }
    }
    Ok(())
}

fn optimizer(arguments: &Arguments, network: &Network, gpu: &Gpu) -> Result<Optimizer, TrainError> {
    let rate = arguments.lr.unwrap_or_else(|| arguments.rule.default_learning_rate());
    let momentum = arguments.momentum;
    let builder = Optimizer::builder(arguments.rule.rule(rate));
    let builder = builder.lookahead(Lookahead::new(arguments.period, arguments.alpha));
    let builder = match arguments.outer {
        OuterName::Interpolation => builder.outer(Interpolation),
        OuterName::HeavyBall => builder.outer(HeavyBall { momentum }),
        OuterName::Nesterov => builder.outer(Nesterov { momentum }),
        OuterName::SlowMo => builder.outer(SlowMo { momentum }),
    };
    let parameters = network.parameters();
    let mut layers: Vec<&str> = Vec::new();
    let mut builder = builder;
    for parameter in &parameters {
        // `fc1.weight` and `fc1.bias` are a layer.
        let layer = arguments.overlap.and_then(|_| parameter.name.split('.').next()).unwrap_or(DEFAULT_GROUP);
        if layer != DEFAULT_GROUP && !layers.contains(&layer) {
            layers.push(layer);
            builder = builder.group(Group::new(layer));
        }
        builder = builder.tensor_in(layer, &parameter.name, &parameter.shape);
    }
    Ok(builder.pipelines(&gpu.pipelines).build_blocking(&gpu.device, &gpu.queue)?)
}
