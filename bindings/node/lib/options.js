'use strict';

const { resolve } = require('node:path');
const { fileURLToPath } = require('node:url');
const { isMainThread } = require('node:worker_threads');

const { about, unreadable, wrong } = require('./failure.js');
const { WHOLE, allPlain, isArray, merged, plain, property } = require('./plain.js');
const { numberOf } = require('./signals.js');
const { atTerminal, readStdio } = require('./stdio.js');
const { sizeOf } = require('./terminal.js');

// What is JavaScript's by nature is read here; `container` is read by the addon, which knows what is in it.
const KEYS = [
  'cmd', 'argv0', 'cwd', 'env', 'stdin', 'stdout', 'stderr', 'stdio', 'onExit', 'signal', 'timeout', 'killSignal',
  'killGrace', 'maxBuffer', 'maxMemory', 'terminal', 'container', 'sandbox',
];
/** What the runtimes have for other systems, or of themselves; here they change nothing. */
const IDLE = ['windowsHide', 'windowsVerbatimArguments', 'lazy'];
/** Without a thread to listen to them. */
const NOT_SYNC = ['onExit', 'terminal'];
const TERMINAL_KEYS = ['cols', 'rows', 'name', 'data', 'exit', 'drain'];
/** A terminal is there instead of them. */
const NOT_BESIDE_TERMINAL = ['stdin', 'stdout', 'stderr', 'stdio'];

/** Longer timers fire at once, in every runtime. */
const LONGEST = 2 ** 31 - 1;
/** Milliseconds that somebody has to end by a signal. */
const GRACE = 1000;

/** The options of `spawn(options)` and `spawn(cmd, options)`, understood. */
function read(first, second, defaults) {
  const options = Array.isArray(first) ? plain(second ?? {}, WHOLE) : plain(first, WHOLE);
  if (Array.isArray(first) && 'cmd' in options) throw wrong(TypeError, 'cmd', options.cmd, 'given once');
  const given = Array.isArray(first) ? merged(options, { cmd: first }) : options;
  for (const key of Object.keys(given)) {
    if (IDLE.includes(key)) idle(given, key);
    else if (key === 'detached') attached(given.detached);
    else if (!KEYS.includes(key)) throw unknown(key, KEYS);
    if (defaults.sync && NOT_SYNC.includes(key) && given[key] !== undefined) {
      throw wrong(TypeError, key, given[key], 'left out: spawnSync has no use for it');
    }
  }
  const terminal = readTerminal(given);
  const stdio = terminal ? atTerminal() : readStdio(given, defaults);
  const [file, ...args] = command(given.cmd);
  const maxMemory = memory(given.maxMemory);
  const contained = container(given.container);
  return {
    // What is not in it is not there: the addon would find it in a prototype.
    launch: merged(environment(given.env, contained?.container), directory(given), {
      file,
      args,
      argv0: text(given, 'argv0'),
      stdio: stdio.codes,
      files: stdio.files,
      input: stdio.input,
      terminal: terminal?.made,
      ahead: !on(given.maxBuffer) || given.maxBuffer === Infinity,
    }),
    container: limited(filtered(contained, given.sandbox), maxMemory),
    stdio,
    terminal: terminal?.callbacks,
    onExit: callable(given, 'onExit'),
    signal: abortSignal(given.signal),
    timeout: bounded(given, 'timeout', 'a number of milliseconds, 1 to 2147483647; 0 or Infinity for none', 1, LONGEST, [0, Infinity]),
    killGrace: bounded(given, 'killGrace', 'a number of milliseconds, 0 to 2147483647', 0, LONGEST) ?? GRACE,
    killSignal: on(given.killSignal) ? numberOf(given.killSignal, 'killSignal') : undefined,
    maxBuffer: whole(bounded(given, 'maxBuffer', 'a number of bytes, 0 or more', 0, Number.MAX_SAFE_INTEGER, [Infinity]), 'maxBuffer'),
    maxMemory,
  };
}

function unknown(key, keys) {
  return about(TypeError, key, `${key}: there is no such key; there are ${keys.join(', ')}`);
}

/** Whether an option is there; `false` means off. */
function on(value) {
  return value !== undefined && value !== false;
}

/** What execve(2) takes is 6 MiB, of which each word has 9 bytes or more. */
const MOST_WORDS = 700_000;

