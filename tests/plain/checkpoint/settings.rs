//! What setters change is in the snapshot and comes back.

use lookahead_wgpu::{
    DEFAULT_GROUP, Optimizer, Rule, Snapshot,
    rules::{
        AdaBelief, AdaFactor, Adadelta, Adagrad, Adam, AdamW, Adamax, Lamb, Lars, Lion, NAdam, RAdam, Ranger,
        RmsProp, Sgd,
    },
    wgpu,
};

/// Each rule gives its hyperparameters and takes them back, and the snapshot has them.
#[test]
fn hyperparameters_of_every_rule() {
    fn pairs() -> Vec<(Box<dyn Rule>, Box<dyn Rule>)> {
        fn pair(a: impl Rule + 'static, b: impl Rule + 'static) -> (Box<dyn Rule>, Box<dyn Rule>) {
            (Box::new(a), Box::new(b))
        }
        let factored = || AdaFactor::new(0.1).momentum(0.9).clipping_threshold(None);
        vec![
            pair(Sgd::new(0.1), Sgd::new(0.1)),
            pair(Sgd::new(0.1).momentum(0.9), Sgd::new(0.1).momentum(0.8).dampening(0.2)),
            pair(Sgd::new(0.1).momentum(0.9).nesterov(true), Sgd::new(0.1).momentum(0.7).nesterov(true)),
            pair(Adagrad::new(0.1), Adagrad::new(0.1).lr_decay(0.1).initial_accumulator_value(0.2).eps(1e-3)),
            pair(RmsProp::new(0.1), RmsProp::new(0.1).alpha(0.8).eps(1e-3)),
            pair(
                RmsProp::new(0.1).centered(true).momentum(0.9),
                RmsProp::new(0.1).centered(true).momentum(0.5).alpha(0.8),
            ),
            pair(Adadelta::new(0.1), Adadelta::new(0.1).rho(0.8).eps(1e-3)),
            pair(Adam::new(0.1), Adam::new(0.1).betas(0.8, 0.7).eps(1e-3)),
            pair(AdamW::new(0.1).amsgrad(true), AdamW::new(0.1).betas(0.8, 0.7).eps(1e-3).amsgrad(true)),
            pair(Adamax::new(0.1), Adamax::new(0.1).betas(0.8, 0.7).eps(1e-3)),
            pair(NAdam::new(0.1), NAdam::new(0.1).betas(0.8, 0.7).momentum_decay(0.1).before_torch_2(true)),
            pair(RAdam::new(0.1), RAdam::new(0.1).betas(0.8, 0.7).eps(1e-3)),
            pair(Ranger::new(0.1), Ranger::new(0.1).betas(0.8, 0.7).eps(1e-3)),
            pair(AdaBelief::new(0.1), AdaBelief::new(0.1).betas(0.8, 0.7).eps(1e-3)),
            pair(Lion::new(0.1), Lion::new(0.1).betas(0.8, 0.7)),
            pair(Lars::new(0.1), Lars::new(0.1).momentum(0.8).nesterov(true)),
            pair(Lamb::new(0.1), Lamb::new(0.1).betas(0.8, 0.7).eps(1e-3)),
            pair(factored(), factored().momentum(0.8).decay_rate(0.7).relative_step(true)),
        ]
    }
    let (device, queue) = wgpu::Device::noop(&Default::default());
    for (first, changed) in pairs() {
        let label = format!("{changed:?}");
        let build = |rule: Box<dyn Rule>| {
            Optimizer::builder(rule).tensor("w", &[2, 3]).build_blocking(&device, &queue).unwrap()
        };
        let fresh = || pairs().into_iter().find(|(_, other)| format!("{other:?}") == label).unwrap().0;
        let mut optimizer = build(first);
        let before = optimizer.export_blocking().unwrap();
        optimizer.set_rule(DEFAULT_GROUP, changed).unwrap();
        assert_eq!(format!("{:?}", optimizer.rule(DEFAULT_GROUP).unwrap()), label);
        let snapshot = optimizer.export_blocking().unwrap();
        let same = before.groups[0].hyperparameters == snapshot.groups[0].hyperparameters;
        assert_eq!(same, label.contains("momentum: 0.0, dampening"), "{label}");
        let mut other = build(fresh());
        other.import(&Snapshot::from_bytes(&snapshot.to_bytes().unwrap()).unwrap()).unwrap();
        assert_eq!(format!("{:?}", other.rule(DEFAULT_GROUP).unwrap()), label);
        assert_eq!(other.export_blocking().unwrap(), snapshot);
    }
}
