/** A factor on the learning rate, by step. `steps`: from each step on, times the factor. */
export type Schedule =
    | "constant"
    | { steps: [step: number, factor: number][] }
    | { cosine: { warmup?: number; total: number; floor?: number } }
    | { transformer: { width: number; warmup: number } }
    /** Of one's own: the factor at a step, from 0 on. Checkpoints have none of it. */
    | ((step: number) => number);

/** An inner optimizer of one's own. */
export interface OwnRule {
    name: string;
    /**
     * `struct Hyper`, with the members that `hyper` gives, and `fn update(w: vec4f, g: vec4f) -> vec4f`, which gives the new
     * weights: it reads `hyper`, `control.lr` and `state[0]`, `state[1]`, ..., and writes the latter.
     */
    wgsl: string;
    lr: number;
    /** The values that are kept for each weight, 0 at first where nothing else is said. */
    slots?: { name: string; initial?: number }[];
    /** The members of `Hyper`, of each step of the rule (from 1) where they change. */
    hyper?: readonly number[] | ((count: number) => readonly number[]);
    weightDecay?: "none" | { l2: number } | { decoupled: number } | { direction: number };
}

/** What `load` may begin or give up, where the checkpoint is of an optimizer that was created otherwise. */
export interface LoadOptions {
    /** A checkpoint of the rule alone: slow weights start as the weights, and a cycle begins. */
    beginLookahead?: boolean;
    /** A checkpoint of Lookahead for the rule alone: these weights go on. */
    endLookahead?: "slow" | "fast";
    /** The state's policy may differ. */
    changePolicy?: boolean;
    /** The outer step begins, its buffers at zero. */
    beginOuter?: boolean;
    endOuter?: boolean;
    /** The average begins as a copy of the weights. */
    beginAverage?: boolean;
    endAverage?: boolean;
    /** The curvature of an adaptive alpha begins at zero. */
    beginCurvature?: boolean;
    endCurvature?: boolean;
    /** Variance reduction begins: the full gradient is due before the next step. */
    beginVarianceReduction?: boolean;
    endVarianceReduction?: boolean;
    /** The cycle under way lacks the iterates of `anderson`: it ends as Lookahead's. */
    beginAnderson?: boolean;
    endAnderson?: boolean;
    /** Loss scaling begins, at its initial scale. */
    beginLossScale?: boolean;
    /** The checkpoint's loss scale is given up. */
    endLossScale?: boolean;
    /** Learning rates, k, alpha, what is frozen and the like stay as they are here. */
    keepSettings?: boolean;
}

/** A half-width format. Neither needs the device feature `shader-f16`. */
export type Half = "f16" | "bf16";

/** What bounds a gradient: each value, the norm of all tensors, or each tensor's norm. */
export type Clip = "none" | { value: number } | { globalNorm: number } | { tensorNorm: number };

/**
 * Dynamic loss scaling, as `torch.amp.GradScaler`: kernels multiply the loss by the scale (see `lossScaleSlices`), a step
 * whose gradient is not finite is skipped and lowers it, a row of steps that are raises it.
 */
export interface LossScale {
    /** The scale at the start: 65536 where left out. */
    initial?: number;
    /** What multiplies it after `interval` finite steps in a row: 2. */
    growth?: number;
    /** What multiplies it after a step that was skipped: 0.5. */
    backoff?: number;
    /** 2000. */
    interval?: number;
}

/** Any of a rule's settings but its name. */
export type Hyperparameters = Rule extends infer R ? (R extends Rule ? Partial<Omit<R, "name">> : never) : never;

