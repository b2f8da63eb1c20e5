//! Checkpoints of all ranks: a round is there as a whole, or not at all.
//!
//! A folder that all ranks see has, for each of the last two rounds:
//!
//! | file | by | what |
//! |---|---|---|
//! | `round-00000012.of-4.safetensors` | rank 0, last | its [`Snapshot`]: slow weights and outer state, which all ranks share, and its inner state |
//! | `round-00000012.rank-3.safetensors` | every other rank | its `Snapshot`: the inner state that differs |
//! | `round-00000012.kept-3.safetensors` | every rank, with [`Wire::Int8`](crate::Wire::Int8) | what it has yet to send |
//!
//! Each is replaced at once, as [`Snapshot::save_over`] does (a damaged one is in nobody's way), and rank 0's is written when
//! all others are on the disk: it says that the round is there, and of how many ranks. A process that is killed at any moment leaves the round before as it
//! was.

use std::{
    collections::HashMap,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use lookahead_wgpu::{Optimizer, Snapshot};
use mpi::traits::{Communicator, Root};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::{
    error::Error,
    meeting::{Said, Standing, agree, meet, ready, texts, who},
    settings::{Mode, NEVER},
    workers::Workers,
};

/// Rounds that are kept.
const ROUNDS: usize = 2;

/// What training went on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The round that was saved.
    pub round: u64,
    /// How many ranks had saved it.
    pub ranks: usize,
    /// Newer rounds that could not be read, and why.
    pub passed_over: Vec<String>,
}

impl Workers {
    /// Saves the round that has just ended, in a folder that all ranks see, which is made where it is not there. The
    /// last two rounds stay, older ones are removed, and so are rounds of this number and later ones, which another run
    /// left or which could not be read: a run begins with [`restore`](Self::restore), or in a folder of its own.
    ///
    /// # Errors
    ///
    /// [`Error::MidRound`]; [`Error::Diverged`] where ranks do not have the same weights; what [`Optimizer::export`] and
    /// [`Snapshot::save_over`] give; [`Error::Elsewhere`] where another rank could not save: the rounds before are there then.
    pub fn save(&self, optimizer: &Optimizer, folder: impl AsRef<Path>) -> Result<(), Error> {
        let folder = folder.as_ref();
        if !self.place.is_settled(optimizer.steps()) {
            let (position, period) = (self.place.position(optimizer.steps()), self.period());
            return Err(Error::MidRound { position, period });
        }
        if self.rank() == 0 {
            uncommit(folder, self.rounds());
        }
        // All wait for each other here.
        self.check(optimizer)?;
        let (round, rank) = (self.rounds(), self.rank());
        // What commits the round comes last.
        let mine = self.save_mine(optimizer, folder);
        let (snapshot, ..) = agree(&self.world, "saving", mine, |_| ready())?;
        let committed = match rank {
            0 => snapshot.save_over(folder.join(commit_name(round, self.size()))).map_err(Error::from),
            _ => Ok(()),
        };
        agree(&self.world, "saving", committed, |()| ready())?;
        if rank == 0 {
            remove_old(folder);
        }
        Ok(())
    }

    /// Writes this rank's files, but rank 0's snapshot, which is given back.
    fn save_mine(&self, optimizer: &Optimizer, folder: &Path) -> Result<Snapshot, Error> {
        fs::create_dir_all(folder).map_err(|problem| file_error("making the folder", folder, &problem))?;
        let (round, rank) = (self.rounds(), self.rank());
        let snapshot = optimizer.export_blocking()?;
        let kept = self.packer.kept()?;
        if !kept.is_empty() {
            let order = self.packer.blocks().order();
            save_kept(&folder.join(kept_name(round, rank)), &order, &kept, &self.kept_means())?;
        }
        if rank != 0 {
            snapshot.save_over(folder.join(rank_name(round, rank)))?;
        }
        Ok(snapshot)
    }

