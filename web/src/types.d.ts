/** The inner optimizer and its hyperparameters; what is left out is at PyTorch's or optax's default. */
export type Rule =
    | { name: "sgd"; lr: number; momentum?: number; dampening?: number; weightDecay?: number; nesterov?: boolean }
    | { name: "adagrad"; lr?: number; lrDecay?: number; initialAccumulatorValue?: number; eps?: number; weightDecay?: number }
    | { name: "rmsprop"; lr?: number; alpha?: number; eps?: number; momentum?: number; centered?: boolean; weightDecay?: number }
    | { name: "adadelta"; lr?: number; rho?: number; eps?: number; weightDecay?: number }
    | { name: "adam" | "adamw"; lr?: number; betas?: [number, number]; eps?: number; weightDecay?: number; amsgrad?: boolean }
    | { name: "adamax" | "radam" | "ranger"; lr?: number; betas?: [number, number]; eps?: number; weightDecay?: number }
    | { name: "nadam"; lr?: number; betas?: [number, number]; eps?: number; momentumDecay?: number; weightDecay?: number; beforeTorch2?: boolean }
    | { name: "adabelief"; lr?: number; betas?: [number, number]; eps?: number; epsRoot?: number; weightDecay?: number }
    | { name: "lion"; lr?: number; betas?: [number, number]; weightDecay?: number }
    | { name: "lars"; lr: number; momentum?: number; nesterov?: boolean; trustCoefficient?: number; eps?: number; weightDecay?: number }
    | { name: "lamb"; lr: number; betas?: [number, number]; eps?: number; weightDecay?: number }
    | {
          name: "adafactor";
          lr: number;
          decayRate?: number;
          eps?: number;
          minDimSizeToFactor?: number;
          clippingThreshold?: number | null;
          multiplyByParameterScale?: boolean;
          relativeStep?: boolean;
          momentum?: number;
          weightDecay?: number;
      };

/** A factor on the learning rate, by step. `steps`: from each step on, times the factor. */
export type Schedule =
    | { steps: [step: number, factor: number][] }
    | { cosine: { warmup?: number; total: number; floor?: number } }
    | { transformer: { width: number; warmup: number } };

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
    /** The checkpoint's loss scale is given up. */
    endLossScale?: boolean;
    /** Learning rates, k, alpha, what is frozen and the like stay as they are here. */
    keepSettings?: boolean;
}

/** What `Optimizer.create` takes. */
export interface OptimizerOptions {
    rule: Rule;
    /** A shape [] is one value. */
    tensors: { name: string; shape: number[]; group?: string }[];
    /** Left out: the rule alone. k is 5, alpha 0.5 and the policy "maintain" where left out. */
    lookahead?: { k?: number; alpha?: number; policy?: "maintain" | "interpolate" | "reset" };
    /** Groups of tensors with settings of their own. */
    groups?: {
        name: string;
        rule?: Rule;
        learningRateFactor?: number;
        weightDecay?: number;
        k?: number;
        alpha?: number;
        frozen?: boolean;
    }[];
    schedule?: Schedule;
    /** Gradient clipping: each value, the norm of all tensors, or each tensor's norm. */
    clip?: { value: number } | { globalNorm: number } | { tensorNorm: number };
    /** alpha found anew at every sync, between alphaLow and 1. */
    adaptiveAlpha?: {
        alphaLow: number;
        curvature?: "corrected" | "raw" | "root" | { fisher: number };
        scope?: "model" | "group" | "tensor";
        gradient?: "synchronised" | "lastStep";
    };
    /** An outer step with this momentum instead of the interpolation. */
    outer?: { heavyBall: number } | { nesterov: number } | { slowMo: number };
    /** An average of the weights. */
    average?: { ema: number } | { polyak: { from?: number } } | { swa: { every: number; from?: number } };
    /** Calls of `step` that make one inner step; the mean of their gradients unless `mean` is false. */
    accumulate?: { microBatches: number; mean?: boolean };
    /** Gradients are centralised. */
    centralise?: boolean;
    /** The objective is maximised: gradients change their sign before anything else. */
    maximize?: boolean;
    /** Every step takes the gradient's norm, for `gradientNorms()` to read. */
    gradientNorms?: boolean;
    /**
     * Steps with a gradient that is not finite are skipped, on the GPU; with `checkUpdates` those, too, whose weights or
     * state would not be finite.
     */
    guard?: boolean | { checkUpdates?: boolean };
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
    | `state.${string}`
    | `slow_state.${string}`
    | `outer.${string}`;

/** Values for a tensor. */
export type Numbers = Float32Array | Float64Array | readonly number[];

/** How far training is. */
export interface Counters {
    /** Steps taken. */
    steps: number;
    /** Steps that a guard skipped. */
    skipped: number;
    /** Of each group: inner steps since its state was last initialised, and steps since its last sync. */
    groups: { name: string; count: number; position: number }[];
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
