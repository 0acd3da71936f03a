'use strict';

const { hold, release } = require('./alive.js');
const { SecludeError } = require('./failure.js');
const { Hub } = require('./native.js');

// Every answer of the addon has the number of its request. What waits here is also what holds a running process's handle.
const pending = new Map();
let last = 0;

function dispatch(request, failure, value) {
  const waiting = pending.get(request);
  pending.delete(request);
  if (failure == null) waiting?.done(value);
  else waiting?.failed(new SecludeError(JSON.parse(failure)));
}

const hub = new Hub(dispatch);

/** The number of a request; one of the two is called with its answer. */
function expect(done, failed) {
  last += 1;
  pending.set(last, { done, failed });
  return last;
}

/** The answer to a request that `start` makes, given its number. Whoever waits for it keeps the event loop alive, by `alive`. */
function ask(start, alive = { hold, release }) {
  return new Promise((resolve, reject) => {
    const settle = (how) => (value) => {
      alive.release();
      how(value);
    };
    const request = expect(settle(resolve), settle(reject));
    alive.hold();
    try {
      start(request);
    } catch (error) {
      forget(request);
      alive.release();
      throw error;
    }
  });
}

/** Of a request that was not made. */
function forget(request) {
  pending.delete(request);
}

module.exports = { hub, expect, ask, forget };
