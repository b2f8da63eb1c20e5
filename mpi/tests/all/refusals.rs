//! What is refused, on all ranks and with both sides named.

use lookahead_mpi::{
    Error, Mode, NEVER, Wire, Workers, mpi::topology::SimpleCommunicator, mpi::traits::Communicator,
};
use lookahead_wgpu::{
    AdaptiveAlpha, Anderson, Average, DEFAULT_GROUP, Group, Guard, Half, Lookahead, Optimizer, StatePolicy,
    alpha::Curvature,
    outer::SlowMo,
    rules::{Adam, Katyusha, Sgd},
};

use crate::{
    launch::on_ranks,
    model::{build, gpu, plain_step, scripted, step},
};

/// What building gives where rank 2 has another optimizer or other settings.
fn refused(
    world: &SimpleCommunicator,
    optimizer: impl Fn(bool) -> lookahead_wgpu::Builder,
    settings: impl Fn(lookahead_mpi::Builder, bool) -> lookahead_mpi::Builder,
) -> String {
    let (gpu, other) = (gpu(), world.rank() == 2);
    let optimizer = optimizer(other).tensor("w", &[9]).pipelines(&gpu.pipelines);
    let mut optimizer = optimizer.build_blocking(&gpu.device, &gpu.queue).unwrap();
    let workers = settings(Workers::builder(world.duplicate()), other);
    let problem = workers.build(&mut optimizer, &gpu.device, &gpu.queue).err().unwrap();
    assert!(matches!(problem, Error::Differs { rank: 2, .. }), "{problem}");
    problem.to_string()
}

#[test]
fn ranks_that_differ() {
    on_ranks(3, "refusals::ranks_that_differ", |world| {
        let plain = || Optimizer::builder(Adam::new(0.1)).lookahead(Lookahead::new(2, 0.5));
        let same = |workers: lookahead_mpi::Builder, _| workers;
        let holds = |text: String, words: [&str; 2]| {
            words.iter().for_each(|word| assert!(text.contains(word), "{text}"))
        };

        let layout = |other| plain().tensor("v", if other { &[3, 2] } else { &[2, 3] });
        holds(refused(&world, layout, same), ["tensor `v` of shape [2, 3]", "tensor `v` of shape [3, 2]"]);
        let rule = |other| {
            let lookahead = Lookahead::new(2, 0.5);
            if other { Optimizer::builder(Sgd::new(0.1)).lookahead(lookahead) } else { plain() }
        };
        holds(refused(&world, rule, same), ["rule adam", "rule sgd"]);
        let alpha = |other| plain().lookahead(Lookahead::new(2, if other { 0.7 } else { 0.5 }));
        holds(refused(&world, alpha, same), ["alpha: 0.5", "alpha: 0.7"]);
        let outer = |other| if other { plain().outer(SlowMo { momentum: 0.5 }) } else { plain() };
        holds(refused(&world, outer, same), ["Interpolation", "SlowMo"]);
        let period = |workers: lookahead_mpi::Builder, other| workers.period(if other { 3 } else { 2 });
        holds(refused(&world, |_| plain(), period), ["period 2", "period 3"]);
        let wire =
            |workers: lookahead_mpi::Builder, other| workers.wire(if other { Wire::F16 } else { Wire::Int8 });
        holds(refused(&world, |_| plain(), wire), ["wire int8", "wire f16"]);
        let verify = |workers: lookahead_mpi::Builder, other: bool| workers.verify(!other);
        holds(refused(&world, |_| plain(), verify), ["verify true", "verify false"]);
        let mode = |workers: lookahead_mpi::Builder, other| {
            workers.mode(if other { Mode::Gradients } else { Mode::Local })
        };
        holds(refused(&world, |_| plain(), mode), ["local steps, period 2", "gradients"]);
    });
}

