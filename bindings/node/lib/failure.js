'use strict';

/** Why a container was not started, or why its end is not known. */
class SecludeError extends Error {
  constructor(failure) {
    super(failure.message);
    for (const [key, value] of Object.entries(failure)) {
      if (key !== 'message' && value !== null) this[key] = value;
    }
    this.code ??= `ERR_SECLUDE_${failure.kind.toUpperCase().replaceAll('-', '_')}`;
  }
}
Object.defineProperty(SecludeError.prototype, 'name', { value: 'SecludeError', configurable: true, writable: true });

/** An error that names the option, in its text and as data. */
function about(Type, path, text, options) {
  const error = new Type(text, options);
  error.code = Type === RangeError ? 'ERR_OUT_OF_RANGE' : 'ERR_INVALID_ARG_TYPE';
  error.field = path;
  return error;
}

/** One whose value cannot be meant. */
function wrong(Type, path, value, expected) {
  return about(Type, path, `${path} is ${show(value)}; it can be ${expected}`);
}

/** One whose own code has thrown. */
function unreadable(path, cause) {
  return about(TypeError, path, `${path}: it cannot be read`, { cause });
}

/** More than that of a string is not shown. */
const LONGEST = 200;

function show(value) {
  if (value === null || ['undefined', 'boolean', 'number', 'bigint'].includes(typeof value)) return String(value);
  if (typeof value === 'string') {
    const shown = JSON.stringify(value.slice(0, LONGEST));
    return value.length > LONGEST ? `a string of ${value.length} characters, ${shown}…` : `the string ${shown}`;
  }
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  if (Array.isArray(value)) return 'an array';
  return value.constructor?.name && value.constructor.name !== 'Object' ? `a ${value.constructor.name}` : 'an object';
}

module.exports = { SecludeError, about, unreadable, wrong };
