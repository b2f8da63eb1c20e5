//! The images: those of all ranks, and the share of one.

use std::hash::{DefaultHasher, Hash, Hasher};

use lookahead_mpi::mpi::{
    topology::SimpleCommunicator,
    traits::{Communicator, CommunicatorCollectives},
};
use train::{
    data::{DataError, Dataset, Split},
    folder,
};

use crate::{TrainError, arguments::Arguments};

/// The data set, of whose images to train on this rank has its share alone.
pub fn read(arguments: &Arguments, world: &SimpleCommunicator) -> Result<Dataset, TrainError> {
    let mut dataset = read_whole(arguments)?;
    check_same(&dataset, world)?;
    let (rank, ranks, images) = (world.rank() as usize, world.size() as usize, dataset.train.len());
    if images < ranks {
        return Err(TrainError::TooMany { ranks, images, name: dataset.name });
    }
    dataset.train = share(&dataset, rank, ranks);
    Ok(dataset)
}

fn read_whole(arguments: &Arguments) -> Result<Dataset, DataError> {
    if arguments.is_digits() { Dataset::digits() } else { folder::find(&arguments.data)?.read() }
}

/// Ranks of other data would take other numbers of steps, and wait for each other for ever.
fn check_same(dataset: &Dataset, world: &SimpleCommunicator) -> Result<(), TrainError> {
    let Dataset { width, height, scale, train, test, .. } = dataset;
    let mut hasher = DefaultHasher::new();
    (width, height, scale.to_bits()).hash(&mut hasher);
    [train, test].iter().for_each(|split| (&split.pixels, &split.labels).hash(&mut hasher));
    let mut all = vec![0u64; world.size() as usize];
    world.all_gather_into(&hasher.finish(), &mut all[..]);
    match all.iter().position(|hash| *hash != all[0]) {
        Some(rank) => Err(TrainError::OtherData { rank }),
        None => Ok(()),
    }
}

/// Every `ranks`th image: as many on all of them.
fn share(dataset: &Dataset, rank: usize, ranks: usize) -> Split {
    let pixels = dataset.pixels();
    let mut share = Split::default();
    for index in 0..dataset.train.len() / ranks {
        let image = index * ranks + rank;
        share.pixels.extend(&dataset.train.pixels[image * pixels..(image + 1) * pixels]);
        share.labels.push(dataset.train.labels[image]);
    }
    share
}
