//! Fragments that are exchanged while steps go on: begun at their turn, merged later.

use std::time::Instant;

use lookahead_wgpu::Optimizer;

use crate::{
    beside::{Done, Job},
    error::Error,
    meeting::{Standing, who},
    packing::{Packed, Reading, is_fine},
    report::{Outcome, Report},
    workers::Workers,
};

/// A fragment that is under way.
pub(crate) struct Flight {
    fragment: usize,
    /// This rank's guard has skipped all of its steps.
    is_idle: bool,
    /// What is being packed; none where it was sent.
    reading: Option<Reading>,
    /// This rank has sent that a value is not finite.
    is_broken: bool,
    /// Seconds that steps had to wait so far.
    seconds: f64,
}

impl Workers {
    /// Begins the exchange of the fragment whose turn it is.
    pub(crate) fn begin(&mut self, optimizer: &Optimizer) -> Result<(), Error> {
        let start = Instant::now();
        let fragment = self.settings.timetable.fragment(self.place.turn);
        self.place = self.place.begun(optimizer.steps());
        // Values that are not finite are found where they are packed.
        let standing = self.standing(optimizer, fragment, true);
        let begun = standing.and_then(|standing| Ok((standing, self.packer.begin(optimizer, fragment)?)));
        let (standing, packed) = self.or_tell(fragment, begun)?;
        let is_idle = standing == Standing::NoStep;
        let flight = Flight { fragment, is_idle, reading: None, is_broken: false, seconds: 0.0 };
        match packed {
            Packed::Now(packed) => self.send(flight, packed)?,
            Packed::Later(reading) => self.flight = Some(Flight { reading: Some(reading), ..flight }),
        }
        self.flight.iter_mut().for_each(|flight| flight.seconds = start.elapsed().as_secs_f64());
        Ok(())
    }

    /// Sends what is under way once it was packed.
    pub(crate) fn look_after(&mut self) -> Result<(), Error> {
        let start = Instant::now();
        self.look_after_it()?;
        self.flight.iter_mut().for_each(|flight| flight.seconds += start.elapsed().as_secs_f64());
        Ok(())
    }

    fn look_after_it(&mut self) -> Result<(), Error> {
        let Some(mut flight) = self.flight.take() else { return Ok(()) };
        if let Some(mut reading) = flight.reading.take() {
            let done = reading.is_done();
            if self.or_tell(flight.fragment, done)? {
                return self.send_read(flight, reading);
            }
            flight.reading = Some(reading);
        }
        self.flight = Some(flight);
        Ok(())
    }

    fn send_read(&mut self, flight: Flight, reading: Reading) -> Result<(), Error> {
        let mut packed = self.or_tell(flight.fragment, reading.finish())?;
        let is_finite = is_fine(&packed);
        packed.truncate(packed.len() - 4);
        self.send(flight, is_finite.then_some(packed))
    }

    /// None where a value is not finite.
    fn send(&mut self, flight: Flight, packed: Option<Vec<u8>>) -> Result<(), Error> {
        let standing = match &packed {
            None => Standing::NotFinite,
            Some(_) if flight.is_idle => Standing::NoStep,
            Some(_) => Standing::Ready,
        };
        let flight = Flight { is_broken: packed.is_none(), ..flight };
        self.hand_over(flight.fragment, standing, packed.unwrap_or_default())?;
        self.flight = Some(flight);
        Ok(())
    }

    fn hand_over(&mut self, fragment: usize, standing: Standing, packed: Vec<u8>) -> Result<(), Error> {
        let mean = std::mem::take(&mut self.means[fragment]);
        self.beside.as_mut().map_or(Ok(()), |beside| beside.begin(Job { fragment, packed, standing, mean }))
    }

    /// Tells the others where this rank has failed, so that they do not wait for it.
    fn or_tell<T>(&mut self, fragment: usize, outcome: Result<T, Error>) -> Result<T, Error> {
        if outcome.is_err() {
            self.hand_over(fragment, Standing::Failed, vec![])?;
        }
        outcome
    }

