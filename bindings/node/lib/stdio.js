'use strict';

const { resolve } = require('node:path');
const { isDisturbed } = require('node:stream').Readable;
const { fileURLToPath } = require('node:url');

const { wrong } = require('./failure.js');
const { plain } = require('./plain.js');

// As the addon has them.
const PIPE = -1;
const NULL = -2;
const BYTES = -3;
const FILE = -4;
const TERMINAL = -5;

const NAMES = ['stdin', 'stdout', 'stderr'];
/** More than a process can have. */
const MOST = 65_536;
const MOST_FD = 2 ** 31 - 1;
const INPUT =
  '"pipe", "inherit", "ignore", a descriptor, bytes (Buffer.from(text)), a ReadableStream, Blob or Response, { path } or a file: URL';
const OUTPUT = '"pipe", "inherit", "ignore", a descriptor, { path } or a file: URL';

/**
 * Where the first descriptors lead: their codes for the addon, the files that it is to open, what stdin reads if that is
 * bytes, and what is to be written to it if that is a stream.
 */
function readStdio(given, { stdin, stdout, stderr, sync }) {
  const result = { codes: [], files: [], input: undefined, stream: undefined };
  let sources = [given.stdin, given.stdout, given.stderr];
  if (given.stdio !== undefined) {
    if (!Array.isArray(given.stdio)) throw wrong(TypeError, 'stdio', given.stdio, 'an array');
    const twice = NAMES.find((name) => given[name] !== undefined);
    if (twice) throw wrong(TypeError, twice, given[twice], 'left out beside stdio');
    if (given.stdio.length > MOST) throw wrong(RangeError, 'stdio.length', given.stdio.length, `at most ${MOST}`);
    sources = [...given.stdio];
    while (sources.length < 3) sources.push(undefined);
  }
  const defaults = [stdin, stdout, stderr];
  sources.forEach((source, number) => {
    const path = given.stdio === undefined ? NAMES[number] : `stdio[${number}]`;
    const value = source ?? (source === null ? 'ignore' : defaults[number] ?? 'ignore');
    result.codes.push(number === 0 ? input(result, value, path, sync) : output(result, value, path, number, sync));
  });
  return result;
}

/** The same where all three are one terminal. */
function atTerminal() {
  return { codes: NAMES.map(() => TERMINAL), files: [], input: undefined, stream: undefined };
}

function input(result, value, path, sync) {
  const common = shared(result, value, path, 'r');
  if (common !== undefined) {
    // Nobody can write to it meanwhile: it has ended before it began.
    return common === PIPE && sync ? NULL : common;
  }
  if (ArrayBuffer.isView(value)) return bytes(result, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  if (value instanceof ArrayBuffer) return bytes(result, Buffer.from(value));
  if (isFileOfBun(value) && isWhole(value)) return open(result, value.name, path, 'r');
  if (sync) throw wrong(TypeError, path, value, INPUT.replace('a ReadableStream, Blob or Response, ', ''));
  const stream = streamOf(value, path);
  if (stream === null) return NULL;
  if (stream instanceof ReadableStream) {
    // What is left of a stream is not what was meant, and nobody could tell that from a short one.
    if (stream.locked || isDisturbed(stream)) throw wrong(TypeError, path, value, 'what nobody else reads or has read from');
    result.stream = stream;
    return PIPE;
  }
  throw wrong(TypeError, path, value, INPUT);
}

function streamOf(value, path) {
  if (value instanceof Blob) return value.stream();
  if (value instanceof Response || value instanceof Request) {
    if (value.bodyUsed) throw wrong(TypeError, path, value, 'one whose body nobody has read');
    return value.body;
  }
  return value;
}

/** Of a slice of a file the name is that of the file. */
function isWhole(file) {
  return Object.is(file.size, Bun.file(file.name).size);
}

function bytes(result, buffer) {
  result.input = buffer;
  return BYTES;
}

function output(result, value, path, number, sync) {
  const common = shared(result, value, path, 'w');
  if (common === PIPE && number > 2 && sync) throw wrong(TypeError, path, value, 'something else: spawnSync blocks, and nobody could read or write');
  if (common !== undefined) return common;
  if (isFileOfBun(value)) return open(result, value.name, path, 'w');
  throw wrong(TypeError, path, value, OUTPUT);
}

/** `Bun.file(path)` is a Blob with a name; of a File the name is no path. */
function isFileOfBun(value) {
  if (process.versions.bun === undefined || !(value instanceof Blob) || value instanceof File) return false;
  return typeof value.name === 'string';
}

/** What means the same for input and output. */
function shared(result, value, path, flags) {
  if (value === 'pipe') return PIPE;
  if (value === 'ignore' || value === false) return NULL;
  if (value === 'inherit') return result.codes.length;
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || value < 0 || value > MOST_FD) {
      throw wrong(RangeError, path, value, 'a descriptor, 0 or more');
    }
    return value;
  }
  if (value instanceof URL) {
    if (value.protocol !== 'file:') throw wrong(RangeError, path, value.href, 'a file: URL');
    return open(result, fileURLToPath(value), path, flags);
  }
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return file(result, value, path, flags);
  }
  return undefined;
}

/** `{ path }`, for output also `{ path, append }` */
function file(result, given, path, flags) {
  const value = plain(given, path);
  for (const key of Object.keys(value)) {
    if (key !== 'path' && !(key === 'append' && flags === 'w')) {
      throw wrong(TypeError, `${path}.${key}`, value[key], flags === 'w' ? 'path or append: unknown key' : 'path: unknown key');
    }
  }
  if (typeof value.path !== 'string') throw wrong(TypeError, `${path}.path`, value.path, 'a path');
  const { append = false } = value;
  if (typeof append !== 'boolean') throw wrong(TypeError, `${path}.append`, append, 'true or false');
  return open(result, value.path, `${path}.path`, append ? 'a' : flags);
}

/** The addon opens it when all else is understood, and not on this thread: that of a FIFO waits for its other end. */
function open(result, file, path, flags) {
  if (file === '' || file.includes('\0')) throw wrong(RangeError, path, file, 'a path, not empty and without a NUL byte');
  result.files.push({ number: result.codes.length, path: resolve(file), flags });
  return FILE;
}

module.exports = { atTerminal, readStdio };
