'use strict';

// The addon never keeps the event loop alive. A timer does, as long as somebody waits: it means the same in every
// runtime.
const LONGEST = 2 ** 31 - 1;

let waiting = 0;
let timer;

function hold() {
  waiting += 1;
  if (waiting === 1) timer = setInterval(() => {}, LONGEST);
}

function release() {
  waiting -= 1;
  if (waiting === 0) clearInterval(timer);
}

module.exports = { hold, release };
