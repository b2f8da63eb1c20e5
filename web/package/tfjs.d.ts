import type { Optimizer, OptimizerOptions } from "./lookahead_wgpu.js";

/** Options of `Optimizer.create`, without what TensorFlow.js gives: its device, and its variables. */
export type Options = Omit<OptimizerOptions, "device" | "tensors" | "groups" | "halfGradients"> & {
    /**
     * What becomes of slow weights and average where a variable is assigned between steps: they begin again from there, or are
     * kept, as for weights that are clipped after each step. `"restart"` where it is left out.
     */
    onAssign?: "restart" | "keep";
};

/** What is used of `@tensorflow/tfjs`, whose own optimizers have the type `T`. */
export interface TensorFlow<T> {
    Optimizer: abstract new (...words: any[]) => T;
    getBackend(): string;
    backend(): unknown;
    engine(): unknown;
    tensor1d(values: any, dtype?: any): unknown;
}

/** What an optimizer has besides TensorFlow.js's own. */
export interface Inner {
    /**
     * This package's optimizer: settings, slow weights, counters. The variables are `0`, `1`, ... there, in the order of the first
     * step. Nothing before that.
     */
    readonly inner: Optimizer | undefined;
    /** Runs with the slow weights in the variables' places: to evaluate, and not to train. */
    withSlow<R>(run: () => R | Promise<R>): Promise<R>;
}

/**
 * An optimizer for `model.compile`, `minimize` and `applyGradients`, on the device and the buffers of the WebGPU backend. It takes
 * the variables of its first step at every step.
 */
export function lookahead<T>(tf: TensorFlow<T>, options: Options): Promise<T & Inner>;

/** The same in the place of `tf.train.sgd`, `momentum` or `adam`, with its hyperparameters. */
export function accelerate<T>(tf: TensorFlow<T>, optimizer: T, options?: Omit<Options, "rule">): Promise<T & Inner>;