function command(cmd) {
  if (!Array.isArray(cmd)) throw wrong(TypeError, 'cmd', cmd, 'an array of strings: the command and its arguments');
  if (cmd.length === 0) throw wrong(RangeError, 'cmd', cmd, 'an array of one string or more');
  // No kernel takes as many; see there for less.
  if (cmd.length > MOST_WORDS) throw wrong(RangeError, 'cmd.length', cmd.length, `at most ${MOST_WORDS}`);
  const words = [];
  // Not by forEach, which passes over holes.
  for (let index = 0; index < cmd.length; index += 1) {
    const word = property(cmd, index, `cmd[${index}]`);
    if (typeof word !== 'string') throw wrong(TypeError, `cmd[${index}]`, word, 'a string');
    words.push(noNul(word, `cmd[${index}]`));
  }
  if (words[0] === '') throw wrong(RangeError, 'cmd[0]', '', 'a command, which is not empty');
  return words;
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

/** The working directory. A relative one is this process's own, in a tree that is this process's own. */
function directory(given) {
  if (given.cwd instanceof URL) {
    if (given.cwd.protocol !== 'file:') throw wrong(RangeError, 'cwd', given.cwd.href, 'a path or a file: URL');
    return { cwd: noNul(fileURLToPath(given.cwd), 'cwd') };
  }
  const value = text(given, 'cwd');
  if (value === undefined) return {};
  if (value.startsWith('/')) return { cwd: value };
  if (value === '') throw wrong(RangeError, 'cwd', value, 'a path, which is not empty');
  // Whose tree it is, the addon knows.
  return { cwd: resolve(value), relativeCwd: value };
}

function idle(given, key) {
  if (given[key] !== undefined && typeof given[key] !== 'boolean') throw wrong(TypeError, key, given[key], 'true or false');
}

function attached(value) {
  if (value !== undefined && value !== false) {
    throw wrong(TypeError, 'detached', value, 'false; what outlives this process is asked for by container.dieWithParent and newSession');
  }
}

/** Less than that no process has. */
const LEAST_MEMORY = 4096;

function memory(value) {
  if (!on(value)) return undefined;
  const expected = `a whole number of bytes, ${LEAST_MEMORY} or more`;
  if (typeof value !== 'number' && typeof value !== 'bigint') throw wrong(TypeError, 'maxMemory', value, expected);
  const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value);
  if (!isWhole || value < LEAST_MEMORY || value >= 2n ** 63n) throw wrong(RangeError, 'maxMemory', value, expected);
  return value;
}

/** `maxMemory` is a limit of a cgroup, and without a container all that there is of one. */
function limited(contained, maxMemory) {
  if (maxMemory === undefined) return contained;
  if (contained === undefined) return { container: merged({ preset: 'bare', limit: { ram: maxMemory } }) };
  const given = contained.container === true ? merged() : contained.container;
  const key = 'limits' in given ? 'limits' : 'limit';
  const limit = on(given[key]) ? given[key] : merged();
  const twice = ['ram', 'memory', 'memoryMax', 'memory_max'].find((name) => on(limit?.[name]));
  if (twice !== undefined) throw twiceSaid('maxMemory', `container.${key}.${twice}`);
  return { container: merged(given, { [key]: typeof limit === 'object' && limit !== null ? merged(limit, { ram: maxMemory }) : limit }) };
}

/** Of other systems, as in Bun: one description serves them all. */
const OTHER_SYSTEMS = ['seatbelt', 'windows'];
const SANDBOX_KEYS = ['seccomp', ...OTHER_SYSTEMS];
const SECCOMP_KEYS = ['filter', 'flags'];

/** Bun's `sandbox`: a finished filter, and without a container nothing besides. */
function filtered(contained, value) {
  if (!on(value)) return contained;
  const given = plain(value, 'sandbox');
  const stranger = Object.keys(given).find((key) => !SANDBOX_KEYS.includes(key));
  if (stranger !== undefined) throw unknown(`sandbox.${stranger}`, SANDBOX_KEYS);
  if (!on(given.seccomp)) return contained;
  const seccomp = isBytes(given.seccomp) ? merged({ filter: given.seccomp }) : plain(given.seccomp, 'sandbox.seccomp');
  const odd = Object.keys(seccomp).find((key) => !SECCOMP_KEYS.includes(key));
  if (odd !== undefined) throw unknown(`sandbox.seccomp.${odd}`, SECCOMP_KEYS);
  if (!isBytes(seccomp.filter)) {
    throw wrong(TypeError, 'sandbox.seccomp.filter', seccomp.filter, 'a program of BPF: an ArrayBuffer or a view of one');
  }
  const flags = seccomp.flags ?? [];
  if (!Array.isArray(flags)) throw wrong(TypeError, 'sandbox.seccomp.flags', flags, 'an array of names, such as "LOG"');
  const bytes = ArrayBuffer.isView(seccomp.filter)
    ? new Uint8Array(seccomp.filter.buffer, seccomp.filter.byteOffset, seccomp.filter.byteLength)
    : new Uint8Array(seccomp.filter);
  const names = flags.map((flag, at) => {
    if (!FILTER_FLAGS.includes(flag)) {
      throw wrong(RangeError, `sandbox.seccomp.flags[${at}]`, flag, `one of ${FILTER_FLAGS.join(', ')}`);
    }
    return `SECCOMP_FILTER_FLAG_${flag}`;
  });
  const filter = { bpf: bytes, ...(names.length > 0 && { flags: names }) };
  if (contained === undefined) return { container: merged({ preset: 'bare', seccomp: filter }) };
  const container = contained.container === true ? merged() : contained.container;
  if (on(container.seccomp)) throw twiceSaid('sandbox.seccomp', 'container.seccomp');
  return { container: merged(container, { seccomp: filter }) };
}

