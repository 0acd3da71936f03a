'use strict';

const { isMainThread } = require('node:worker_threads');

const { wrong } = require('./failure.js');
const { numberOf } = require('./signals.js');
const { readStdio } = require('./stdio.js');

// What is JavaScript's by nature is read here; `container` is read by the addon, which knows what is in it.
const KEYS = [
  'cmd', 'argv0', 'cwd', 'env', 'stdin', 'stdout', 'stderr', 'stdio', 'onExit', 'signal', 'timeout', 'killSignal',
  'maxBuffer', 'container',
];
/** Without a thread to listen to them. */
const NOT_SYNC = ['onExit', 'signal'];

/** Longer timers fire at once, in every runtime. */
const LONGEST = 2 ** 31 - 1;

/** The options of `spawn(options)` and `spawn(cmd, options)`, understood. */
function read(first, second, defaults) {
  const given = Array.isArray(first) ? { ...plain(second ?? {}, 'options'), cmd: first } : plain(first, 'options');
  if (Array.isArray(first) && second && 'cmd' in second) throw wrong(TypeError, 'cmd', second.cmd, 'given once');
  for (const key of Object.keys(given)) {
    if (!KEYS.includes(key)) throw unknown(key, KEYS);
    if (defaults.sync && NOT_SYNC.includes(key) && given[key] !== undefined) {
      throw wrong(TypeError, key, given[key], 'left out: spawnSync has no use for it');
    }
  }
  const stdio = readStdio(given, defaults);
  const [file, ...args] = command(given.cmd);
  return {
    launch: {
      file,
      args,
      argv0: text(given, 'argv0'),
      cwd: directory(given),
      env: environment(given.env),
      stdio: stdio.codes,
      files: stdio.files,
      input: stdio.input,
      ahead: !on(given.maxBuffer),
    },
    container: container(given.container),
    stdio,
    onExit: callable(given, 'onExit'),
    signal: abortSignal(given.signal),
    timeout: bounded(given, 'timeout', 'a number of milliseconds, 1 to 2147483647', 1, LONGEST),
    killSignal: on(given.killSignal) ? numberOf(given.killSignal, 'killSignal') : undefined,
    maxBuffer: whole(bounded(given, 'maxBuffer', 'a number of bytes, 0 or more', 0, Number.MAX_SAFE_INTEGER), 'maxBuffer'),
  };
}

function unknown(key, keys) {
  const error = new TypeError(`${key}: unknown key; there are ${keys.join(', ')}`);
  error.code = 'ERR_INVALID_ARG_TYPE';
  return error;
}

/** Whether an option is there; `false` means off. */
function on(value) {
  return value !== undefined && value !== false;
}

/**
 * An object whose own properties are all there is of it. Of any other (a Map, a class with getters, one that inherits its
 * keys) what is not seen would be an isolation that was asked for and is not there.
 */
function plain(value, path) {
  if (typeof value !== 'object' || value === null) throw wrong(TypeError, path, value, 'an object');
  const prototype = Object.getPrototypeOf(value);
  // Object.prototype, also that of another realm.
  const isPlain = prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty'));
  if (!isPlain) throw wrong(TypeError, path, value, 'a plain object, with properties of its own alone');
  const [symbol] = Object.getOwnPropertySymbols(value);
  if (symbol !== undefined) throw wrong(TypeError, path, value, `an object without ${String(symbol)}`);
  return value;
}

/** Deeper than any option. */
const DEEPEST = 16;

/** The same for all that is in it. */
function allPlain(value, path, depth = 0) {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return;
  if (depth > DEEPEST) throw wrong(TypeError, path, value, 'less deeply nested: it may hold itself');
  if (Array.isArray(value)) {
    value.forEach((item, index) => allPlain(item, `${path}[${index}]`, depth + 1));
    return;
  }
  for (const [key, item] of Object.entries(plain(value, path))) allPlain(item, `${path}.${key}`, depth + 1);
}

function command(cmd) {
  if (!Array.isArray(cmd)) throw wrong(TypeError, 'cmd', cmd, 'an array of strings: the command and its arguments');
  if (cmd.length === 0) throw wrong(RangeError, 'cmd', cmd, 'an array of one string or more');
  cmd.forEach((word, index) => {
    if (typeof word !== 'string') throw wrong(TypeError, `cmd[${index}]`, word, 'a string');
    noNul(word, `cmd[${index}]`);
  });
  if (cmd[0] === '') throw wrong(RangeError, 'cmd[0]', '', 'a command, which is not empty');
  return cmd;
}

function noNul(value, path) {
  if (value.includes('\0')) throw wrong(RangeError, path, value, 'a string without a NUL byte');
  return value;
}

function text(given, key) {
  const value = given[key];
  if (!on(value)) return undefined;
  if (typeof value !== 'string') throw wrong(TypeError, key, value, 'a string');
  return noNul(value, key);
}

function directory(given) {
  const value = text(given, 'cwd');
  if (value !== undefined && !value.startsWith('/')) {
    throw wrong(RangeError, 'cwd', value, 'an absolute path, inside the container');
  }
  return value;
}

// Node's main thread has no environment but the process's own, which the addon reads much faster. Elsewhere it is an
// object of JavaScript's.
const own = isMainThread && process.versions.bun === undefined ? process.env : undefined;

/** Names and values by turns, or nothing for the process's own. */
function environment(env = process.env) {
  if (env === own) return undefined;
  const flat = [];
  if (typeof env !== 'object' && env !== false) throw wrong(TypeError, 'env', env, 'an object');
  // An array, a Map: its entries are no properties. It need not be plain: the runtimes' own is not.
  if (env === null || env[Symbol.iterator]) throw wrong(TypeError, 'env', env, 'an object of names and values');
  for (const [name, value] of Object.entries(env || {})) {
    if (value === undefined) continue;
    if (typeof value !== 'string') throw wrong(TypeError, `env.${name}`, value, 'a string');
    if (name === '' || name.includes('=') || name.includes('\0')) {
      throw wrong(RangeError, 'env', name, 'an object whose keys can name environment variables');
    }
    flat.push(name, noNul(value, `env.${name}`));
  }
  return flat;
}

function container(value) {
  if (!on(value)) return undefined;
  if (value !== true && (typeof value !== 'object' || value === null || Array.isArray(value))) {
    throw wrong(TypeError, 'container', value, 'an object, true for the sandbox, or false for none');
  }
  allPlain(value, 'container');
  return { container: value };
}

function callable(given, key) {
  if (on(given[key]) && typeof given[key] !== 'function') throw wrong(TypeError, key, given[key], 'a function');
  return on(given[key]) ? given[key] : undefined;
}

function abortSignal(value) {
  if (!on(value)) return undefined;
  if (!(value instanceof AbortSignal)) throw wrong(TypeError, 'signal', value, 'an AbortSignal');
  value.throwIfAborted();
  return value;
}

function bounded(given, key, expected, least, most) {
  const value = given[key];
  if (!on(value)) return undefined;
  if (typeof value !== 'number') throw wrong(TypeError, key, value, expected);
  if (!(value >= least && value <= most)) throw wrong(RangeError, key, value, expected);
  return value;
}

function whole(value, key) {
  if (value !== undefined && !Number.isInteger(value)) throw wrong(RangeError, key, value, 'a whole number');
  return value;
}

module.exports = { read };
