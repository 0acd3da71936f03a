// What a contained process costs from a program with a large heap, beside an uncontained one of the runtime's own.
//
//   cargo xtask node --bench
import childProcess from 'node:child_process';
import { once } from 'node:events';
import { performance } from 'node:perf_hooks';

import { spawn } from './index.mjs';

const HEAP = 512 * 2 ** 20;
const ROUNDS = 300;
// So many that the runtime's own pauses, its collection of garbage above all, come up beside nothing too.
const ROUNDS_WATCHED = 500;
const AT_ONCE = 200;
const BINARY = process.argv[2] ?? '/bin/true';

const heap = Buffer.alloc(HEAP, 1);
const runtime = process.versions.bun ? `Bun ${process.versions.bun}` : `Node.js ${process.versions.node}`;

const stdio = { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' };
const namespaces = { user: true, pid: true };
const ways = {
  // What the machine and the runtime do to the event loop by themselves.
  'nothing, a timer of 4 ms': () => new Promise((resolve) => setTimeout(resolve, 4)),
  'child_process.spawn': () => once(childProcess.spawn(BINARY, [], { stdio: 'ignore' }), 'exit'),
  'spawn, no container': () => spawn({ cmd: [BINARY], ...stdio }).exited,
  'spawn, user and pid namespace': () => spawn({ cmd: [BINARY], ...stdio, container: { preset: 'bare', namespace: namespaces } }).exited,
  'spawn, all of the origin': () =>
    spawn({
      cmd: [BINARY],
      ...stdio,
      container: { preset: 'bare', namespace: { ...namespaces, network: true }, fs: [{ type: 'tmpfs', to: '/tmp' }] },
    }).exited,
  'spawn, the sandbox': () => spawn({ cmd: [BINARY], ...stdio, container: true }).exited,
};

const quantile = (values, q) => [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * q))];
const ms = (value) => value.toFixed(2).padStart(8);

/** The longest time that the event loop was away, while `work` went on. */
async function longestAway(work) {
  let longest = 0;
  let last = performance.now();
  let going = true;
  const tick = () => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
    if (going) setImmediate(tick);
  };
  setImmediate(tick);
  await work();
  going = false;
  return longest;
}

async function measure(way) {
  for (let round = 0; round < 20; round += 1) await way();
  const whole = [];
  const call = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = performance.now();
    const ended = way();
    call.push(performance.now() - before);
    await ended;
    whole.push(performance.now() - before);
  }
  const one = await longestAway(async () => {
    for (let round = 0; round < ROUNDS_WATCHED; round += 1) await way();
  });
  const start = performance.now();
  const many = await longestAway(() => Promise.all(Array.from({ length: AT_ONCE }, way)));
  return { whole, call, one, many, all: performance.now() - start };
}

console.log(`${runtime}, ${BINARY}, a heap of ${HEAP / 2 ** 20} MiB; milliseconds, ${ROUNDS} rounds`);
console.log(`${''.padEnd(32)}   p50 to exit      p95   times   p50 call  max call   away, one  away, ${AT_ONCE}   all ${AT_ONCE}`);
let uncontained;
for (const [name, way] of Object.entries(ways)) {
  const { whole, call, one, many, all } = await measure(way);
  const p50 = quantile(whole, 0.5);
  if (name.startsWith('child_process')) uncontained = p50;
  const times = (uncontained ? `${(p50 / uncontained).toFixed(2)}x` : '').padStart(7);
  console.log(
    `${name.padEnd(32)}      ${ms(p50)} ${ms(quantile(whole, 0.95))} ${times}   ${ms(quantile(call, 0.5))}  ${ms(Math.max(...call))}` +
      `    ${ms(one)}   ${ms(many)}  ${ms(all)}`,
  );
}
if (heap[HEAP - 1] !== 1) throw new Error('the heap has gone');