const FILTER_FLAGS = ['LOG', 'SPEC_ALLOW', 'TSYNC', 'WAIT_KILLABLE_RECV'];

function isBytes(value) {
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
}

function twiceSaid(path, other) {
  return about(TypeError, path, `${path}: ${other} says it already`);
}

// Node's main thread has no environment but the process's own, which the addon reads much faster. Elsewhere it is an
// object of JavaScript's.
const own = isMainThread && process.versions.bun === undefined ? process.env : undefined;

/** What of a container asks for the caller's own beside what was given. */
const INHERITS = ['inheritEnv', 'inherit_env', 'envAll', 'env_all'];

/** What was given, and what is the caller's own, each as names and values by turns; nothing for the process's. */
function environment(given, container) {
  const env = given ?? process.env;
  if (env === own) return {};
  if (env === process.env) return { callerEnv: variables(env) };
  const inherits = own === undefined && INHERITS.some((key) => on(container?.[key]));
  return { env: variables(env), callerEnv: inherits ? variables(process.env) : undefined };
}

function variables(env) {
  const flat = [];
  if (typeof env !== 'object' && env !== false) throw wrong(TypeError, 'env', env, 'an object');
  // An array, a Map: its entries are no properties. It need not be plain: the runtimes' own is not.
  if (env && property(env, Symbol.iterator, 'env')) throw wrong(TypeError, 'env', env, 'an object of names and values');
  for (const name of namesOf(env || {})) {
    const value = property(env, name, `env.${name}`);
    if (value === undefined) continue;
    // As Node.js and Bun write them, also null; an object would be "[object Object]".
    if (value !== null && !['string', 'number', 'bigint', 'boolean'].includes(typeof value)) {
      throw wrong(TypeError, `env.${name}`, value, 'a string, a number, true, false or null');
    }
    if (name === '' || name.includes('=') || name.includes('\0')) {
      throw wrong(RangeError, 'env', name, 'an object whose keys can name environment variables');
    }
    flat.push(name, noNul(String(value), `env.${name}`));
  }
  return flat;
}

function namesOf(env) {
  try {
    return Object.keys(env);
  } catch (cause) {
    throw unreadable('env', cause);
  }
}

function container(value) {
  if (!on(value)) return undefined;
  if (value !== true && (typeof value !== 'object' || value === null || isArray(value, 'container'))) {
    throw wrong(TypeError, 'container', value, 'an object, true for the sandbox, or false for none');
  }
  return { container: allPlain(value, 'container') };
}

function readTerminal(given) {
  if (!on(given.terminal)) return undefined;
  const options = merged();
  for (const [key, value] of Object.entries(plain(given.terminal, 'terminal'))) {
    if (!TERMINAL_KEYS.includes(key)) throw unknown(`terminal.${key}`, TERMINAL_KEYS);
    // By its path, which an error names.
    options[`terminal.${key}`] = value;
  }
  // Nor is anything kept of which there could be too much.
  const beside = NOT_BESIDE_TERMINAL.find((key) => given[key] !== undefined) ?? (on(given.maxBuffer) ? 'maxBuffer' : undefined);
  if (beside !== undefined) throw wrong(TypeError, beside, given[beside], 'left out beside terminal');
  const size = (path, usual) => (on(options[path]) ? sizeOf(options[path], path) : usual);
  const name = text(options, 'terminal.name') ?? 'xterm-256color';
  if (name === '') throw wrong(RangeError, 'terminal.name', name, 'the name of a kind of terminal, which is not empty');
  return {
    made: {
      columns: size('terminal.cols', 80),
      rows: size('terminal.rows', 24),
      name: given.env && Object.hasOwn(given.env, 'TERM') && given.env.TERM !== undefined ? undefined : name,
    },
    callbacks: {
      data: callable(options, 'terminal.data'),
      exit: callable(options, 'terminal.exit'),
      drain: callable(options, 'terminal.drain'),
    },
  };
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

/** `none`: numbers that mean as much as nothing. */
function bounded(given, key, expected, least, most, none = []) {
  const value = given[key];
  if (!on(value) || none.includes(value)) return undefined;
  if (typeof value !== 'number') throw wrong(TypeError, key, value, expected);
  if (!(value >= least && value <= most)) throw wrong(RangeError, key, value, expected);
  return value;
}

function whole(value, key) {
  if (value !== undefined && !Number.isInteger(value)) throw wrong(RangeError, key, value, 'a whole number');
  return value;
}

module.exports = { read };
