'use strict';

const path = require('node:path');

const FILE = path.join(__dirname, '..', 'seclude.node');

function load() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`seclude is for Linux on x64, not for ${process.platform} on ${process.arch}`);
  }
  return require(FILE);
}

module.exports = load();
