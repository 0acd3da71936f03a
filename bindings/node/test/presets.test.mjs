// What a container begins from, and what it is without that.
import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { explain, spawn, spawnSync } from '../index.mjs';
import { isRoot, it, refused, run, said, scratch, until, without } from './kit.mjs';

const noSandbox = without('sandbox');
const bare = { preset: 'bare', namespace: { user: true } };
const uidMap = 'cat /proc/self/uid_map';

it('is the sandbox with an empty object: without capabilities, read-only, below an init; bare is none of that', noSandbox, async () => {
  const probe = 'grep CapEff /proc/self/status; touch /usr/seclude-probe 2>&1; echo $$';
  for (const container of [{}, true, { preset: 'sandbox' }, { hostRoot: false, namespace: false }]) {
    const [capabilities, write, pid] = (await said(probe, container)).split('\n');
    assert.match(capabilities, /\t0+$/);
    assert.match(write, /Read-only file system/);
    assert.notEqual(Number(pid), 1);
  }
  const [capabilities] = (await said('grep CapEff /proc/self/status', bare)).split('\n');
  assert.doesNotMatch(capabilities, /\t0+$/);
  const [one, other] = await Promise.all([{}, bare].map((container) => said('readlink /proc/self/ns/net', container)));
  assert.notEqual(one, other);
  assert.equal(other, fs.readlinkSync('/proc/self/ns/net'));
});

it('has as root the ids of nobody else, unless it is to be the host\'s root', noSandbox, isRoot ? false : 'skipped: it takes root', async () => {
  assert.match(await said(uidMap, {}), /^0 +[1-9]\d+ +65536$/);
  assert.match(await said(uidMap, { hostRoot: true }), /^0 +0 /);
  assert.match(await said(uidMap, bare), /^0 +0 +1$/);
});

it('has no root of the host to give, where this user is not root', noSandbox, isRoot ? 'skipped: it takes an ordinary user' : false, async () => {
  for (const take of [spawn, spawnSync, explain]) {
    assert.throws(() => take(['true'], { container: { hostRoot: true } }), /^(Range|Type)Error: container\.hostRoot: the caller is not root/);
  }
  assert.match(await said(uidMap, {}), new RegExp(`^0 +${process.getuid()} +1$`));
});

it('cannot make user namespaces, unless it may nest', noSandbox, async () => {
  const attempt = ['unshare', '-Ur', 'true'];
  const { exitCode, stderr } = await run(attempt, { container: {} });
  assert.notEqual(exitCode, 0);
  assert.match(stderr, /unshare/);
  assert.deepEqual((await run(attempt, { container: { nested: true } })).stderr, '');
});

it('is PID 1 if it is asked to be, by either way of asking', noSandbox, async () => {
  for (const container of [{ asPid1: true }, { init: false }, { namespace: { pid: true } }, { preset: 'bare', asPid1: true, namespace: { user: true } }]) {
    assert.equal(await said('echo $$', container), '1', JSON.stringify(container));
  }
  for (const container of [{}, { asPid1: false }, { namespace: { pid: true }, init: true }]) {
    assert.notEqual(await said('echo $$', container), '1', JSON.stringify(container));
  }
});

it('refuses a preset that there is not, and what contradicts, by its key', async () => {
  for (const [container, words] of [
    [{ preset: 'x' }, /^RangeError: container\.preset: "x"; it can be "sandbox", "host", "bare"/],
    [{ preset: true }, /^TypeError: container\.preset is true; it can be "sandbox", "host", "bare"/],
    [{ preset: null }, /^TypeError: container\.preset is null/],
    [{ preset: false }, /^TypeError: container\.preset is false/],
    [{ sandbox: true }, /^TypeError: container\.sandbox: there is no such key/],
    [{ asPid1: true, init: true }, /^TypeError: container\.init: container\.asPid1 says it already/],
    [{ asPid1: true, namespace: { pid: false } }, /^TypeError: container\.asPid1: it needs a new pid namespace/],
    [{ asPid1: 1 }, /^TypeError: container\.asPid1 is 1; it can be true or false/],
    [{ nested: 'yes' }, /^TypeError: container\.nested is "yes"; it can be true or false/],
    ...(isRoot ? [[{ nested: true, hostRoot: true }, /^TypeError: container\.nested: nested user namespaces, and/]] : []),
  ]) {
    for (const take of [spawn, spawnSync, explain]) assert.throws(() => take(['true'], { container }), words, JSON.stringify(container));
  }
});

it('ends a start that waits for somebody else by an AbortSignal, by killTree and by its timeout, and leaves nothing', noSandbox, async () => {
  const fifo = path.join(scratch(), 'fifo');
  childProcess.execFileSync('mkfifo', [fifo]);
  const tasks = () => fs.readdirSync('/proc/self/task').map((task) => fs.readFileSync(`/proc/self/task/${task}/comm`, 'utf8').trim());
  const opening = () => tasks().filter((name) => name === 'seclude-open').length;
  for (const container of [undefined, {}]) {
    for (const file of [{ stdin: { path: fifo } }, { stdout: { path: fifo } }]) {
      const controller = new AbortController();
      const aborted = spawn(['cat'], { ...file, container, signal: controller.signal });
      const killed = spawn(['cat'], { ...file, container });
      const late = spawn(['cat'], { ...file, container, timeout: 50 });
      const errors = [aborted, killed, late].map((child) => refused(child.exited));
      await until('they wait', () => opening() >= 1);
      controller.abort();
      await killed.killTree();
      for (const error of await Promise.all(errors)) {
        assert.deepEqual([error.name, error.step, error.kind, error.code, error.leftBehind], ['SecludeError', 'cancel', 'cancelled', 'ERR_SECLUDE_CANCELLED', []]);
      }
      assert.deepEqual([aborted.pid, killed.pid, late.pid], [undefined, undefined, undefined]);
      assert.deepEqual([late.exitedDueToTimeout, aborted.exitedDueToTimeout], [true, false]);
      const { pid, exitCode, signalCode, success, exitedDueToTimeout, report } = spawnSync(['cat'], { ...file, container, timeout: 50 });
      assert.deepEqual([pid, exitCode, signalCode, success, exitedDueToTimeout, report], [undefined, null, null, false, true, null]);
      await until('nobody waits for it any more', () => opening() === 0);
    }
  }
  // By contrast: with somebody at the other end it runs.
  const other = spawn(['cat'], { stdin: { path: fifo }, container: {} });
  fs.writeFileSync(fifo, 'late, but there');
  assert.equal(await new Response(other.stdout).text(), 'late, but there');
});
