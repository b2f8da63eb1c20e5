//! Runs whose parts are timed.

use crate::{rule, trained};
use lookahead_test_support::{gpu, on_every_adapter};
use lookahead_wgpu::{gpu::Gpu, wgpu};
use std::time::Instant;
use train::data::Dataset;
use train::driver::Workbench;
use train::history::{Epoch, History};
use train::options::Options;
use train::profile::{Clock, Profile, with_timestamps};
use train::settings::{PolicyName, Settings};

fn settings() -> Settings {
    Settings {
        rule: rule("adam"),
        learning_rate: 0.003,
        lookahead: Some((5, 0.5, PolicyName::Maintain)),
        options: Options::default(),
        hidden: vec![32],
        epochs: 2,
        batch: 64,
        seed: 1,
        tests_each_epoch: 2,
    }
}

fn bench(gpu: &Gpu) -> Workbench {
    Workbench::new(gpu.clone(), &Dataset::digits().unwrap()).unwrap()
}

/// What a run came to, without how long that took.
fn timeless(history: &History) -> History {
    let epochs = history.epochs.iter().map(|epoch| Epoch { seconds: 0.0, ..*epoch });
    History { epochs: epochs.collect(), profile: None, ..history.clone() }
}

fn calls(profile: &Profile) -> Vec<(&'static str, usize)> {
    profile.calls.iter().map(|call| (call.kind, call.batches)).collect()
}

#[test]
fn a_profile_leaves_the_weights_as_they_are_on_every_adapter() {
    let _turn = crate::turn();
    on_every_adapter(|gpu| {
        let (plain, snapshots) = trained(&bench(gpu), &settings(), 10);
        assert_eq!(plain.profile, None);
        let timed = with_timestamps(gpu.clone()).unwrap();
        let has_timestamps = timed.device.features().contains(wgpu::Features::TIMESTAMP_QUERY);
        assert_eq!(has_timestamps, gpu.adapter.features().contains(wgpu::Features::TIMESTAMP_QUERY));
        // The tests' own device has none.
        let mut clocks = vec![(gpu, Clock::Host)];
        clocks.extend(has_timestamps.then_some((&timed, Clock::Timestamps)));
        for (gpu, clock) in clocks {
            let bench = bench(gpu).profiled();
            let begin = Instant::now();
            let (history, kept) = trained(&bench, &settings(), 10);
            let seconds = begin.elapsed().as_secs_f64();
            assert_eq!(timeless(&history), timeless(&plain));
            assert_eq!(kept.len(), snapshots.len());
            for ((snapshot, _), (expected, _)) in kept.iter().zip(&snapshots) {
                assert_eq!(snapshot, expected);
            }
            let profile = history.profile.unwrap();
            assert_eq!((profile.clock, profile.batches), (clock, 46));
            assert_eq!(calls(&profile), [("step", 37), ("step with sync", 9)]);
            let parts = [profile.forward, profile.backward, profile.optimizer];
            assert!(parts.iter().all(|part| *part > 0.0), "{profile:?}");
            // Half of the batches took at least the medians, and what they took was not more than there was.
            let sum: f64 = parts.iter().sum();
            assert!(sum * 23.0 < seconds, "{profile:?} in {seconds} s");
            assert!(profile.host > -0.1 * sum, "the device's clock tells more than the host's: {profile:?}");
        }
    });
}

#[test]
fn micro_batches_are_told_from_steps() {
    let options = Options { accumulate: Some(3), ..Options::default() };
    let how = Settings { options, lookahead: None, ..settings() };
    let history = bench(gpu()).profiled().train(&how, &mut |_| ()).unwrap();
    // 23 batches of an epoch make 7 steps and one of two batches.
    assert_eq!(calls(&history.profile.unwrap()), [("accumulation", 30), ("step", 16)]);
}
