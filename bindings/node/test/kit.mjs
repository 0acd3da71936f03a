// What the tests share: probes, places, and what this host and this user can have.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import test from 'node:test';

import { doctor, spawn } from '../index.mjs';

// Wherever the checkout is: where a container has a /tmp of its own, what is below the host's cannot be its directory.
process.chdir('/usr');

export const isRoot = process.getuid() === 0;
const { findings } = await doctor();

/** A feature that the doctor finds missing here, as a reason to skip; `false` if it works. */
export function without(...features) {
  for (const feature of features) {
    const finding = findings.find((one) => one.feature === feature);
    if (!finding || finding.verdict === 'does-not') return `skipped: ${feature}: ${finding?.evidence ?? 'unknown'}`;
  }
  return false;
}

export const withoutRoot = isRoot ? false : 'skipped: it takes root';

/** A test is a sentence. One that cannot run here says why. */
export function it(sentence, ...rest) {
  const run = rest.pop();
  const reason = rest.find(Boolean);
  if (reason) console.log(`${reason}: ${sentence}`);
  test(sentence, { skip: Boolean(reason), timeout: 60_000 }, run);
}

/** What a new user namespace alone gives; everybody can have it. */
export const user = { user: true };
/** The container of the origin's first example. */
export const isolated = { namespace: { pid: true, user: true, network: true } };

/** Runs a command to its end: its output, its end and its report. */
export async function run(cmd, options = {}) {
  const child = spawn(cmd, { stderr: 'pipe', ...options });
  const text = (stream) => (stream ? new Response(stream).text() : null);
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const report = await child.report;
  return { stdout, stderr, report, exitCode: child.exitCode, signalCode: child.signalCode };
}

/** What a shell script says in a container. */
export async function said(script, container, options = {}) {
  const { stdout, stderr, exitCode, signalCode } = await run(['sh', '-c', script], { container, ...options });
  assert.equal(`${stderr}${exitCode}${signalCode ?? ''}`, '0', script);
  return stdout.trim();
}

/** The error that a promise is rejected with. */
export async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new assert.AssertionError({ message: 'it was not refused' });
}

const places = [];
// Not after(): in Bun all files share this module, and it would be called at the end of the first.
process.on('exit', () => {
  const failed = places.splice(0).filter((place) => {
    try {
      fs.rmSync(place, { recursive: true, force: true });
      return false;
    } catch (error) {
      console.error(`${place} is left: ${error}`);
      return true;
    }
  });
  if (failed.length > 0) process.exitCode = 1;
});

/** A directory of its own, gone when the tests are over. */
export function scratch(files = {}) {
  const place = fs.mkdtempSync(path.join(os.tmpdir(), 'seclude-node-'));
  places.push(place);
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(path.dirname(path.join(place, name)), { recursive: true });
    if (content === null) fs.mkdirSync(path.join(place, name), { recursive: true });
    else fs.writeFileSync(path.join(place, name), content);
  }
  return place;
}

const busybox = ['/bin/busybox', '/usr/bin/busybox'].find((file) => fs.existsSync(file));
export const withoutBusybox = busybox ? false : 'skipped: there is no static busybox';

/** A root with a busybox and nothing else. */
export function busyboxRoot(files = {}) {
  const place = scratch({ 'only-here': 'yes\n', tmp: null, proc: null, dev: null, ...files });
  fs.mkdirSync(path.join(place, 'bin'));
  fs.copyFileSync(busybox, path.join(place, 'bin/busybox'));
  fs.chmodSync(path.join(place, 'bin/busybox'), 0o755);
  for (const name of ['sh', 'ls', 'cat', 'id', 'ps', 'echo', 'mount', 'touch']) {
    fs.symlinkSync('busybox', path.join(place, 'bin', name));
  }
  fs.chmodSync(place, 0o755);
  return place;
}

/** Waits until something is so. */
export async function until(what, so, patience = 20_000) {
  const limit = Date.now() + patience;
  while (!(await so())) {
    if (Date.now() > limit) throw new assert.AssertionError({ message: `it never came to be: ${what}` });
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Whether a process is there and no zombie. */
export function runs(pid) {
  try {
    return !/^State:\s+[ZX]/m.test(fs.readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

export const descriptors = () => fs.readdirSync('/proc/self/fd').length;
export const threads = () => fs.readdirSync('/proc/self/task').length;

/** Runs a script of its own in this runtime, with `seclude` as the binding. */
export function script(body, ...args) {
  const file = path.join(scratch(), 'script.mjs');
  const binding = new URL('../index.mjs', import.meta.url).href;
  fs.writeFileSync(file, `import * as seclude from ${JSON.stringify(binding)};\n${body}`);
  return [process.execPath, file, ...args];
}
