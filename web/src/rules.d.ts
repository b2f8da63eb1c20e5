/** The inner optimizer and its hyperparameters; what is left out is at PyTorch's or optax's default. */
export type Rule =
    | { name: "sgd"; lr: number; dampening?: number; momentum?: number; nesterov?: boolean; weightDecay?: number }
    | { name: "adagrad"; lr?: number; eps?: number; initialAccumulatorValue?: number; lrDecay?: number; weightDecay?: number }
    | { name: "rmsprop"; lr?: number; alpha?: number; centered?: boolean; eps?: number; momentum?: number; weightDecay?: number }
    | { name: "adadelta"; lr?: number; eps?: number; rho?: number; weightDecay?: number }
    | { name: "adam"; lr?: number; amsgrad?: boolean; betas?: [number, number]; eps?: number; weightDecay?: number }
    | { name: "adamw"; lr?: number; amsgrad?: boolean; betas?: [number, number]; eps?: number; weightDecay?: number }
    | { name: "adamax"; lr?: number; betas?: [number, number]; eps?: number; weightDecay?: number }
    | { name: "nadam"; lr?: number; beforeTorch2?: boolean; betas?: [number, number]; eps?: number; momentumDecay?: number; weightDecay?: number }
    | { name: "radam"; lr?: number; betas?: [number, number]; eps?: number; weightDecay?: number }
    | { name: "ranger"; lr?: number; betas?: [number, number]; eps?: number; weightDecay?: number }
    | { name: "adabelief"; lr?: number; betas?: [number, number]; eps?: number; epsRoot?: number; weightDecay?: number }
    | { name: "lion"; lr?: number; betas?: [number, number]; weightDecay?: number }
    | { name: "lars"; lr: number; eps?: number; momentum?: number; nesterov?: boolean; trustCoefficient?: number; weightDecay?: number }
    | { name: "lamb"; lr: number; betas?: [number, number]; eps?: number; weightDecay?: number }
    | { name: "adafactor"; lr: number; clippingThreshold?: number | null; decayRate?: number; eps?: number; minDimSizeToFactor?: number; momentum?: number; multiplyByParameterScale?: boolean; relativeStep?: boolean; weightDecay?: number }
    | { name: "katyusha"; lr: number; sigma?: number; tau1?: number; tau2?: number; weightDecay?: number };
