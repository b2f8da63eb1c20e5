//! What takes part in the measurement, in this process or in another.

use std::time::Instant;

use crate::{
    check,
    peer::{Failure, K, Peer},
    tensors::{List, Tensors},
};

/// An optimizer that is checked and timed.
pub trait Contender {
    /// The weights that the check's steps end with.
    fn check(&mut self) -> Result<Vec<Vec<f32>>, Failure>;

    /// The seconds that so many cycles take, up to the end of the device's work.
    fn sample(&mut self, cycles: u32) -> Result<f64, Failure>;
}

type Make = Box<dyn Fn(&Tensors) -> Result<Box<dyn Peer>, Failure>>;

/// One of this process.
pub struct Local {
    list: List,
    make: Make,
    /// Made with the first sample.
    peer: Option<Box<dyn Peer>>,
}

impl Local {
    pub fn new(list: List, make: impl Fn(&Tensors) -> Result<Box<dyn Peer>, Failure> + 'static) -> Self {
        Self { list, make: Box::new(make), peer: None }
    }
}

impl Contender for Local {
    fn check(&mut self) -> Result<Vec<Vec<f32>>, Failure> {
        check::weights((self.make)(&check::tensors())?.as_mut())
    }

    fn sample(&mut self, cycles: u32) -> Result<f64, Failure> {
        let peer = match &mut self.peer {
            Some(peer) => peer,
            none => none.insert((self.make)(&self.list.tensors())?),
        };
        let begin = Instant::now();
        peer.step(cycles * K)?;
        Ok(begin.elapsed().as_secs_f64())
    }
}
