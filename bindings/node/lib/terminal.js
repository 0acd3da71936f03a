'use strict';

const { hold, release } = require('./alive.js');
const { wrong } = require('./failure.js');
const { expect, hub } = require('./requests.js');
const { toBytes } = require('./streams.js');

const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
/** What the kernel has room for. */
const MOST = 65_535;
/** Why it has ended, as Bun has it: there is no more, or it could not be read. */
const END = 0;
const FAILURE = 1;

/** What its process alone does with it. */
let begin;
let finish;

/** A number of columns or rows. */
function sizeOf(value, path) {
  const expected = `a whole number of characters, 1 to ${MOST}`;
  if (typeof value !== 'number') throw wrong(TypeError, path, value, expected);
  if (!(Number.isInteger(value) && value >= 1 && value <= MOST)) throw wrong(RangeError, path, value, expected);
  return value;
}

class Terminal {
  static {
    begin = (terminal, open) => terminal.#begin(open);
    finish = (terminal, told) => terminal.#finish(told);
  }

  #callbacks;
  /** The addon's end of it, once the command runs. */
  #native;
  /** What was asked of it before that. */
  #later = [];
  #kept = [];
  #writes = false;
  #closed = false;
  #over = false;
  /** Who waits for its end. */
  #told = [];
  #held = false;

  constructor(callbacks) {
    this.#callbacks = callbacks;
    this.ref();
  }

  #begin(open) {
    try {
      this.#native = open();
      for (const step of this.#later.splice(0)) step(this.#native);
    } catch {
      this.#end(FAILURE);
      return;
    }
    if (this.#closed) this.#native.close();
    this.#read();
    this.#write();
  }

  /** The command has ended; `told` is called when all that it has said is told. */
  #finish(told) {
    if (this.#over) {
      told();
      return;
    }
    this.#told.push(told);
    if (this.#native) this.#native.finish();
    else this.#end(FAILURE);
  }

  #end(code) {
    this.#over = true;
    this.#native?.close();
    this.#kept = [];
    this.unref();
    try {
      this.#callbacks.exit?.(this, code, null);
    } finally {
      for (const told of this.#told.splice(0)) told();
    }
  }

  #read() {
    const said = (chunk) => {
      if (chunk.length === 0) {
        this.#end(END);
        return;
      }
      // First, as the callback may throw.
      this.#read();
      // A Buffer is Node's.
      if (!this.#closed) this.#callbacks.data?.(this, new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
    };
    this.#native.read(hub, expect(said, () => this.#end(FAILURE)));
  }

  #write() {
    if (!this.#native || this.#writes || this.#kept.length === 0) return;
    this.#writes = true;
    const taken = () => {
      this.#writes = false;
      if (this.#kept.length > 0) this.#write();
      else if (!this.closed) this.#callbacks.drain?.(this);
    };
    const failed = () => {
      // Nobody has the other end any more, as who reads is about to find out.
      this.#writes = false;
      this.#kept = [];
    };
    const [only] = this.#kept;
    const bytes = this.#kept.length === 1 ? only : Buffer.concat(this.#kept);
    this.#kept = [];
    this.#native.write(hub, expect(taken, failed), bytes);
  }

  #then(step) {
    if (this.#closed) throw closed();
    if (this.#native) step(this.#native);
    else if (!this.#over) this.#later.push(step);
  }

  write(data) {
    const bytes = toBytes(data, 'data');
    if (this.#closed) throw closed();
    if (this.#over) return 0;
    if (bytes.length > 0) {
      // A copy: the caller's own may change until it is written.
      this.#kept.push(typeof data === 'string' ? bytes : Buffer.from(bytes));
      this.#write();
    }
    return bytes.length;
  }

  resize(cols, rows) {
    const [columns, lines] = [sizeOf(cols, 'cols'), sizeOf(rows, 'rows')];
    this.#then((native) => native.resize(lines, columns));
  }

  setRawMode(enabled) {
    if (typeof enabled !== 'boolean') throw wrong(TypeError, 'enabled', enabled, 'true or false');
    this.#then((native) => native.setRaw(enabled));
  }

  get closed() {
    return this.#closed || this.#over;
  }

  close() {
    if (this.closed) return;
    this.#closed = true;
    this.#kept = [];
    this.#native?.close();
  }

  ref() {
    if (this.#held || this.#over) return;
    this.#held = true;
    hold();
  }

  unref() {
    if (!this.#held) return;
    this.#held = false;
    release();
  }

  async [asyncDispose]() {
    this.close();
    if (!this.#over) await new Promise((resolve) => this.#told.push(resolve));
  }
}

function closed() {
  return new TypeError('terminal is closed');
}

module.exports = {
  Terminal,
  sizeOf,
  begin: (terminal, open) => begin(terminal, open),
  finish: (terminal, told) => finish(terminal, told),
};
