// Small IDX files: 28 x 28 images, each with a bar at the place of its label.

function header(magic, sizes) {
  const bytes = Buffer.alloc(4 + 4 * sizes.length);
  [magic, ...sizes].forEach((word, i) => bytes.writeUInt32BE(word, 4 * i));
  return bytes;
}

function pair(stem, count) {
  const pixels = Buffer.alloc(count * 28 * 28);
  const labels = Buffer.alloc(count);
  for (let image = 0; image < count; image++) {
    labels[image] = image % 10;
    pixels.fill(255, image * 784 + 28 * 2 * labels[image], image * 784 + 28 * (2 * labels[image] + 3));
  }
  return [
    [`${stem}-images-idx3-ubyte`, Buffer.concat([header(0x803, [count, 28, 28]), pixels])],
    [`${stem}-labels-idx1-ubyte`, Buffer.concat([header(0x801, [count]), labels])],
  ];
}

/** Images and labels to train on and to test on, each as name and bytes. */
export function idx() {
  return [...pair('train', 200), ...pair('t10k', 40)];
}