#[test]
fn what_local_steps_have_no_meaning_for() {
    on_ranks(1, "refusals::what_local_steps_have_no_meaning_for", |world| {
        let gpu = gpu();
        let refused = |builder: lookahead_wgpu::Builder, period: Option<u32>| {
            let mut optimizer = build(&gpu, builder);
            let workers = Workers::builder(world.duplicate());
            let workers = if let Some(period) = period { workers.period(period) } else { workers };
            let problem = workers.build(&mut optimizer, &gpu.device, &gpu.queue).err().unwrap().to_string();
            // What was refused is as it was.
            assert_ne!(optimizer.lookahead(DEFAULT_GROUP).unwrap().map(|lookahead| lookahead.k), Some(NEVER));
            problem
        };
        let around = || Optimizer::builder(Adam::new(0.1)).lookahead(Lookahead::new(2, 0.5));
        assert!(refused(Optimizer::builder(Adam::new(0.1)), None).contains("build with `lookahead`"));
        assert!(refused(around().average(Average::Ema { decay: 0.9 }), None).contains("average"));
        assert!(refused(around().adaptive(AdaptiveAlpha::new(0.1)), None).contains("adaptive alpha"));
        assert!(refused(around(), Some(0)).contains("at least 1"));
        assert!(refused(around().anderson(Anderson::new(2)), None).contains("Anderson acceleration"));
        let tasks = around().lookahead(Lookahead::new(2, 0.5).tasks(2));
        assert!(refused(tasks, None).contains("a task of its own"));
        let anchored = Optimizer::builder(Katyusha::of(1.0, 1.0, 2)).lookahead(Lookahead::new(2, 1.0));
        assert!(refused(anchored, None).contains("reads the slow weights"));
        let resets =
            around().lookahead(Lookahead::new(2, 0.5).policy(StatePolicy::Reset)).guard(Guard::default());
        assert!(refused(resets, None).contains("another policy"));
        let mut guarded = build(&gpu, around().lookahead(Lookahead::new(6, 0.5)).guard(Guard::default()));
        plain_step(&gpu, &mut guarded, &scripted(0, 0));
        let workers = Workers::builder(world.duplicate()).period(50);
        let problem = workers.build(&mut guarded, &gpu.device, &gpu.queue).err().unwrap().to_string();
        assert!(problem.contains("a cycle under way is ended by the guard"), "{problem}");
        let groups = around().group(Group::new("other").k(3)).tensor_in("other", "v", &[2]);
        assert!(refused(groups, None).contains("give `period`"));
    });
}

#[test]
fn what_is_each_ranks_own_where_gradients_are_exchanged() {
    on_ranks(1, "refusals::what_is_each_ranks_own_where_gradients_are_exchanged", |world| {
        let gpu = gpu();
        let refused = |builder: lookahead_wgpu::Builder| {
            let mut optimizer = build(&gpu, builder);
            let workers = Workers::builder(world.duplicate()).mode(Mode::Gradients);
            workers.build(&mut optimizer, &gpu.device, &gpu.queue).err().unwrap().to_string()
        };
        let around = || Optimizer::builder(Adam::new(0.1)).lookahead(Lookahead::new(2, 0.5));
        let half = refused(Optimizer::builder(Adam::new(0.1)).half_gradients(Half::F16));
        assert!(half.starts_with("half-width gradients cannot be exchanged"), "{half}");
        let reduced = refused(around().variance_reduced());
        assert!(reduced.starts_with("variance reduction would be each rank's own"), "{reduced}");
        let given = refused(around().adaptive(AdaptiveAlpha::new(0.1).curvature(Curvature::Given)));
        assert!(given.starts_with("a curvature that is given"), "{given}");
    });
}

