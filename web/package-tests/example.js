import { Optimizer } from 'lookahead-wgpu';

const optimizer = await Optimizer.create({
  rule: { name: 'adam', lr: 0.1 },
  tensors: [{ name: 'point', shape: [2] }],
  lookahead: { k: 5, alpha: 0.5 },
});
optimizer.setWeights('point', new Float32Array([0, 0]));

/** The gradient of (x - 3)² + 10 (y + 1)². */
const gradient = ([x, y]) => new Float32Array([2 * (x - 3), 20 * (y + 1)]);

for (let step = 0; step < 500; step++) {
  optimizer.setGradient('point', gradient(await optimizer.weights('point')));
  optimizer.step();
}
export const [x, y] = await optimizer.slowWeights('point');
console.log(`the lowest point is at ${x.toFixed(3)}, ${y.toFixed(3)}`);
optimizer.destroy();
