'use strict';

const { SecludeError, wrong } = require('./failure.js');
const { hub, ask } = require('./requests.js');

/**
 * The web stream of a pipe. `open` answers the addon's end of it, once the command runs; `beRead` is told when somebody
 * reads. Nothing is read before somebody asks for it, so a command that writes without end waits in its pipe; but with
 * `most` it is read at once, up to so many bytes, and `overflow` is told of one more; it answers when that has ended it.
 */
function readable(open, beRead, most, overflow, alive) {
  let end;
  let total = 0;
  const pull = async (controller) => {
    beRead();
    end ??= await open();
    const chunk = end === null ? [] : await ask((request) => end.read(hub, request), alive);
    if (chunk.length === 0) {
      controller.close();
      return;
    }
    const room = most === undefined ? chunk.length : Math.min(chunk.length, most - total);
    total += chunk.length;
    // A Buffer is Node's; a Uint8Array is what web streams have everywhere.
    if (room > 0) controller.enqueue(new Uint8Array(chunk.buffer, chunk.byteOffset, room));
    if (room < chunk.length) {
      controller.close();
      // Closed at once, the pipe would be what ends it.
      overflow().then(() => end.close());
    }
  };
  const cancel = async () => {
    end ??= await open().catch(() => null);
    end?.close();
  };
  const size = (chunk) => chunk.byteLength;
  return new ReadableStream({ pull, cancel }, { highWaterMark: most === undefined ? 0 : most + 1, size });
}

/** A promise that tells when somebody asks for its outcome: `await` calls the `then` of what is more than a Promise. */
class Watched extends Promise {
  #asked;

  static get [Symbol.species]() {
    return Promise;
  }

  static of(promise, asked) {
    const watched = handled(new Watched((resolve, reject) => promise.then(resolve, reject)));
    watched.#asked = asked;
    return watched;
  }

  then(...handlers) {
    this.#asked?.();
    return super.then(...handlers);
  }
}

/** What is written to the command. Writes go one after the other; each promise is done when the pipe has taken all of it. */
class Stdin {
  #open;
  #beSeen;
  #tail = Promise.resolve();
  #ended = false;

  /** `beSeen` is told when somebody waits for a write: who does learns of a start that failed. */
  constructor(open, beSeen) {
    this.#open = open;
    this.#beSeen = beSeen;
  }

  write(chunk) {
    const bytes = toBytes(chunk);
    if (this.#ended) throw new TypeError('stdin has ended');
    return this.#then(async (end) => {
      if (end === null) throw closed();
      await ask((request) => end.write(hub, request, bytes));
      return bytes.length;
    });
  }

  flush() {
    return this.#then(() => undefined);
  }

  end(chunk) {
    if (chunk !== undefined) this.write(chunk);
    this.#ended = true;
    return this.#then((end) => end?.close());
  }

  #then(step) {
    const done = this.#tail.then(async () => step(await this.#open()));
    this.#tail = done.catch(() => {});
    // Who does not wait for a write does not want to know of its end: the command may have gone.
    return Watched.of(done, this.#beSeen);
  }
}

/** As the kernel has it, where the command has ended before anything was written. */
function closed() {
  const failure = { message: 'stdin write: EPIPE (parent)', kind: 'refused', code: 'EPIPE', errno: -32 };
  return new SecludeError({ ...failure, step: 'stdin', side: 'parent', action: 'write', remedies: [], leftBehind: [] });
}

/** A promise whose failure is no surprise to anybody. */
function handled(promise) {
  promise.catch(() => {});
  return promise;
}

function toBytes(chunk, path = 'chunk') {
  if (typeof chunk === 'string') return Buffer.from(chunk);
  if (ArrayBuffer.isView(chunk)) return Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  if (chunk instanceof ArrayBuffer) return Buffer.from(chunk);
  throw wrong(TypeError, path, chunk, 'a string, a Uint8Array or an ArrayBuffer');
}

/** Writes all that `stream` gives. A command that stops reading ends it; `failed` is told what the stream itself fails with. */
async function pump(stream, stdin, ended, failed) {
  let reader;
  try {
    reader = stream.getReader();
  } catch (error) {
    // Bun's of a file that is missing.
    failed(error);
    return;
  }
  handled(ended).then(() => reader.cancel(), () => reader.cancel()).catch(() => {});
  for (;;) {
    let next;
    try {
      next = await reader.read();
      if (!next.done) toBytes(next.value);
    } catch (error) {
      failed(error);
      return;
    }
    try {
      if (next.done) {
        await stdin.end();
        return;
      }
      await stdin.write(next.value);
    } catch (error) {
      await reader.cancel(error).catch(() => {});
      return;
    }
  }
}

module.exports = { readable, Stdin, pump, handled, toBytes };
