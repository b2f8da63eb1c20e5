//! What is asked of `Lookahead` beside steps.
//!
//! Burn's `ModuleOptimizer` keeps the states of its parameters to itself: a step, which it passes on to its optimizer on
//! the same thread, is the only way to them that leaves tensors on the device. So a request is laid down for that thread,
//! and the step finds it instead of a step.

use std::cell::Cell;

thread_local! {
    static REQUEST: Cell<Option<Request>> = const { Cell::new(None) };
}

/// What a step is to do instead.
#[derive(Clone, Copy)]
pub(super) enum Request {
    /// Give the slow weights, and change nothing.
    Slow,
    /// Sync now, without an inner step.
    Sync,
}

impl Request {
    /// Whether `step` reached a `Lookahead`, which did this instead, and what it gave.
    pub(super) fn during<T>(self, step: impl FnOnce() -> T) -> (bool, T) {
        /// Takes the request back, also where the step panics.
        struct Laid;
        impl Drop for Laid {
            fn drop(&mut self) {
                REQUEST.take();
            }
        }
        REQUEST.set(Some(self));
        let laid = Laid;
        let given = step();
        let is_answered = REQUEST.take().is_none();
        drop(laid);
        (is_answered, given)
    }

    /// The request of this thread, which is answered with that.
    pub(super) fn take() -> Option<Self> {
        REQUEST.take()
    }
}
