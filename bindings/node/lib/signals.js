'use strict';

const { signals } = require('node:os').constants;
const { wrong } = require('./failure.js');

const names = new Map();
// Where two names have one number, the first is the usual one.
for (const [name, number] of Object.entries(signals)) if (!names.has(number)) names.set(number, name);

const MOST = 64;

/** The number of a signal that is given by its name or number; `least` 0 for what only asks. */
function numberOf(signal, path, least = 1) {
  if (typeof signal === 'number') {
    if (!Number.isInteger(signal) || signal < least || signal > MOST) {
      throw wrong(RangeError, path, signal, `a number of a signal, ${least} to ${MOST}`);
    }
    return signal;
  }
  if (typeof signal !== 'string') throw wrong(TypeError, path, signal, 'the name or number of a signal');
  const number = signals[signal];
  if (number === undefined) throw wrong(TypeError, path, signal, 'the name of a signal, such as "SIGTERM"');
  return number;
}

/** The name of a signal, as the runtimes have it. */
function nameOf(number) {
  return names.get(number) ?? `SIG${number}`;
}

module.exports = { numberOf, nameOf };
