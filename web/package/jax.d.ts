import type { Optimizer, OptimizerOptions } from "./lookahead_wgpu.js";

/** Options of `Optimizer.create`, without what jax-js gives: its device, and the parameters. */
export type Options = Omit<OptimizerOptions, "device" | "tensors" | "groups" | "halfGradients">;

/** What is used of `@jax-js/jax`. */
export interface Jax {
    getWebGPUDevice(): GPUDevice;
    numpy: unknown;
    tree: unknown;
}

/** One run's state, which changes in place. */
export interface State {
    /**
     * This package's optimizer: settings, slow weights, counters. The parameters are `0`, `1`, ... there, in their tree's order.
     * Nothing before the first step.
     */
    readonly inner: Optimizer | undefined;
    /** Gives all memory back at once. */
    dispose(): void;
}

/** A gradient transformation, as optax has them. Arguments are used up, as everywhere in jax-js. */
export interface Transformation {
    init(params: unknown): State;
    /** What is to be added to the parameters, which are those of the step before. */
    update<T>(gradients: T, state: State, params: T): [updates: T, state: State];
    /** The parameters themselves, without jax-js's difference and sum of them. */
    apply<T>(gradients: T, state: State, params: T): [params: T, state: State];
}

/** The transformation of these options, on jax-js's WebGPU device. */
export function lookahead(jax: Jax, options: Options): Promise<Transformation>;
