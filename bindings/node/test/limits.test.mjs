// What a container may use of the machine, and what its report says of that.
import assert from 'node:assert/strict';
import fs from 'node:fs';

import { spawn } from '../index.mjs';
import { it, refused, run, without, withoutRoot } from './kit.mjs';

const namespace = { user: true, pid: true };
const MiB = 2 ** 20;
const hungry = ['python3', '-c', `x = bytearray(200 * 2 ** 20); print("fits")`];
/** The cgroups that are there, whoever made them. */
const cgroups = () =>
  fs
    .readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4])
    .flatMap((place) => (fs.existsSync(`${place}/seclude`) ? fs.readdirSync(`${place}/seclude`, { withFileTypes: true }) : []))
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name);

it('runs out of memory at its limit, and the report says so; with more it fits', without('memory limit', 'swap limit'), async () => {
  const limited = (ram) => run(hungry, { container: { namespace, limit: { ram, swap: 0 } } });
  const { report, signalCode, exitCode } = await limited(64 * MiB);
  assert.equal(report.cause, 'out-of-memory');
  assert.ok(report.usage.oom_kills >= 1 && (signalCode === 'SIGKILL' || exitCode !== 0));
  assert.ok(report.usage.memory_peak_bytes <= 64 * MiB);
  const enough = await limited(400 * MiB);
  assert.deepEqual([enough.report.cause, enough.stdout], ['exited', 'fits\n']);
  assert.ok(enough.report.usage.memory_peak_bytes > 200 * MiB);
  assert.equal(enough.report.tree.proof, 'cgroup-removed');
});

it('takes bytes that it does not have swap for from nobody else: the same probe without a limit fits', async () => {
  assert.equal((await run(hungry)).stdout, 'fits\n');
});

it('runs at the share of a CPU that it was given', without('cpu limit'), async () => {
  const burn = ['python3', '-c', 'import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass'];
  const time = async (limit) => {
    const { report } = await run(burn, { container: { namespace, cgroup: { countAll: true }, limit } });
    return report;
  };
  const slow = await time({ cpu: 20 });
  assert.ok(slow.run_us >= 1_000_000, `${slow.run_us} us`);
  assert.ok(slow.usage.cpu_throttled_us > 0);
  const free = await time(false);
  assert.ok(!free.usage.cpu_throttled_us);
});

it('cannot make more processes than its limit, and the report says so', without('pids limit'), async () => {
  const many = ['sh', '-c', 'for i in 1 2 3 4 5 6 7 8 9; do sleep 0.2 & done; wait'];
  const few = await run(many, { container: { namespace, limit: { pids: 4 } } });
  assert.equal(few.report.cause, 'pids-limit');
  assert.ok(few.report.usage.pids_refused >= 1);
  const enough = await run(many, { container: { namespace, limit: { pids: 40 } } });
  assert.deepEqual([enough.report.cause, enough.exitCode], ['exited', 0]);
});

it('has a cgroup of its own for each of two that start at once, and the end of one is not the end of the other', without('cgroup'), async () => {
  const start = () => spawn(['sleep', '60'], { container: { namespace, cgroup: true } });
  const [one, other] = [start(), start()];
  await Promise.all([one.spawned, other.spawned]);
  assert.equal(new Set(cgroups()).size >= 2, true, cgroups().join(' '));
  await one.killTree();
  const first = await one.report;
  assert.equal(first.tree.proof, 'cgroup-removed');
  assert.equal(other.exitCode ?? other.signalCode, null);
  assert.ok((await other.stats()).cpuUserUs !== undefined);
  await other.killTree();
  const second = await other.report;
  assert.notEqual(first.spawn.cgroup.path, second.spawn.cgroup.path);
  for (const { path } of [first.spawn.cgroup, second.spawn.cgroup]) {
    assert.ok(!cgroups().includes(path.split('/').pop()), path);
  }
});

it('tells what it uses while it runs; without a cgroup that is an error', without('cgroup', 'memory limit'), async () => {
  const child = spawn(['python3', '-c', 'x = bytearray(50 * 2 ** 20); print("has it", flush=True); input()'], {
    stdin: 'pipe',
    container: { namespace, cgroup: { countAll: true } },
  });
  await child.stdout.getReader().read();
  const stats = await child.stats();
  assert.ok(stats.memoryBytes > 50 * MiB && stats.pids >= 1, JSON.stringify(stats));
  await child.stdin.end('\n');
  await child.exited;
  assert.equal((await refused(child.stats())).code, 'ESRCH');
  assert.ok(child.resourceUsage().maxRSS > 50 * MiB);
  const without = spawn(['sleep', '60'], { container: { namespace } });
  assert.deepEqual([(await refused(without.stats())).kind, (await refused(without.pause())).kind], ['invalid', 'invalid']);
  without.kill();
  await without.exited;
});

