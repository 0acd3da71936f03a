'use strict';

const { doctor, explain } = require('./examine.js');
const { SecludeError } = require('./failure.js');
const { spawn } = require('./subprocess.js');
const { spawnSync } = require('./sync.js');

module.exports = { spawn, spawnSync, doctor, explain, SecludeError };
