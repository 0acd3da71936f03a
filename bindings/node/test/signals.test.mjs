// Signals, also to those that take no notice of them.
import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';

import { spawn, spawnSync } from '../index.mjs';
import { isolated, it, scratch, until, without, withoutRoot } from './kit.mjs';

const noSocket = globalThis.Bun ? 'skipped: a socket of Bun\'s has no number' : false;
const noContainer = without('user namespace', 'pid namespace', 'net namespace', 'fresh /proc');
const killGrace = 200;
const sleeps = ['sleep', '60'];
const ignores = ['sh', '-c', 'trap "" TERM; echo ready; while :; do sleep 0.01; done'];

/** What ends it, once it runs. */
const ways = [
  ['kill', {}, (child) => assert.equal(child.kill('SIGTERM'), true)],
  ['timeout', { timeout: 300, killSignal: 'SIGTERM' }, () => {}],
  ['signal', { killSignal: 'SIGTERM' }, (child, controller) => controller.abort()],
];

it('kills a PID 1 that a signal does nothing to, and says so; the command of an init ends by the signal', noContainer, async () => {
  for (const [way, options, act] of ways) {
    for (const [container, ending] of [[isolated, ['SIGKILL', true]], [{}, ['SIGTERM', false]], [undefined, ['SIGTERM', false]]]) {
      const controller = new AbortController();
      const child = spawn(sleeps, { killGrace, container, signal: controller.signal, ...options });
      await child.spawned;
      act(child, controller);
      await child.exited;
      assert.deepEqual([child.signalCode, child.killEscalated], ending, `${way} ${JSON.stringify(container)}`);
      assert.equal(child.exitedDueToTimeout, way === 'timeout');
      assert.equal(child.killed, true);
    }
  }
  const child = spawn(['sh', '-c', 'yes; sleep 60'], { killGrace, container: isolated, maxBuffer: 1000, killSignal: 'SIGUSR1' });
  await child.exited;
  assert.deepEqual([child.killEscalated, child.exitedDueToMaxBuffer], [true, true]);
  for (const [container, ending] of [[isolated, ['SIGKILL', true, true]], [{}, ['SIGTERM', false, true]]]) {
    const sync = spawnSync(sleeps, { timeout: 200, killSignal: 'SIGTERM', killGrace, container });
    assert.deepEqual([sync.signalCode, sync.killEscalated, sync.exitedDueToTimeout], ending);
  }
});

it('lets a PID 1 that has a handler do what it does, and one whom a signal is not to end go on', noContainer, async () => {
  const handles = ['sh', '-c', 'trap "sleep 0.5; echo bye; exit 5" TERM; echo ready; while :; do sleep 0.01; done'];
  const child = spawn(handles, { killGrace: 50, container: isolated });
  const reader = child.stdout.getReader();
  await reader.read();
  child.kill('SIGTERM');
  assert.equal(await child.exited, 5);
  assert.equal(child.killEscalated, false);
  // Nobody ends by those, nor who was told to ignore one.
  for (const [cmd, signal] of [[sleeps, 'SIGWINCH'], [sleeps, 'SIGCHLD'], [ignores, 'SIGTERM']]) {
    const goesOn = spawn(cmd, { killGrace: 50, container: isolated });
    await goesOn.spawned;
    if (cmd === ignores) await goesOn.stdout.getReader().read();
    goesOn.kill(signal);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.equal(goesOn.kill(0), true, signal);
    goesOn.kill('SIGKILL');
    assert.equal(await goesOn.exited, 137);
    assert.equal(goesOn.killEscalated, false);
  }
});

it('says that a timeout has ended it only where it has', noContainer, async () => {
  const options = { timeout: 200, killSignal: 'SIGTERM' };
  const stubborn = ['sh', '-c', 'trap "" TERM; sleep 0.6; exit 3'];
  for (const container of [undefined, {}]) {
    const child = spawn(stubborn, { ...options, container });
    assert.equal(await child.exited, 3);
    assert.equal(child.exitedDueToTimeout, false, JSON.stringify(container));
    const sync = spawnSync(stubborn, { ...options, container });
    assert.deepEqual([sync.exitCode, sync.exitedDueToTimeout], [3, false]);
  }
  // To be stopped is more than to be sent a signal: PID 1 has its time, and no more.
  const first = spawn(['sh', '-c', 'trap "" TERM; sleep 60'], { ...options, killGrace, container: isolated });
  await first.exited;
  assert.deepEqual([first.signalCode, first.killEscalated, first.exitedDueToTimeout], ['SIGKILL', true, true]);
});

it('stops the command by SIGSTOP, below an init as well, until SIGCONT', noContainer, async () => {
  for (const container of [undefined, {}, isolated]) {
    const child = spawn(['sleep', '0.3'], { container });
    await child.spawned;
    assert.equal(child.kill('SIGSTOP'), true);
    const later = new Promise((resolve) => setTimeout(resolve, 1000, 'stopped'));
    assert.equal(await Promise.race([child.exited, later]), 'stopped', JSON.stringify(container));
    child.kill('SIGCONT');
    assert.equal(await child.exited, 0);
  }
});

it('answers with kill(0) whether it runs, and does nothing to it', noContainer, async () => {
  for (const container of [undefined, {}]) {
    const child = spawn(sleeps, { container });
    assert.equal(child.kill(0), true);
    await child.spawned;
    assert.deepEqual([child.kill(0), child.killed], [true, false]);
    child.kill('SIGKILL');
    await child.exited;
    assert.deepEqual([child.kill(0), child.kill('SIGTERM')], [false, false]);
  }
  const child = spawn(['true']);
  for (const bad of [-1, 65, 1.5, 'SIGNOPE', '0']) assert.throws(() => child.kill(bad), /signal is/);
  await child.exited;
});