it('does nothing while it is paused, and goes on after', without('cgroup'), async () => {
  const child = spawn(['sh', '-c', 'while :; do echo tick; sleep 0.01; done'], { container: { namespace, cgroup: true } });
  const reader = child.stdout.getReader();
  await reader.read();
  await child.pause();
  // What it had written before is still to be read.
  const quiet = async () => {
    for (;;) {
      const next = reader.read();
      const first = await Promise.race([next, new Promise((resolve) => setTimeout(resolve, 300, 'quiet'))]);
      if (first === 'quiet') return { next };
    }
  };
  const { next } = await quiet();
  await child.resume();
  assert.match(new TextDecoder().decode((await next).value ?? new Uint8Array()), /tick/);
  await child.pause();
  await child.killTree();
  assert.equal(await child.exited, 137);
});

it('is an error if a limit cannot be set, and goes on without one that is only preferred', without('cgroup'), async () => {
  const devices = [{ device: '4095:1048575', rbps: 1 }];
  const error = await refused(spawn(['true'], { container: { namespace, limit: { ioMax: devices } } }).exited);
  assert.deepEqual([error.name, error.step, error.limit], ['SecludeError', 'cgroup', 'io.max'], error.message);
  const impossible = { container: { namespace, limit: { cpu: 1e6 }, prefer: ['cpus'] } };
  assert.throws(() => spawn(['true'], impossible), /^RangeError: container\.limit\.cpu is 10000 CPUs; .* each of which is 100$/);
  // Some hosts have it, others not.
  const limited = (prefer) => spawn(['true'], { container: { namespace, limit: { memoryHigh: 64 * MiB }, prefer } });
  const required = await limited(false).report.catch((refusal) => refusal);
  const [preferred] = (await limited(['memory-high']).report).spawn.preferred;
  assert.deepEqual([preferred.feature, preferred.achieved], ['memory-high', !(required instanceof Error)]);
  if (required instanceof Error) assert.deepEqual([required.limit, required.leftBehind], ['memory.high', []]);
});

it('names the file of the cgroup that a limit could not be written to, and the limit', without('memory limit'), async () => {
  const error = await refused(spawn(['true'], { container: { cgroup: { parent: '/cgroup.procs' }, limit: { ram: 64 * MiB } } }).exited);
  assert.deepEqual([error.step, error.side], ['cgroup', 'parent'], error.message);
  assert.ok(error.path.endsWith('/cgroup.procs') && error.hint.length > 0, error.message);
});

it('starts in a cgroup that exists, by its path or its descriptor, and leaves it there', withoutRoot || without('cgroup'), async () => {
  const lines = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\n').filter((line) => / - cgroup2? /.test(line));
  const places = lines.map((line) => line.split(' ')[4]).filter((place) => !place.endsWith('cpuset'));
  const name = `/seclude-test/js-${process.pid}`;
  const directories = places.map((place) => place + name);
  const look = { preset: 'bare', namespace: { user: true } };
  const shown = async (joinCgroup) => {
    const { stdout } = await run(['cat', '/proc/self/cgroup'], { container: { ...look, joinCgroup } });
    return stdout.split('\n').filter((line) => line.endsWith(name)).length;
  };
  try {
    // The parent as seclude makes it: whoever is the last in it removes it.
    for (const directory of directories) {
      fs.mkdirSync(directory.replace(/\/[^/]*$/, ''), { recursive: true, mode: 0o1700 });
      fs.mkdirSync(directory);
    }
    assert.equal(await shown(name), directories.length);
    const fd = fs.openSync(directories[0]);
    assert.equal(await shown(fd), 1);
    fs.closeSync(fd);
    assert.ok(directories.every((directory) => fs.existsSync(directory)));
  } finally {
    for (const directory of directories) {
      for (const place of [directory, directory.replace(/\/[^/]*$/, '')]) {
        try {
          fs.rmdirSync(place);
        } catch {}
      }
    }
  }
  const failed = (container) => refused(Promise.resolve().then(() => spawn(['true'], { container }).exited));
  for (const [joinCgroup, words] of [
    ['/seclude-test/no/such', /no hierarchy has it/],
    ['relative', /container\.joinCgroup/],
    [-1, /container\.joinCgroup/],
    [12345, /container\.joinCgroup.*open/],
    [true, /container\.joinCgroup/],
  ]) {
    assert.match((await failed({ ...look, joinCgroup })).message, words, `${joinCgroup}`);
  }
  const both = await failed({ ...look, joinCgroup: '/x', limit: { pids: 9 } });
  assert.match(both.message, /container\.joinCgroup.*a cgroup of its own/);
});

it('tells what its filter has refused while it runs; a container that may nest is refused nothing', async () => {
  for (const [container, told] of [[{}, ['unshare']], [{ nested: true }, []]]) {
    const script = 'unshare -U true 2> /dev/null; echo ready; read x';
    const process = spawn(['sh', '-c', script], { container, stdin: 'pipe', stdout: 'pipe' });
    await process.stdout.getReader().read();
    assert.deepEqual(process.denials().map(({ call }) => call), told);
    process.stdin.end('\n');
    await process.exited;
    assert.deepEqual(process.denials(), (await process.report).denials);
  }
});
