//! Fragments that are exchanged one after the other, and beside steps.

use std::{sync::Arc, thread::sleep, time::Duration};

use lookahead_mpi::{
    Mode, Outcome, Packing, Streaming, Wire, Workers,
    mpi::{
        Threading,
        topology::SimpleCommunicator,
        traits::{Communicator, CommunicatorCollectives},
    },
};
use lookahead_wgpu::{
    Field, Guard, Half, Lookahead, Optimizer,
    outer::{Interpolation, Nesterov},
    rules::{Adam, AdamW, Sgd},
    twin::Twin,
};

use crate::{
    launch::{on_ranks, on_ranks_with},
    model::{
        TENSORS, bits, build_in_groups, encoder, first_weights, gpu, largest_difference, plain_step, read,
        scripted, step, widened,
    },
    twins::Twins,
};

/// An outer step and the rule inside: DiLoCo's.
fn diloco() -> lookahead_wgpu::Builder {
    let builder = Optimizer::builder(AdamW::new(0.02).weight_decay(0.1)).lookahead(Lookahead::new(6, 0.7));
    builder.outer(Nesterov { momentum: 0.9 })
}

// Fault: a sync of all groups at a fragment's turn.
#[test]
fn one_worker_without_overlap_synchronises_groups_in_turn() {
    on_ranks(1, "streaming::one_worker_without_overlap_synchronises_groups_in_turn", |world| {
        let gpu = gpu();
        for wire in [Wire::F32, Wire::F16] {
            let never = || diloco().lookahead(Lookahead::new(lookahead_mpi::NEVER, 0.7));
            let (mut plain, mut optimizer) =
                (build_in_groups(&gpu, never()), build_in_groups(&gpu, diloco()));
            let workers = Workers::builder(world.duplicate()).wire(wire).streaming(Streaming::new(0));
            let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
            assert_eq!(workers.fragments(), [["a"], ["b"], ["c"]]);
            for at in 0..13 {
                plain_step(&gpu, &mut plain, &scripted(0, at));
                let report = step(&gpu, &mut workers, &mut optimizer, &scripted(0, at));
                let turn = (at % 2 == 1).then_some((at as usize / 2) % 3);
                assert_eq!(report.and_then(|report| report.fragment), turn);
                if let Some(fragment) = turn {
                    let mut encoder = encoder(&gpu);
                    plain.sync_last_step_of(&[TENSORS[fragment].0], &mut encoder).unwrap();
                    gpu.queue.submit([encoder.finish()]);
                }
                // Differences in f16 are rounded.
                assert!(wire != Wire::F32 || bits(&optimizer) == bits(&plain), "step {at}");
            }
            assert_eq!(workers.rounds(), 6);
            let slow = widened(&read(&plain, Field::SlowWeights));
            assert!(largest_difference(&read(&optimizer, Field::SlowWeights), &slow) < 1e-3);
        }
    });
}

/// Trains workers beside their twins: a period of 7 steps, so that fragments are sent after 2, 4 and 7 of them.
fn compare(
    world: &SimpleCommunicator,
    builder: lookahead_wgpu::Builder,
    [rate, mixing]: [f64; 2],
    overlap: u32,
    mut twins: Twins,
) {
    let (gpu, rank) = (gpu(), world.rank() as usize);
    let mut optimizer = build_in_groups(&gpu, builder);
    let streaming = Streaming::new(overlap).mixing(mixing);
    let workers = Workers::builder(world.duplicate()).period(7).streaming(streaming);
    let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
    for at in 0..21 {
        twins.step(at, rate);
        let report = step(&gpu, &mut workers, &mut optimizer, &scripted(rank, at));
        let turn = |steps: u64| [2, 4, 7].into_iter().position(|turn| (steps + 7 - turn).is_multiple_of(7));
        if let Some(tensor) = turn(at + 1) {
            twins.send(tensor);
        }
        let merged = (at + 1).checked_sub(u64::from(overlap)).filter(|steps| *steps > 0).and_then(turn);
        assert_eq!(report.and_then(|report| report.fragment), merged, "step {at}");
        if merged.is_some() {
            twins.merge(rate, mixing);
        }
        let slow = largest_difference(&read(&optimizer, Field::SlowWeights), &twins.slow);
        let fast = largest_difference(&read(&optimizer, Field::Weights), &twins.workers[rank].weights);
        assert!(slow < 2e-5 && fast < 2e-5, "overlap {overlap}, step {at}: {slow} and {fast}");
    }
    assert!(largest_difference(&first_weights(), &twins.slow) > 0.05, "nothing has moved");
}

