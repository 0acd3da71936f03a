import seclude from './lib/index.js';

export const { spawn, spawnSync, doctor, explain, SecludeError } = seclude;