    /// Goes on from the newest round in a folder that can be read; none where there is none yet.
    ///
    /// With as many ranks as saved it, training goes on bit for bit as if it had never stopped. With another number, rank
    /// i goes on from what rank i modulo their number has saved: slow weights and outer state are all ranks', and inner
    /// state is a copy where there are more of them, and lost where there are fewer. What int8 had yet to send is forgotten
    /// then, at most 1/127 of the largest value of each block.
    ///
    /// With a guard [`Optimizer::steps`] may then be another number on each rank, since a snapshot counts the steps that were
    /// taken, of which each guard knows its own: [`rounds`](Self::rounds) is all ranks'. An error leaves the optimizer as it
    /// was.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] where there are rounds and none can be read, or none fits the optimizer; what
    /// [`Optimizer::import`] gives; [`Error::Elsewhere`].
    pub fn restore(
        &mut self,
        optimizer: &mut Optimizer,
        folder: impl AsRef<Path>,
    ) -> Result<Option<Restored>, Error> {
        let folder = folder.as_ref();
        let mut passed_over = Vec::new();
        let rounds = self.listed(folder)?;
        if rounds.is_empty() {
            return Ok(None);
        }
        let abandoned = self.abandon(optimizer);
        agree(&self.world, "restoring", abandoned, |()| ready())?;
        let before =
            agree(&self.world, "restoring", optimizer.export_blocking().map_err(Error::from), |_| ready())?;
        for &(round, ranks) in &rounds {
            let read = self.read_mine(folder, round, ranks);
            let found = read.and_then(|(snapshot, kept)| {
                optimizer.import(&snapshot)?;
                Ok(kept)
            });
            let problem = found.as_ref().map_or_else(Error::to_string, |_| String::new());
            let standing = if found.is_ok() { Standing::Ready } else { Standing::Failed };
            let (said, _) = meet(&self.world, Said { standing, ..ready() });
            let problems = texts(&self.world, &problem);
            if let Some(rank) = who(&said, Standing::Failed).first() {
                passed_over.push(format!("round {round}, rank {rank}: {}", problems[*rank]));
                continue;
            }
            match self.check(optimizer) {
                Err(problem @ Error::Diverged { .. }) => {
                    passed_over.push(format!("round {round}: {problem}"));
                    continue;
                }
                checked => checked?,
            };
            if let Ok(Some((kept, means))) = found {
                self.packer.keep(&kept);
                self.keep_means(&means);
            }
            self.place = self.settings.timetable.at(round, optimizer.steps());
            return Ok(Some(Restored { round, ranks, passed_over }));
        }
        optimizer.import(&before.0)?;
        Err(Error::Checkpoint { folder: folder.display().to_string(), problems: passed_over.join("; ") })
    }

    /// The rounds that rank 0 sees, and of how many ranks each is; the newest first.
    fn listed(&self, folder: &Path) -> Result<Vec<(u64, usize)>, Error> {
        let found = if self.rank() == 0 { committed(folder) } else { Ok(vec![]) };
        let (found, ..) = agree(&self.world, "looking for checkpoints", found, |_| ready())?;
        let root = self.world.process_at_rank(0);
        let mut count = found.len() as u64;
        root.broadcast_into(&mut count);
        let mut words: Vec<u64> = found.iter().flat_map(|(round, ranks)| [*round, *ranks as u64]).collect();
        words.resize(2 * count as usize, 0);
        root.broadcast_into(&mut words[..]);
        Ok(words.chunks_exact(2).map(|pair| (pair[0], pair[1] as usize)).collect())
    }

    /// What was lost of the means that this rank packs, a fragment's after the other.
    fn kept_means(&self) -> Vec<f32> {
        self.means.iter().flat_map(|mean| mean.kept.iter().copied()).collect()
    }

    fn keep_means(&mut self, kept: &[f32]) {
        let mut rest = kept;
        for mean in &mut self.means {
            let (own, others) = rest.split_at(mean.kept.len());
            mean.kept.copy_from_slice(own);
            rest = others;
        }
    }

    /// What this rank goes on from.
    fn read_mine(&self, folder: &Path, round: u64, ranks: usize) -> Result<(Snapshot, Option<Kept>), Error> {
        let from = self.rank() % ranks;
        let name = if from == 0 { commit_name(round, ranks) } else { rank_name(round, from) };
        let snapshot = Snapshot::load(folder.join(name))?;
        let is_local = self.settings.mode == Mode::Local;
        if snapshot.groups.iter().any(|group| group.k.is_some_and(|k| (k == NEVER) != is_local)) {
            let problem =
                "is of the other mode: local steps, or gradients exchanged; take that one".to_owned();
            return Err(Error::Setting { what: "the checkpoint".to_owned(), problem });
        }
        let mut kept = None;
        let expected = [self.packer.kept()?.len(), self.kept_means().len()];
        if expected[0] > 0 {
            let (sent, means) = (vec![0.0; expected[0]], vec![0.0; expected[1]]);
            kept = Some((sent, means));
            let path = folder.join(kept_name(round, from));
            // A run that sent another format has none, and what is kept of other fragments is not these'.
            if ranks == self.size()
                && path.exists()
                && let Some(found) = load_kept(&path, &self.packer.blocks().order(), expected)?
            {
                kept = Some(found);
            }
        }
        Ok((snapshot, kept))
    }
}