it('sends a signal to everything in the container by killTree(signal), once, and without one kills', noContainer, async () => {
  const place = scratch();
  fs.chmodSync(place, 0o777);
  const body = (name) => `trap 'echo ${name} >> /mnt/said; sleep 0.5; exit 0' USR1; echo up >> /mnt/up; while :; do sleep 0.01; done`;
  const cmd = ['sh', '-c', `setsid sh -c "${body('inner')}" & ${body('outer')}`];
  const fs1 = [{ type: 'bind', from: place, to: '/mnt', options: { bind: { readonly: false } } }];
  for (const container of [{ preset: 'bare', namespace: { user: true, pid: true }, fs: fs1 }, { preset: 'bare', namespace: { user: true }, init: true, fs: fs1 }]) {
    for (const file of fs.readdirSync(place)) fs.rmSync(path.join(place, file));
    const child = spawn(cmd, { container });
    const lines = (file) => (fs.existsSync(path.join(place, file)) ? fs.readFileSync(path.join(place, file), 'utf8').trim().split('\n').sort() : []);
    await until('both are up', () => lines('up').length === 2);
    await child.killTree('SIGUSR1');
    await until('both have said so', () => lines('said').length === 2);
    assert.equal(await child.exited, 0);
    assert.deepEqual(lines('said'), ['inner', 'outer']);
    await child.killTree('SIGUSR1');
    assert.throws(() => spawnSync(['true'], { killSignal: 'SIGNOPE' }), /killSignal/);
  }
  const child = spawn(sleeps, { container: {} });
  await child.spawned;
  await assert.rejects(child.killTree('SIGNOPE'), /^TypeError: signal is the string "SIGNOPE"/);
  await assert.rejects(child.killTree(0), /^RangeError: signal is 0/);
  await child.killTree();
  assert.equal(await child.exited, 137);
});

it('waits for nobody who reads the output of an ended command, once it is killed or its time is over', noSocket || noContainer, async () => {
  const server = net.createServer({ pauseOnConnect: true });
  await new Promise((resolve) => server.listen(path.join(scratch(), 'socket'), resolve));
  const accepted = once(server, 'connection');
  const connection = net.connect(server.address());
  const [[other]] = await Promise.all([accepted, once(connection, 'connect')]);
  connection.on('error', () => {});
  // It is full: what is relayed to it waits for its reader when the command has ended.
  connection.write(Buffer.alloc(1 << 22));
  const writes = ['echo', 'said'];
  const start = (options) => spawn(writes, { stdout: connection._handle.fd, container: {}, ...options });
  const state = (child) => fs.readFileSync(`/proc/${child.pid}/stat`, 'utf8').replace(/.*\) /s, '')[0];
  try {
    const child = start();
    await child.spawned;
    await until('it has ended', () => state(child) === 'Z');
    const later = new Promise((resolve) => setTimeout(resolve, 300, 'waits'));
    assert.equal(await Promise.race([child.exited, later]), 'waits');
    assert.equal(child.kill('SIGKILL'), true);
    assert.equal(await child.exited, 0);
    const late = start({ timeout: 1_000, killSignal: 'SIGTERM' });
    await late.exited;
    assert.equal(late.exitedDueToTimeout, true);
    const sync = spawnSync(writes, { stdout: connection._handle.fd, container: {}, timeout: 1_000, killSignal: 'SIGTERM' });
    assert.equal(sync.exitedDueToTimeout, true);
  } finally {
    other.destroy();
    connection.destroy();
    server.close();
  }
});

it('finds nobody by a pid in a /proc of another pid namespace, and says so', withoutRoot || noContainer, async () => {
  const entry = new URL('../lib/index.js', import.meta.url).pathname;
  const script = `
    const { spawn } = require(${JSON.stringify(entry)});
    (async () => {
      for (const container of [{ preset: 'bare', namespace: { user: true, pid: true } }, undefined]) {
        const child = spawn(['sleep', '60'], { container });
        await child.spawned;
        console.log(child.memoryUsage());
        console.log(await child.killTree('SIGTERM').then(() => 'sent', (error) => error.message));
        child.kill('SIGKILL');
        console.log(await child.exited);
      }
    })();`;
  const said = childProcess.execFileSync('unshare', ['--pid', '--fork', process.execPath, '-e', script], { encoding: 'utf8' });
  const [rss, refused, end, ...plain] = said.trim().split('\n');
  assert.deepEqual([rss, end, ...plain], ['undefined', '137', 'undefined', 'sent', '143'], said);
  assert.match(refused, /\/proc is of another pid namespace/);
});

it('leaves an `await using` block by SIGTERM, and by SIGKILL where that does nothing', noContainer, async () => {
  const dispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
  for (const container of [undefined, {}, isolated]) {
    const gentle = spawn(['sh', '-c', 'trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.01; done'], { container });
    const reader = gentle.stdout.getReader();
    await reader.read();
    await gentle[dispose]();
    assert.deepEqual([gentle.exitCode, gentle.killed], [0, true]);
    assert.equal(new TextDecoder().decode((await reader.read()).value), 'bye\n');
    const stubborn = spawn(ignores, { container, killGrace: 100 });
    await stubborn.stdout.getReader().read();
    const started = Date.now();
    await stubborn[dispose]();
    assert.equal(stubborn.signalCode, 'SIGKILL');
    assert.ok(Date.now() - started < 5_000);
  }
  assert.throws(() => spawn(['true'], { killGrace: -1 }), /^RangeError: killGrace is -1/);
  assert.throws(() => spawn(['true'], { killGrace: '1s' }), /^TypeError: killGrace is the string "1s"/);
});
