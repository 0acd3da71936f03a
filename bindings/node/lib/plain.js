'use strict';

const { unreadable, wrong } = require('./failure.js');

// What is given is copied, each property read once, into objects without a prototype: whatever somebody has put into
// Object.prototype is no option, and what was looked at is what is done.

/** The properties of all of them in one object, which has no others. */
function merged(...objects) {
  return Object.assign(Object.create(null), ...objects);
}

/**
 * A copy of an object whose own properties are all there is of it. Of any other (a Map, a class with getters, one that
 * inherits its keys) what is not seen would be an isolation that was asked for and is not there.
 */
function plain(value, path) {
  if (typeof value !== 'object' || value === null) throw wrong(TypeError, path, value, 'an object');
  let isPlain;
  let keys;
  try {
    const prototype = Object.getPrototypeOf(value);
    // Object.prototype, also that of another realm.
    isPlain = prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'hasOwnProperty'));
    keys = isPlain ? Reflect.ownKeys(value) : [];
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (!isPlain) throw wrong(TypeError, path, value, 'a plain object, with properties of its own alone');
  const copy = merged();
  for (const key of keys) {
    if (typeof key === 'symbol') throw wrong(TypeError, path, value, `an object without ${String(key)}`);
    copy[key] = property(value, key, path === WHOLE ? key : `${path}.${key}`);
  }
  return copy;
}

/** Not part of the path of an option. */
const WHOLE = 'options';

/** What a property has, whose getter may throw. */
function property(value, key, path) {
  try {
    return value[key];
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** Also that a proxy may throw at. */
function isBytes(value, path) {
  try {
    return ArrayBuffer.isView(value) || value instanceof ArrayBuffer;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** And that one does which was revoked. */
function isArray(value, path) {
  try {
    return Array.isArray(value);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** More than any option has; an array can say that it has as many as nobody could look through. */
const MOST_ITEMS = 65_536;

function few(length, path) {
  if (length > MOST_ITEMS) throw wrong(RangeError, `${path}.length`, length, `at most ${MOST_ITEMS}`);
}

/** Deeper than any option. */
const DEEPEST = 16;
/** How many values there may be, counted as often as they are reached: an array of one array many times has many. */
const MOST_VALUES = 2 ** 18;

/** The same for all that is in it; `above` is what it is in. */
function allPlain(value, path, above = [], count = { values: 0 }) {
  count.values += 1;
  if (count.values > MOST_VALUES) throw wrong(RangeError, path, value, `less: with it there are more than ${MOST_VALUES} values`);
  if (typeof value !== 'object' || value === null || isBytes(value, path)) return value;
  if (above.includes(value)) throw wrong(TypeError, path, value, 'less deeply nested: it holds itself');
  if (above.length > DEEPEST) throw wrong(RangeError, path, value, `an object that is not nested deeper than ${DEEPEST} levels`);
  const inside = [...above, value];
  if (isArray(value, path)) {
    const length = property(value, 'length', path);
    few(length, path);
    const copy = [];
    for (let index = 0; index < length; index += 1) {
      const at = `${path}[${index}]`;
      copy.push(allPlain(property(value, index, at), at, inside, count));
    }
    return copy;
  }
  const copy = plain(value, path);
  for (const key of Object.keys(copy)) copy[key] = allPlain(copy[key], `${path}.${key}`, inside, count);
  return copy;
}

module.exports = { WHOLE, allPlain, isArray, merged, plain, property };
