//! Waiting for the device where there is nobody else to poll it.
//!
//! wgpu calls back from whichever call polls the device, and a future that waits for such a call would wait for ever
//! if nobody polled. So a thread does while futures wait: one for each optimizer, begun by the first future that is
//! polled and gone with the last. In a browser the event loop calls back.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::Waiter;
#[cfg(target_arch = "wasm32")]
pub(crate) use web::Waiter;

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::{
        collections::VecDeque,
        panic::{AssertUnwindSafe, catch_unwind},
        sync::{Arc, Mutex, MutexGuard, PoisonError},
        thread,
        time::Duration,
    };

    use futures::channel::oneshot;

    /// How long one poll waits at most. wgpu holds locks meanwhile, for which other threads that destroy buffers
    /// wait, and on OpenGL any other call: it must not be long.
    const TURN: Duration = Duration::from_millis(5);

    /// How long others have those locks to themselves.
    const PAUSE: Duration = Duration::from_millis(1);

    /// wgpu-core 30.0 also panics where another thread's poll finds a submission done just after this one's has not
    /// (gfx-rs/wgpu#9958). The next poll finds it done, and on a lost device it panics again.
    const ATTEMPTS: usize = 3;

    type Outcome = Result<(), String>;

    /// Somebody waits for a submission.
    struct Request {
        device: wgpu::Device,
        submission: wgpu::SubmissionIndex,
        done: oneshot::Sender<Outcome>,
    }

    #[derive(Default)]
    struct Requests {
        waiting: VecDeque<Request>,
        /// A thread serves them.
        is_served: bool,
    }

    /// Waits for submissions, in the order in which it is asked.
    #[derive(Clone, Default)]
    pub(crate) struct Waiter(Arc<Mutex<Requests>>);

    impl Waiter {
        /// Ends when the device has done everything up to this submission, and what was to be called back was; or
        /// with what keeps it from that.
        pub async fn wait(&self, device: &wgpu::Device, submission: wgpu::SubmissionIndex) -> Outcome {
            let (done, outcome) = oneshot::channel();
            let request = Request { device: device.clone(), submission, done };
            let is_served = {
                let mut requests = self.requests();
                requests.waiting.push_back(request);
                std::mem::replace(&mut requests.is_served, true)
            };
            if !is_served {
                let waiter = self.clone();
                let thread = thread::Builder::new().name("lookahead wait".to_owned());
                if thread.spawn(move || waiter.serve()).is_err() {
                    // The system gives no thread: this one waits.
                    self.serve();
                }
            }
            outcome.await.unwrap_or_else(|_| Err("the thread that polls it ended".to_owned()))
        }

        fn requests(&self) -> MutexGuard<'_, Requests> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// The next request. Where there is none, the thread that asked must end.
        fn next(&self) -> Option<Request> {
            let mut requests = self.requests();
            let next = requests.waiting.pop_front();
            requests.is_served = next.is_some();
            next
        }

        fn serve(&self) {
            while let Some(Request { device, submission, done }) = self.next() {
                let attempt = || catch_unwind(AssertUnwindSafe(|| poll(&device, &submission, &done))).ok();
                // wgpu panics where the driver loses the device. The futures behind this one must end all the same.
                let outcome = (0..ATTEMPTS).find_map(|_| attempt());
                let outcome = outcome.unwrap_or_else(|| Err("the driver lost it".to_owned()));
                // The last handle of a device must not be dropped here, where a program may be about to end.
                drop(device);
                // Who asked may have lost interest.
                let _ = done.send(outcome);
            }
        }
    }

    fn poll(
        device: &wgpu::Device,
        submission: &wgpu::SubmissionIndex,
        done: &oneshot::Sender<Outcome>,
    ) -> Outcome {
        while !done.is_canceled() {
            let turn =
                wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(TURN) };
            match device.poll(turn) {
                Ok(_) => return Ok(()),
                Err(wgpu::PollError::Timeout) => thread::sleep(PAUSE),
                Err(problem) => return Err(problem.to_string()),
            }
        }
        Ok(())
    }
}

#[cfg(target_arch = "wasm32")]
mod web {
    /// The event loop calls back, and nobody has to wait.
    #[derive(Clone, Default)]
    pub(crate) struct Waiter {}

    impl Waiter {
        /// Nothing to do.
        pub async fn wait(&self, _: &wgpu::Device, _: wgpu::SubmissionIndex) -> Result<(), String> {
            Ok(())
        }
    }
}