// Faults: theta as it is at the merge is sent; the steps under way are lost, or counted twice; another fragment's mean.
#[test]
fn fragments_are_their_twins() {
    for ranks in [2, 3] {
        on_ranks_with(Threading::Multiple, ranks, "streaming::fragments_are_their_twins", |world| {
            let size = world.size() as usize;
            for (overlap, mixing) in [(0, 0.5), (1, 0.0), (1, 0.25)] {
                let (rule, outer) = (AdamW::new(0.02).weight_decay(0.1), Nesterov { momentum: 0.9 });
                let twins =
                    Twins::new(size, Arc::new(outer), 0.7, |weights| Twin::new(rule.clone(), weights));
                // Without overlap nothing is mixed.
                let mixed = if overlap == 0 { 0.0 } else { mixing };
                compare(&world, diloco(), [0.02, mixed], overlap, twins);
                let rule = Sgd::new(0.1).momentum(0.9);
                let twins = Twins::new(size, Arc::new(Interpolation), 0.6, |weights| {
                    Twin::new(rule.clone(), weights)
                });
                let builder = Optimizer::builder(rule.clone()).lookahead(Lookahead::new(6, 0.6));
                compare(&world, builder, [0.1, mixed], overlap, twins);
            }
        });
    }
}

// Faults: bytes of another fragment's place; what is kept by another's.
#[test]
fn the_gpu_packs_fragments_as_the_host() {
    on_ranks_with(Threading::Multiple, 2, "streaming::the_gpu_packs_fragments_as_the_host", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        for wire in Wire::ALL {
            let mut optimizers = [build_in_groups(&gpu, diloco()), build_in_groups(&gpu, diloco())];
            let mut workers = Vec::new();
            for (optimizer, packing) in optimizers.iter_mut().zip([Packing::Host, Packing::Device]) {
                let streaming = Streaming::new(1).mixing(0.5).fragments([vec!["c", "a"], vec!["b"]]);
                let it = Workers::builder(world.duplicate()).wire(wire).packing(packing).streaming(streaming);
                let it = it.build(optimizer, &gpu.device, &gpu.queue).unwrap();
                assert_eq!(it.packing(), packing);
                workers.push(it);
            }
            for at in 0..16 {
                let both = workers.iter_mut().zip(&mut optimizers);
                let reports: Vec<_> = both
                    .map(|(workers, optimizer)| step(&gpu, workers, optimizer, &scripted(rank, at)))
                    .map(|report| report.map(|report| (report.fragment, report.hash, report.bytes)))
                    .collect();
                assert_eq!(reports[0], reports[1], "{wire:?}, step {at}");
                assert!(bits(&optimizers[0]) == bits(&optimizers[1]), "{wire:?}, step {at}");
            }
            for (workers, optimizer) in workers.iter_mut().zip(&mut optimizers) {
                // The first fragment was merged just now, and the other has its turn.
                let report = workers.round(optimizer).unwrap();
                assert_eq!((report.fragment, workers.rounds()), (None, 6));
                workers.check(optimizer).unwrap();
                assert!(read(optimizer, Field::Weights) == read(optimizer, Field::SlowWeights), "{wire:?}");
            }
            assert!(bits(&optimizers[0]) == bits(&optimizers[1]), "{wire:?} at the end");
        }
    });
}

#[test]
fn workers_on_equal_data_are_one() {
    on_ranks_with(Threading::Multiple, 3, "streaming::workers_on_equal_data_are_one", |world| {
        let gpu = gpu();
        let mut optimizers = [build_in_groups(&gpu, diloco()), build_in_groups(&gpu, diloco())];
        let worlds = [world, SimpleCommunicator::self_comm()];
        let mut workers: Vec<_> = worlds
            .into_iter()
            .zip(&mut optimizers)
            .map(|(world, optimizer)| {
                let workers = Workers::builder(world).streaming(Streaming::new(1)).verify(false);
                workers.build(optimizer, &gpu.device, &gpu.queue).unwrap()
            })
            .collect();
        for at in 0..15 {
            for (workers, optimizer) in workers.iter_mut().zip(&mut optimizers) {
                step(&gpu, workers, optimizer, &scripted(0, at));
            }
            assert!(bits(&optimizers[0]) == bits(&optimizers[1]), "step {at}");
        }
    });
}