    /// Waits for what is under way, and takes the outer step of it.
    pub(crate) fn merge(&mut self, optimizer: &mut Optimizer) -> Result<Report, Error> {
        let start = Instant::now();
        self.send_at_last()?;
        let (Some(flight), Some(beside)) = (self.flight.take(), self.beside.as_mut()) else {
            let problem = "has nothing under way: a step before has failed".to_owned();
            return Err(Error::Thread { problem });
        };
        let Flight { fragment, is_broken, seconds, .. } = flight;
        let Done { packed, mean, said, waited, hash, bytes, seconds: overlapped, .. } = beside.finish()?;
        self.means[fragment] = mean;
        let hash = hash?;
        if let Some(&rank) = who(&said, Standing::Failed).first() {
            return Err(Error::Elsewhere { rank, doing: "packing" });
        }
        let (broken, idle) = (who(&said, Standing::NotFinite), who(&said, Standing::NoStep));
        let (outcome, done) = if !broken.is_empty() {
            self.packer.take_back(fragment);
            let done = self.packer.discard(optimizer, fragment, is_broken);
            (Outcome::Discarded { ranks: broken }, done.map(|()| 0))
        } else if !idle.is_empty() {
            self.packer.take_back(fragment);
            (Outcome::Postponed { ranks: idle }, Ok(0))
        } else {
            (Outcome::Synchronised, self.take(optimizer, fragment, &packed))
        };
        let (hash, mended) = if self.settings.verify {
            let said = self.tell(done, 0.0)?;
            (said[0].word, self.mend(optimizer, fragment, &said, !self.settings.mixes())?)
        } else {
            let next = self.settings.timetable.fragment(self.place.turn);
            self.or_tell(next, done)?;
            (hash, vec![])
        };
        let (round, steps) = (self.place.turn, optimizer.steps());
        self.place = self.settings.timetable.at(round, steps);
        let (fragment, seconds) = (self.told(fragment), seconds + start.elapsed().as_secs_f64());
        Ok(Report { round, fragment, steps, outcome, bytes, seconds, overlapped, waited, mended, hash })
    }

    fn send_at_last(&mut self) -> Result<(), Error> {
        let Some(mut flight) = self.flight.take() else { return Ok(()) };
        match flight.reading.take() {
            Some(reading) => self.send_read(flight, reading),
            None => {
                self.flight = Some(flight);
                Ok(())
            }
        }
    }

    /// Waits for what is under way, of which nothing is taken. All ranks call this together.
    pub(crate) fn abandon(&mut self, optimizer: &Optimizer) -> Result<(), Error> {
        let sent = self.send_at_last();
        if let Some(beside) = self.beside.as_mut().filter(|beside| beside.is_busy()) {
            let Done { mean, fragment, .. } = beside.finish()?;
            self.means[fragment] = mean;
        }
        if let Some(Flight { fragment, .. }) = self.flight.take() {
            self.packer.take_back(fragment);
        }
        if self.place.is_under_way {
            self.place = self.settings.timetable.at(self.place.turn, optimizer.steps());
        }
        sent
    }

    /// Tells the others that what this rank has not sent yet will not come.
    pub(crate) fn give_up(&mut self) {
        if let Some(Flight { fragment, reading: Some(_), .. }) = self.flight.take() {
            // Where the thread is no more nobody waits for it.
            let _ = self.hand_over(fragment, Standing::Failed, vec![]);
        }
    }

    /// The outer step on a fragment's mean, and what the fast weights keep of their own.
    fn take(&mut self, optimizer: &mut Optimizer, fragment: usize, packed: &[u8]) -> Result<u64, Error> {
        let mixes = self.settings.mixes();
        if mixes {
            self.packer.remember(optimizer, fragment)?;
        }
        let hash = self.outer_step(optimizer, fragment, packed)?;
        if mixes {
            self.packer.mix(optimizer, fragment)?;
        }
        Ok(hash)
    }
}