/// What a rank has yet to send of its own values, and of the means that it packs.
type Kept = (Vec<f32>, Vec<f32>);

fn commit_name(round: u64, ranks: usize) -> String {
    format!("round-{round:08}.of-{ranks}.safetensors")
}

fn rank_name(round: u64, rank: usize) -> String {
    format!("round-{round:08}.rank-{rank}.safetensors")
}

fn kept_name(round: u64, rank: usize) -> String {
    format!("round-{round:08}.kept-{rank}.safetensors")
}

/// A file of a round.
struct File {
    path: PathBuf,
    round: u64,
    /// Of how many ranks the round is, where this commits it.
    ranks: Option<usize>,
}

/// The round of a file's name, and of how many ranks it is where it commits the round.
fn parsed(name: &str) -> Option<(u64, Option<usize>)> {
    let mut parts = name.strip_prefix("round-")?.strip_suffix(".safetensors")?.split('.');
    let (round, what) = (parts.next()?.parse().ok()?, parts.next()?);
    let ranks = match what.strip_prefix("of-") {
        Some(ranks) => Some(ranks.parse().ok().filter(|ranks| *ranks > 0)?),
        None if what.starts_with("rank-") || what.starts_with("kept-") => None,
        None => return None,
    };
    parts.next().is_none().then_some((round, ranks))
}

/// The rounds that are whole, the newest first.
fn committed(folder: &Path) -> Result<Vec<(u64, usize)>, Error> {
    let files = files(folder).map_err(|problem| file_error("reading the folder", folder, &problem))?;
    let mut rounds: Vec<(u64, usize)> =
        files.iter().filter_map(|file| Some((file.round, file.ranks?))).collect();
    rounds.sort_unstable_by(|a, b| b.cmp(a));
    Ok(rounds)
}

/// The files of rounds in a folder, which may not be there.
fn files(folder: &Path) -> io::Result<Vec<File>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(vec![]),
        Err(problem) => return Err(problem),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        if let Some((round, ranks)) = entry.file_name().to_str().and_then(parsed) {
            files.push(File { path: entry.path(), round, ranks });
        }
    }
    Ok(files)
}

/// Removes what is older than the last rounds. What cannot be removed stays, and is of no harm.
fn remove_old(folder: &Path) {
    let Ok(rounds) = committed(folder) else { return };
    let (Some(oldest), Ok(files)) = (rounds.get(ROUNDS - 1), files(folder)) else { return };
    let mut old: Vec<_> = files.into_iter().filter(|file| file.round < oldest.0).collect();
    // What commits a round goes first, so that none is there in parts.
    old.sort_by_key(|file| file.ranks.is_none());
    for file in old {
        let _ = fs::remove_file(file.path);
    }
}

/// Before a round is written: nothing says any more that it is there, nor later ones, which are not this run's.
fn uncommit(folder: &Path, round: u64) {
    let commits = files(folder).unwrap_or_default().into_iter();
    for file in commits.filter(|file| file.ranks.is_some() && file.round >= round) {
        let _ = fs::remove_file(file.path);
    }
}

fn file_error(doing: &'static str, path: &Path, problem: &dyn std::fmt::Display) -> Error {
    Error::File { doing, path: path.display().to_string(), problem: problem.to_string() }
}

const NAMES: [&str; 2] = ["own", "means"];

/// Whose the values are.
const ORDER: &str = "order";