#[test]
fn steps_go_on_while_a_straggler_is_waited_for() {
    on_ranks_with(
        Threading::Multiple,
        2,
        "streaming::steps_go_on_while_a_straggler_is_waited_for",
        |world| {
            let (gpu, rank) = (gpu(), world.rank() as usize);
            let builder = Optimizer::builder(Sgd::new(0.1)).lookahead(Lookahead::new(18, 0.5));
            let mut optimizer = build_in_groups(&gpu, builder);
            let workers = Workers::builder(world).streaming(Streaming::new(5)).verify(false);
            let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
            let mut last = None;
            for at in 0..11 {
                // Rank 1 comes late to the first fragment's turn, and the others take their steps.
                let late = if rank == 1 && at == 5 { 600 } else { 0 };
                sleep(Duration::from_millis(late + if (6..11).contains(&at) { 200 } else { 0 }));
                last = last.or(step(&gpu, &mut workers, &mut optimizer, &scripted(rank, at)));
            }
            let report = last.unwrap();
            assert_eq!((report.round, report.fragment, report.steps), (1, Some(0), 11), "{report:?}");
            assert_eq!(report.straggler(0.2), Some(1), "{report:?}");
            assert!(rank == 1 || (report.overlapped > 0.4 && report.seconds < 0.3), "{report:?}");
        },
    );
}

// Faults: NaN in what int8 has yet to send; what was given up is kept for sent; other fragments of that rank stay NaN.
#[test]
fn a_value_that_is_not_finite_is_given_up_by_all() {
    on_ranks_with(
        Threading::Multiple,
        2,
        "streaming::a_value_that_is_not_finite_is_given_up_by_all",
        |world| {
            let (gpu, rank) = (gpu(), world.rank() as usize);
            for packing in [Packing::Host, Packing::Device] {
                let builder = Optimizer::builder(Adam::new(0.05)).lookahead(Lookahead::new(6, 0.5));
                let mut optimizer = build_in_groups(&gpu, builder);
                let workers = Workers::builder(world.duplicate()).packing(packing).wire(Wire::Int8);
                let workers = workers.streaming(Streaming::new(1));
                let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
                let mut outcomes = Vec::new();
                for at in 0..19 {
                    let mut gradients = scripted(rank, at);
                    if rank == 1 && at == 2 {
                        gradients[1][200] = f32::NAN;
                    }
                    let report = step(&gpu, &mut workers, &mut optimizer, &gradients);
                    outcomes.extend(report.map(|report| report.outcome));
                }
                let expected: Vec<_> = (0..9)
                    .map(|round| {
                        if round == 1 { Outcome::Discarded { ranks: vec![1] } } else { Outcome::Synchronised }
                    })
                    .collect();
                assert_eq!(outcomes, expected, "{packing:?}");
                for field in [Field::Weights, Field::SlowWeights, Field::State("exp_avg")] {
                    assert!(
                        read(&optimizer, field).iter().flatten().all(|value| value.is_finite()),
                        "{field}"
                    );
                }
                workers.check(&optimizer).unwrap();
            }
        },
    );
}

#[test]
fn a_turn_whose_steps_a_guard_has_all_skipped_is_left_out() {
    on_ranks_with(
        Threading::Multiple,
        2,
        "streaming::a_turn_whose_steps_a_guard_has_all_skipped_is_left_out",
        |world| {
            let (gpu, rank) = (gpu(), world.rank() as usize);
            let builder = Optimizer::builder(Adam::new(0.05)).lookahead(Lookahead::new(6, 0.5));
            let mut optimizer = build_in_groups(&gpu, builder.guard(Guard::default()));
            let workers = Workers::builder(world).streaming(Streaming::new(1));
            let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
            let mut outcomes = Vec::new();
            for at in 0..9 {
                let mut gradients = scripted(rank, at);
                if rank == 1 && at < 2 {
                    gradients[0][0] = f32::NAN;
                }
                let report = step(&gpu, &mut workers, &mut optimizer, &gradients);
                outcomes.extend(report.map(|report| report.outcome));
            }
            let fine = Outcome::Synchronised;
            assert_eq!(outcomes, [Outcome::Postponed { ranks: vec![1] }, fine.clone(), fine.clone(), fine]);
            workers.check(&optimizer).unwrap();
        },
    );
}