/// The period of the one is not the other's.
#[test]
fn a_checkpoint_of_the_other_mode() {
    on_ranks(1, "refusals::a_checkpoint_of_the_other_mode", |world| {
        let gpu = gpu();
        let folder = tempfile::tempdir().unwrap();
        let around = || build(&gpu, Optimizer::builder(Adam::new(0.1)).lookahead(Lookahead::new(2, 0.5)));
        let begin = |optimizer: &mut Optimizer, mode: Mode| {
            let workers = Workers::builder(world.duplicate()).mode(mode);
            workers.build(optimizer, &gpu.device, &gpu.queue).unwrap()
        };
        for modes in [[Mode::Local, Mode::Gradients], [Mode::Gradients, Mode::Local]] {
            let folder = folder.path().join(format!("{:?}", modes[0]));
            let mut optimizer = around();
            let mut workers = begin(&mut optimizer, modes[0]);
            (0..2).for_each(|number| _ = step(&gpu, &mut workers, &mut optimizer, &scripted(0, number)));
            workers.save(&optimizer, &folder).unwrap();
            let mut other = around();
            let before = other.lookahead(DEFAULT_GROUP).unwrap().map(|lookahead| lookahead.alpha);
            let problem = begin(&mut other, modes[1]).restore(&mut other, &folder).unwrap_err();
            assert!(problem.to_string().contains("is of the other mode"), "{problem}");
            assert_eq!(other.steps(), 0);
            assert_eq!(other.lookahead(DEFAULT_GROUP).unwrap().map(|lookahead| lookahead.alpha), before);
        }
    });
}

/// A folder where another run has come further.
#[test]
fn a_run_that_begins_anew_keeps_its_own_rounds() {
    on_ranks(1, "refusals::a_run_that_begins_anew_keeps_its_own_rounds", |world| {
        let gpu = gpu();
        let folder = tempfile::tempdir().unwrap();
        let run = |rounds: u64| {
            let mut optimizer =
                build(&gpu, Optimizer::builder(Adam::new(0.1)).lookahead(Lookahead::new(1, 0.5)));
            let workers = Workers::builder(world.duplicate());
            let mut workers = workers.build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
            for number in 0..rounds {
                step(&gpu, &mut workers, &mut optimizer, &scripted(0, number));
                workers.save(&optimizer, folder.path()).unwrap();
            }
            let mut again = build(&gpu, Optimizer::builder(Adam::new(0.1)).lookahead(Lookahead::new(1, 0.5)));
            let mut workers =
                Workers::builder(world.duplicate()).build(&mut again, &gpu.device, &gpu.queue).unwrap();
            workers.restore(&mut again, folder.path()).unwrap().unwrap().round
        };
        assert_eq!([run(5), run(2)], [5, 2]);
    });
}

// Fault: the others wait for ever for a rank that has failed.
#[test]
fn a_rank_that_fails_is_named_on_the_others() {
    on_ranks(3, "refusals::a_rank_that_fails_is_named_on_the_others", |world| {
        let (gpu, rank) = (gpu(), world.rank() as usize);
        let mut optimizer = build(&gpu, Optimizer::builder(Adam::new(0.1)).lookahead(Lookahead::new(2, 0.5)));
        let mut workers = Workers::builder(world).build(&mut optimizer, &gpu.device, &gpu.queue).unwrap();
        step(&gpu, &mut workers, &mut optimizer, &scripted(rank, 0));
        let folder = tempfile::tempdir().unwrap();
        let problem = workers.save(&optimizer, folder.path()).unwrap_err();
        assert_eq!(problem, Error::MidRound { position: 1, period: 2 });
        if rank == 1 {
            let mut encoder = crate::model::encoder(&gpu);
            optimizer.swap_slow(&mut encoder).unwrap();
            gpu.queue.submit([encoder.finish()]);
        }
        let problem = workers.round(&mut optimizer).unwrap_err();
        match rank {
            1 => assert!(matches!(problem, Error::Optimizer(_)), "{problem}"),
            _ => assert_eq!(problem, Error::Elsewhere { rank: 1, doing: "reading weights" }),
        }
        // It goes on where that is mended.
        if rank == 1 {
            let mut encoder = crate::model::encoder(&gpu);
            optimizer.swap_slow(&mut encoder).unwrap();
            gpu.queue.submit([encoder.finish()]);
        }
        workers.round(&mut optimizer).unwrap();
    });
}