/// Replaces a file at once.
fn save_kept(path: &Path, order: &str, own: &[f32], means: &[f32]) -> Result<(), Error> {
    let failed = |problem: &dyn std::fmt::Display| file_error("writing", path, problem);
    let view = |values: &'static str, slice| {
        let bytes: &[u8] = bytemuck::cast_slice(slice);
        TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).map(|view| (values, view))
    };
    let views = [view(NAMES[0], own), view(NAMES[1], means)].into_iter().collect::<Result<Vec<_>, _>>();
    let views = views.map_err(|problem| failed(&problem))?;
    let about = HashMap::from([(ORDER.to_owned(), order.to_owned())]);
    let bytes = safetensors::serialize(views, Some(about)).map_err(|problem| failed(&problem))?;
    let write = || -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".kept.").suffix(".tmp").tempfile_in(folder)?;
        file.write_all(&bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|problem| problem.error)?;
        Ok(())
    };
    write().map_err(|problem| failed(&problem))
}

/// None where it is of other fragments.
fn load_kept(path: &Path, order: &str, expected: [usize; 2]) -> Result<Option<Kept>, Error> {
    let failed = |problem: &dyn std::fmt::Display| file_error("reading", path, problem);
    let bytes = fs::read(path).map_err(|problem| failed(&problem))?;
    let tensors = SafeTensors::deserialize(&bytes).map_err(|problem| failed(&problem))?;
    let (_, about) = SafeTensors::read_metadata(&bytes).map_err(|problem| failed(&problem))?;
    if about.metadata().as_ref().and_then(|about| about.get(ORDER)).is_some_and(|found| found != order) {
        return Ok(None);
    }
    let entry = |index: usize| -> Result<Vec<f32>, Error> {
        let view = tensors.tensor(NAMES[index]).map_err(|problem| failed(&problem))?;
        let values: Vec<f32> = view
            .data()
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
            .collect();
        if view.dtype() != Dtype::F32 || values.len() != expected[index] {
            let (found, expected) = (values.len(), expected[index]);
            return Err(failed(&format!(
                "`{}` has {found} values, and {expected} belong there",
                NAMES[index]
            )));
        }
        Ok(values)
    };
    Ok(Some((entry(0)?, entry(1)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        assert_eq!(parsed(&commit_name(12, 4)), Some((12, Some(4))));
        assert_eq!(parsed(&rank_name(123_456_789, 11)), Some((123_456_789, None)));
        assert_eq!(parsed(&kept_name(0, 0)), Some((0, None)));
        for other in
            ["round-1.of-0.safetensors", "round-x.of-1.safetensors", ".round-00000001.of-4.safetensors.x.tmp"]
        {
            assert_eq!(parsed(other), None, "{other}");
        }
        for other in ["round-1.safetensors", "round-1.of-2.more.safetensors", "weights.safetensors"] {
            assert_eq!(parsed(other), None, "{other}");
        }
    }

    #[test]
    fn the_last_rounds_stay() {
        let folder = tempfile::tempdir().unwrap();
        for round in 1..6 {
            for name in [rank_name(round, 1), kept_name(round, 0)] {
                fs::write(folder.path().join(name), "").unwrap();
            }
            if round != 4 {
                fs::write(folder.path().join(commit_name(round, 2)), "").unwrap();
            }
        }
        fs::write(folder.path().join("mine.txt"), "").unwrap();
        assert_eq!(committed(folder.path()).unwrap(), [(5, 2), (3, 2), (2, 2), (1, 2)]);
        remove_old(folder.path());
        assert_eq!(committed(folder.path()).unwrap(), [(5, 2), (3, 2)]);
        let rounds: Vec<u64> = files(folder.path()).unwrap().iter().map(|file| file.round).collect();
        assert!(rounds.iter().all(|round| *round >= 3) && rounds.len() == 8);
        assert!(folder.path().join("mine.txt").exists());
    }

    #[test]
    fn what_is_kept_comes_back_and_damage_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        save_kept(&path, "a b", &[1.0, -0.5], &[0.25]).unwrap();
        assert_eq!(load_kept(&path, "a b", [2, 1]), Ok(Some((vec![1.0, -0.5], vec![0.25]))));
        assert_eq!(load_kept(&path, "b a", [2, 1]), Ok(None));
        let error = load_kept(&path, "a b", [2, 2]).unwrap_err().to_string();
        assert!(error.contains("`means` has 1 values, and 2 belong there"), "{error}");
        fs::write(&path, "cut short").unwrap();
        assert!(load_kept(&path, "a b", [2, 1]).is_err());
    }
}
