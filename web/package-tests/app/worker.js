import { train } from './train.js';

train().then((w) => postMessage({ w }), (error) => postMessage({ error: String(error) }));
