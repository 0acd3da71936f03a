// What every door does and refuses alike: the cases of tests/doors, whose README says what they say.
import assert from 'node:assert/strict';
import fs from 'node:fs';

import { SecludeError, spawn, spawnSync } from '../index.mjs';
import { isRoot, it } from './kit.mjs';

const place = new URL('../../../tests/doors/', import.meta.url);
const files = fs.readdirSync(place).filter((name) => name.endsWith('.json'));
const cases = files.flatMap((name) => JSON.parse(fs.readFileSync(new URL(name, place), 'utf8')));

/** Objects whose keys are their owner's. */
const MAPS = ['env', 'rlimits'];
const camel = (key) => key.replace(/(?<=.)_(.)/g, (_, letter) => letter.toUpperCase());

function spelled(value) {
  if (Array.isArray(value)) return value.map(spelled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [camel(key), MAPS.includes(key) ? item : spelled(item)]));
}

/** A word that is no text is none of JavaScript's. */
const text = (word) => (word?.hex === undefined ? word : Buffer.from(word.hex, 'hex').toString());

async function run({ request: { command, terminal, ...container }, stdin = '' }) {
  const cmd = Array.isArray(command) ? command.map(text) : command;
  if (terminal) return atTerminal(cmd, spelled(container), terminal);
  const { stdout, report } = spawnSync({ cmd, container: spelled(container), stdin: Buffer.from(stdin), stderr: 'inherit' });
  return { stdout: String(stdout), ...report };
}

/** Here it is an option, and where the streams lead. */
async function atTerminal(cmd, container, { rows, columns: cols }) {
  const said = [];
  const child = spawn(cmd, { container, terminal: { rows, cols, data: (_, data) => said.push(data) } });
  const report = await child.report;
  return { stdout: Buffer.concat(said).toString().replaceAll('\r\n', '\n'), ...report };
}

/** A place as it is spelled here. */
const placed = (field) => field.replace(/^command/, 'cmd').replace(/^workdir/, 'cwd').replace(/^(?!cmd|cwd)/, 'container.').split('.').map(camel).join('.');

/** As data, with a value that the case does not name. */
function remedied(remedy, error, options) {
  if (remedy === undefined) return assert.deepEqual(error.remedies ?? [], [], options);
  const wanted = Object.entries(remedy).map(([key, value]) => [key, key === 'set' || key === 'leave' ? placed(value) : value]);
  return assert.ok(error.remedies?.some((found) => wanted.every(([key, value]) => found[key] === value)), `${options}: ${error.message}: ${JSON.stringify(error.remedies)}`);
}

function refusal({ code = 'invalid', kind, field, step, contains = '', remedy }, error, options) {
  remedied(remedy, error, options);
  assert.ok(error.message.includes(contains), `${options}: ${error.message}`);
  const key = field === undefined ? undefined : field.replace(/^command/, 'cmd').replace(/^(?!cmd)/, 'container.').split('.').map(camel).join('.');
  if (error instanceof SecludeError) {
    assert.equal(error.kind, code, `${options}: ${error.stack}`);
    if (step !== undefined) assert.equal(error.step, step, options);
    if (key !== undefined) assert.equal(error.field, key, options);
    return;
  }
  // Refused before there is a step.
  assert.equal(code, 'invalid', `${options}: ${error.stack}`);
  const Types = { range: [RangeError], syntax: [RangeError], undefined: [RangeError, TypeError] }[kind] ?? [TypeError];
  assert.ok(Types.some((Type) => error instanceof Type), `${options}: ${error.stack}`);
  assert.equal(error.code, error instanceof RangeError ? 'ERR_OUT_OF_RANGE' : 'ERR_INVALID_ARG_TYPE', options);
  if (key !== undefined) assert.ok(error.message.startsWith(key) && /^(:| is )/.test(error.message.slice(key.length)), `${key}: ${error.message}`);
}

it('does and refuses what every door does and refuses', async () => {
  let ran = 0;
  for (const one of cases) {
    const { name, needs = [], expect, expect_error: refused } = one;
    // A document of its own is for doors that take text.
    if (one.request === undefined || (needs.includes('root') && !isRoot) || (needs.includes('user') && isRoot)) continue;
    let found;
    try {
      found = await run(one);
    } catch (error) {
      if (['cgroup', 'landlock'].some((need) => needs.includes(need) && error.step === need)) {
        console.log(`skipped: ${name}: ${error.message}`);
        continue;
      }
      assert.ok(refused !== undefined, `${name}: ${error.stack}`);
      refusal(refused, error, name);
      ran += 1;
      continue;
    }
    assert.ok(expect !== undefined, `${name}: it ran: ${JSON.stringify(found)}`);
    const wanted = ['code', 'signal', 'cause'].some((key) => key in expect) ? expect : { code: 0, ...expect };
    for (const [key, value] of Object.entries(wanted)) assert.equal(found[key], value, `${name}: ${key}`);
    ran += 1;
  }
  assert.ok(ran > 50, `${ran} of ${cases.length}`);
});