// Fault: a half-width copy that stays behind what was mixed.
#[test]
fn half_width_copies_are_of_what_was_mixed() {
    on_ranks_with(Threading::Multiple, 2, "streaming::half_width_copies_are_of_what_was_mixed", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        let mut optimizer = build_in_groups(&gpu, diloco().half_weights(Half::F16));
        let workers = Workers::builder(world).streaming(Streaming::new(1));
        let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        assert_eq!(workers.packing(), Packing::Host);
        for at in 0..3 {
            step(&gpu, &mut workers, &mut optimizer, &scripted(rank, at));
        }
        let weights = read(&optimizer, Field::Weights);
        assert_ne!(weights[0], read(&optimizer, Field::SlowWeights)[0]);
        let copies = widened(&read(&optimizer, Field::HalfWeights));
        assert!(largest_difference(&weights, &copies) < 1e-3);
    });
}

// Fault: what is under way when a run goes back to a checkpoint is taken for what comes later.
#[test]
fn a_run_goes_back_while_a_fragment_is_under_way() {
    on_ranks_with(
        Threading::Multiple,
        2,
        "streaming::a_run_goes_back_while_a_fragment_is_under_way",
        |world| {
            let (gpu, rank) = (gpu(), world.rank() as usize);
            for packing in [Packing::Host, Packing::Device] {
                let folder = std::env::temp_dir().join(format!("lookahead-mpi-{}", parent()));
                // Fragments are sent after 3, 6, 9 and 12 steps, and merged two steps later.
                let mut ends = Vec::new();
                for twice in [&[][..], &[5, 6, 7, 5, 6]] {
                    let mut optimizer = build_in_groups(&gpu, diloco());
                    let workers = Workers::builder(world.duplicate()).wire(Wire::Int8).packing(packing);
                    let workers = workers.period(9).streaming(Streaming::new(2).mixing(0.3));
                    let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
                    for (number, at) in (0..5).chain(twice.iter().copied()).chain(5..16).enumerate() {
                        if at == 5 && number > 5 {
                            let restored = workers.restore(&mut optimizer, &folder).unwrap();
                            assert_eq!(restored.map(|from| from.round), Some(1));
                        }
                        let report = step(&gpu, &mut workers, &mut optimizer, &scripted(rank, at));
                        if report.is_some_and(|report| report.round == 1) {
                            workers.save(&optimizer, &folder).unwrap();
                        } else if at == 6 {
                            let problem = workers.save(&optimizer, &folder).unwrap_err().to_string();
                            assert!(problem.contains("between rounds only"), "{problem}");
                        }
                    }
                    workers.check(&optimizer).unwrap();
                    ends.push(bits(&optimizer));
                }
                assert!(ends[0] == ends[1], "{packing:?}");
                world.barrier();
                if rank == 0 {
                    std::fs::remove_dir_all(&folder).unwrap();
                }
                world.barrier();
            }
        },
    );
}

// Fault: a rank that has packed nothing yet when it ends is waited for.
#[test]
fn workers_end_while_a_fragment_is_under_way() {
    on_ranks_with(Threading::Multiple, 2, "streaming::workers_end_while_a_fragment_is_under_way", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        for packing in [[Packing::Host, Packing::Device], [Packing::Device, Packing::Device]] {
            let mut optimizer = build_in_groups(&gpu, diloco());
            let workers = Workers::builder(world.duplicate()).packing(packing[rank]);
            let workers = workers.period(9).streaming(Streaming::new(2));
            let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
            for at in 0..4 {
                step(&gpu, &mut workers, &mut optimizer, &scripted(rank, at));
                sleep(Duration::from_millis(if at == 2 && rank == 0 { 200 } else { 0 }));
            }
        }
    });
}

// Fault: communicators of several threads that are made at once.
#[test]
fn several_workers_are_built_in_turn() {
    on_ranks_with(Threading::Multiple, 3, "streaming::several_workers_are_built_in_turn", |world| {
        let gpu = gpu();
        for _ in 0..15 {
            let mut optimizers = [build_in_groups(&gpu, diloco()), build_in_groups(&gpu, diloco())];
            let all = optimizers.iter_mut().map(|optimizer| {
                let workers = Workers::builder(world.duplicate()).streaming(Streaming::new(1));
                workers.build(optimizer, &gpu.device, &gpu.queue).unwrap()
            });
            assert_eq!(all.collect::<Vec<_>>().len(), 2);
        }
    });
}

