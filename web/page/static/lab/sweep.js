// A sweep: runs side by side, each with settings of its own and all with the same images in the same order.

import { Images } from './network.js';
import { Training } from './training.js';

/** Steps of a run between two times that losses are told. */
const STRIDE = 10;

/** Trains all runs, and tells of each what is new; until `signal` says to stop. */
export async function sweep(kernels, { runs, images: given, steps, batch, seed }, tell, signal) {
  const images = new Images(kernels.device, given);
  const trainings = [];
  try {
    for (const options of runs) {
      if (signal.aborted) return;
      trainings.push(await Training.create(kernels, images, { options, steps, batch, seed }));
    }
    let open = trainings.map((training, run) => ({ training, run }));
    while (open.length > 0 && !signal.aborted) {
      const parts = await Promise.all(open.map(({ training }) => training.advance(STRIDE)));
      tell({ type: 'losses', parts: open.map(({ run }, i) => ({ run, losses: parts[i] })) });
      // What is no number stays none.
      open = open.filter(({ training }, i) => training.done < steps && parts[i].every(Number.isFinite));
    }
  } finally {
    for (const training of trainings) training.destroy();
    images.destroy();
  }
}