/** What `Optimizer.create` takes. */
export interface OptimizerOptions {
    /**
     * The page's own device. Nothing of it is changed but what the optimizer makes there, and it is never destroyed. Left
     * out, one is opened.
     */
    device?: GPUDevice;
    rule: Rule | OwnRule;
    /**
     * A shape [] is one value. Weights and gradients are in buffers of the optimizer's, or all of them where the page says: in
     * its buffers (usage `STORAGE`; weights with `COPY_SRC` to be read and `COPY_DST` to be set).
     */
    tensors: { name: string; shape: number[]; group?: string; weights?: Place; gradients?: Place }[];
    /**
     * Left out: the rule alone. k is 5, alpha 0.5 and the policy "maintain" where left out. `tasks`: cycles of a round, each for a
     * task, after which the slow weights move towards the mean of theirs (Reptile); 1, where left out, is Lookahead.
     */
    lookahead?: { k?: number; alpha?: number; policy?: "maintain" | "interpolate" | "reset"; tasks?: number };
    /** Groups of tensors with settings of their own. */
    groups?: {
        name: string;
        rule?: Rule | OwnRule;
        /** Hyperparameters over those of the group's rule: the optimizer's, or its own. */
        hyperparameters?: Hyperparameters;
        learningRate?: number;
        learningRateFactor?: number;
        weightDecay?: number;
        k?: number;
        alpha?: number;
        frozen?: boolean;
        /** The objective is maximised for these tensors, or not. */
        maximize?: boolean;
    }[];
    schedule?: Schedule;
    /** Gradient clipping. */
    clip?: Clip;
    /** Transformations of the gradient after clipping, in their order. */
    transforms?: (
        | "centralise"
        | { clip: Clip }
        /** Gaussian noise of variance eta / (1 + step)^gamma; gamma 0.55 and seed 0 where they are left out. */
        | { gradientNoise: { eta: number; gamma?: number; seed?: number } }
    )[];
    /** alpha found anew at every sync, between alphaLow and 1. */
    adaptiveAlpha?: {
        alphaLow: number;
        curvature?: "corrected" | "raw" | "root" | "given" | { fisher: number };
        scope?: "model" | "group" | "tensor";
        gradient?: "synchronised" | "lastStep";
    };
    /**
     * The slow step is a least-squares combination of the last `columns` residuals of the inner loop, of iterates `stride`
     * steps apart (1), with `regularisation` (1e-8).
     */
    anderson?: { columns: number; stride?: number; regularisation?: number; scope?: "model" | "group" | "tensor" };
    /** An outer step with this momentum instead of the interpolation. */
    outer?: "interpolation" | { heavyBall: number } | { nesterov: number } | { slowMo: number };
    /** An average of the weights. */
    average?: { ema: number } | { polyak: { from?: number } } | { swa: { every: number; from?: number } };
    /** Calls of `step` that make one inner step; the mean of their gradients unless `mean` is false. */
    accumulate?: { microBatches: number; mean?: boolean };
    /**
     * Gradients are corrected as in SVRG, by what kernels write into `snapshotGradientSlices` (the mini-batch's gradient at the
     * slow weights, with every gradient) and into `fullGradientSlices` (that of all samples there, when `fullGradientsDue()`).
     */
    varianceReduced?: boolean;
    /** Gradients are centralised. */
    centralise?: boolean;
    /** The objective is maximised: gradients change their sign before anything else. */
    maximize?: boolean;
    /** Every step takes the gradient's norm, for `gradientNorms()` to read. */
    gradientNorms?: boolean;
    /**
     * Steps with a gradient that is not finite are skipped, on the GPU; with `checkUpdates` those, too, whose weights or
     * state would not be finite, and with `lossScale` the gradients are divided by a scale that follows them.
     */
    guard?: boolean | { checkUpdates?: boolean; lossScale?: boolean | LossScale };
    /** A half-width copy of the weights, which every step writes: see `halfWeightSlices`. */
    halfWeights?: Half;
    /** Gradients are half-width, two values a word; `setGradient` takes numbers as ever. Best with `lossScale`. */
    halfGradients?: Half;
    /** Slow weights are bf16, rounded up or down at random so that they are right on average. */
    slowBf16?: boolean;
}

/** Where values of a tensor lie in a buffer of the page's. */
export interface Place {
    buffer: GPUBuffer;
    /** In bytes, a multiple of 4; 0 where it is left out. At multiples of 16 it is quickest. */
    offset?: number;
}

/** A tensor whose weights, gradients or both lie elsewhere from now on. */
export interface BorrowedTensor {
    name: string;
    weights?: Place;
    gradients?: Place;
}

/** Where values of a tensor lie: bind them in kernels of your own on `Optimizer.device`. */
export interface BufferSlice {
    buffer: GPUBuffer;
    /** In bytes. */
    offset: number;
    /** In bytes. */
    size: number;
}

/** What there is of a tensor; `state.exp_avg` and the like by the rule's own name of the slot. */
export type Field =
    | "weights"
    | "slow_weights"
    | "gradients"
    | "average"
    | "fisher"
    | "accumulated"
    | "task_mean"
    | "snapshot_gradients"
    | "full_gradients"
    | `state.${string}`
    | `slow_state.${string}`
    | `outer.${string}`
    | `iterate.${number}`;

/** Values for a tensor. */
export type Numbers = Float32Array | Float64Array | readonly number[];

/** How far training is. */
export interface Counters {
    /** Steps taken. */
    steps: number;
    /** Steps that a guard skipped. */
    skipped: number;
    /** The loss scale, 1 without loss scaling. */
    lossScale: number;
    /**
     * Of each group: inner steps since its state was last initialised, steps since its last sync, and the task of its round,
     * from 0, that the next step belongs to.
     */
    groups: { name: string; count: number; position: number; task: number }[];
}

/**
 * The non-monotone trigger of NT-ASGD (Merity, Keskar, Socher, 2017): an average begins at the first evaluation whose loss is above
 * the least of those that came more than n evaluations before it.
 */
export class NonMonotone {
    /** With this n: 5 where it is left out. */
    constructor(n?: number);
    /** Takes the loss of the next evaluation, and tells, once, that `optimizer.beginAverage()` is due. NaN counts as no loss. */
    observe(loss: number): boolean;
    readonly hasTriggered: boolean;
    /** What `from` takes, to be saved beside a checkpoint: the same as the Rust crate's. */
    toJSON(): { interval: number; least: number | null; recent: (number | null)[]; has_triggered: boolean };
    static from(saved: ReturnType<NonMonotone["toJSON"]>): NonMonotone;
}

/** What is thrown, and what promises are rejected with. */
export class LookaheadError extends Error {
    private constructor();
    readonly name: "LookaheadError";
    /** `NoWebGpu`, `DeviceLost`, `Hyperparameter`, `Argument`, ...: the variants of the Rust crate's `Error`, and more. */
    readonly kind: string;
}

/** What WebAssembly is compiled from: the module itself, its bytes, or where they are. */
export type Source = WebAssembly.Module | BufferSource | Response | Request | URL | string;

/**
 * Compiles the WebAssembly module ahead of the first `Optimizer.create`, which does it otherwise. Left out, `source` is
 * what the package brings along.
 */
export default function init(source?: Source | Promise<Source>): Promise<void>;

/** The same at once, in a worker that was sent the module, say. */
export function initSync(source: WebAssembly.Module | BufferSource): void;