// Faults: steps of a fragment that was not merged are given up; one that was is exchanged again.
#[test]
fn a_round_at_once_takes_what_was_not_merged() {
    on_ranks_with(Threading::Multiple, 2, "streaming::a_round_at_once_takes_what_was_not_merged", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        for is_skipped in [false, true] {
            let builder = Optimizer::builder(Adam::new(0.05)).lookahead(Lookahead::new(6, 0.5));
            let mut optimizer = build_in_groups(&gpu, builder.guard(Guard::default()));
            let workers = Workers::builder(world.duplicate()).wire(Wire::Int8).streaming(Streaming::new(1));
            let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
            for at in 0..3 {
                let mut gradients = scripted(rank, at);
                if is_skipped && rank == 1 && at < 2 {
                    gradients[0][0] = f32::NAN;
                }
                step(&gpu, &mut workers, &mut optimizer, &gradients);
            }
            let before = read(&optimizer, Field::SlowWeights);
            let report = workers.round(&mut optimizer).unwrap();
            assert_eq!(report.outcome, Outcome::Synchronised);
            let slow = read(&optimizer, Field::SlowWeights);
            assert_eq!(slow[0] != before[0], is_skipped, "the first fragment's");
            assert!(slow[1] != before[1] && slow[2] != before[2]);
            assert!(read(&optimizer, Field::Weights) == slow);
            workers.check(&optimizer).unwrap();
        }
    });
}

#[test]
fn one_rank_alone_is_told_a_hash() {
    on_ranks_with(Threading::Multiple, 1, "streaming::one_rank_alone_is_told_a_hash", |world| {
        let gpu = gpu();
        let mut optimizer = build_in_groups(&gpu, diloco());
        let workers = Workers::builder(world).streaming(Streaming::new(1)).verify(false);
        let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        let reports = (0..3).filter_map(|at| step(&gpu, &mut workers, &mut optimizer, &scripted(0, at)));
        assert!(reports.map(|report| report.hash).all(|hash| hash != 0));
    });
}

/// The launcher's number, which all ranks have alike.
fn parent() -> u32 {
    std::os::unix::process::parent_id()
}

#[test]
fn what_does_not_go() {
    on_ranks(1, "streaming::what_does_not_go", |world| {
        let gpu = gpu();
        let refused = |mode: Mode, period: u32, streaming: Streaming| {
            let mut optimizer = build_in_groups(&gpu, diloco());
            let workers = Workers::builder(world.duplicate()).mode(mode).period(period).streaming(streaming);
            workers.build(&mut optimizer, &gpu.device, &gpu.queue).err().unwrap().to_string()
        };
        let holds = |text: String, words: &[&str]| {
            words.iter().for_each(|word| assert!(text.contains(word), "{text}"));
        };
        let of = |fragments: &[&[&str]]| Streaming::new(0).fragments(fragments.iter().map(|of| of.to_vec()));
        holds(refused(Mode::Gradients, 6, of(&[])), &["streaming is for local steps"]);
        holds(refused(Mode::Local, 6, of(&[&["a"], &["b"]])), &["[\"a\", \"b\"]", "name each of"]);
        holds(
            refused(Mode::Local, 6, of(&[&["a", "b"], &["b", "c"]])),
            &["name each of [\"a\", \"b\", \"c\"] once"],
        );
        holds(refused(Mode::Local, 6, of(&[&["a", "b", "c"], &[]])), &["a fragment without groups"]);
        holds(refused(Mode::Local, 2, of(&[&["a"], &["b"], &["c"]])), &["3 fragments", "a period of 2"]);
        holds(refused(Mode::Local, 8, Streaming::new(2)), &["an overlap of 2 steps", "2 steps later"]);
        holds(refused(Mode::Local, 9, Streaming::new(2).mixing(1.0)), &["a mixing factor of 1"]);
        holds(refused(Mode::Local, 9, Streaming::new(2).mixing(f64::NAN)), &["a mixing factor of NaN"]);
        holds(
            refused(Mode::Local, 9, Streaming::new(2)),
            &["Threading::Single", "initialize_with_threading"],
        );
    });
}
