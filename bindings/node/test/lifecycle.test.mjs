// Many at once, and how all of it ends: with this process, its workers, its handles.
import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

import { spawn } from '../index.mjs';
import { descriptors, isolated, it, run, runs, scratch, script, threads, until, without } from './kit.mjs';

const noContainer = without('user namespace', 'pid namespace', 'net namespace', 'fresh /proc');

/** A script of its own that says pids, one a line, and goes on. */
async function teller(body) {
  const [command, ...rest] = script(body);
  const other = childProcess.spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  const [first] = await once(other.stdout, 'data');
  const pids = String(first).trim().split(' ').map(Number);
  return { other, pids };
}

/** The processes of a container whose first is `pid`, seen from here. */
function tree(pid) {
  const children = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [pid, ...children.split(' ').filter(Boolean).flatMap((child) => tree(Number(child)))];
}

it('runs two hundred at once, each with its own output, and leaves no thread and no descriptor', noContainer, async () => {
  const all = async () => {
    const one = (number) => run(['sh', '-c', `cat; echo $$ ${number}`], { stdin: Buffer.from(`in ${number}\n`), container: isolated });
    return Promise.all(Array.from({ length: 200 }, (_, number) => one(number)));
  };
  await all();
  const [fds, tasks] = [descriptors(), threads()];
  const ends = await all();
  ends.forEach(({ stdout, exitCode }, number) => assert.deepEqual([stdout, exitCode], [`in ${number}\n1 ${number}\n`, 0]));
  assert.ok(descriptors() <= fds + 8, `${fds} descriptors, then ${descriptors()}`);
  assert.ok(threads() <= tasks + 8, `${tasks} threads, then ${threads()}`);
});

it('does not need a thread for each that runs', noContainer, async () => {
  const before = threads();
  const children = Array.from({ length: 100 }, () => spawn(['sleep', '60'], { stdout: 'ignore', stderr: 'ignore', container: isolated }));
  await Promise.all(children.map((child) => child.spawned));
  assert.ok(threads() <= before + 12, `${before} threads, then ${threads()}`);
  for (const child of children) child.kill();
  await Promise.all(children.map((child) => child.exited));
});

it('dies with this process, however that ends, and lives on only if asked to', noContainer, async () => {
  const start = (options) => `
    const child = seclude.spawn(['sh', '-c', 'sleep 301 & sleep 302'], { stdout: 'ignore', container: ${options} });
    await child.spawned;
    await new Promise((resolve) => setTimeout(resolve, 100));
    console.log(child.pid);`;
  const containers = ['{ namespace: { user: true, pid: true } }', '{ namespace: { user: true }, init: true }', 'undefined'];
  for (const container of containers) {
    const { other, pids } = await teller(`${start(container)} setInterval(() => {}, 1000);`);
    const all = tree(pids[0]);
    assert.ok(all.every(runs), container);
    other.kill('SIGKILL');
    await once(other, 'exit');
    const dying = container === 'undefined' ? pids : all;
    await until(`${container}: ${dying} have ended`, () => !dying.some(runs));
    // What a plain process has started is nobody's.
    if (container === 'undefined') for (const pid of all.slice(1)) process.kill(pid, 'SIGKILL');
  }
  const { other, pids } = await teller(`${start('{ namespace: { user: true, pid: true }, dieWithParent: false }')} process.exit();`);
  await once(other, 'exit');
  assert.ok(runs(pids[0]), 'it was asked to go on');
  process.kill(pids[0], 'SIGKILL');
  await until('it ends', () => !runs(pids[0]));
});

it('dies with this process at any moment of set-up', noContainer, async () => {
  const mark = `seclude-node-${process.pid}-endless`;
  const body = `
    const container = { namespace: { pid: true, user: true, network: true } };
    console.log(process.pid);
    for (;;) await Promise.all([1, 2, 3].map(() => seclude.spawn(['sleep', '303'], { env: { PATH: process.env.PATH, MARK: ${JSON.stringify(mark)} }, stdout: 'ignore', container }).spawned));`;
  const left = () =>
    fs.readdirSync('/proc').filter((pid) => {
      try {
        return /^\d+$/.test(pid) && fs.readFileSync(`/proc/${pid}/environ`, 'utf8').includes(mark) && runs(pid);
      } catch {
        return false;
      }
    });
  for (let round = 0; round < 8; round += 1) {
    const { other } = await teller(body);
    await new Promise((resolve) => setTimeout(resolve, (round * 13) % 60));
    other.kill('SIGKILL');
    await once(other, 'exit');
    await until(`round ${round}: nothing is left`, () => left().length === 0);
  }
});

it('leaves the runtime\'s own children alone, and they leave it alone', noContainer, async () => {
  const own = async (code) => (await once(childProcess.spawn('sh', ['-c', `exit ${code}`]), 'exit'))[0];
  const ours = async (code) => (await run(['sh', '-c', `exit ${code}`], { container: isolated })).exitCode;
  const codes = Array.from({ length: 30 }, (_, number) => number);
  const ends = await Promise.all(codes.flatMap((code) => [own(code), ours(code)]));
  assert.deepEqual(ends, codes.flatMap((code) => [code, code]));
});

it('keeps the event loop turning while a start takes its time', noContainer, async () => {
  // So many mounts that this thread has its turn on a host of one busy processor too.
  const fsEntries = Array.from({ length: 3000 }, (_, number) => ({ type: 'tmpfs', to: `/mnt/${number}` }));
  const container = { namespace: { user: true, pid: true }, fs: [{ type: 'tmpfs', to: '/mnt' }, ...fsEntries] };
  let turns = 0;
  const child = spawn(['true'], { container });
  let going = true;
  child.spawned.finally(() => (going = false));
  while (going) {
    turns += 1;
    await new Promise(setImmediate);
  }
  assert.equal(await child.exited, 0);
  assert.ok(turns > 10, `${turns} turns of the loop while it was set up`);
});

it('keeps the event loop turning while a file that is to be opened waits for its other end', async () => {
  const fifo = path.join(scratch(), 'fifo');
  childProcess.execFileSync('mkfifo', [fifo]);
  // Were this thread what waits, somebody else would have to end it.
  const [command, ...rest] = script('import fs from "node:fs"; setTimeout(() => fs.writeFileSync(process.argv[2], "late\\n"), 20_000);', fifo);
  const rescue = childProcess.spawn(command, rest);
  // More than there are threads for set-up.
  const waiting = Array.from({ length: 4 }, () => run(['head', '-n', '1'], { stdin: { path: fifo } }));
  assert.equal((await run(['echo', 'meanwhile'])).stdout, 'meanwhile\n');
  const said = run(['sh', '-c', 'echo in time; echo in time; echo in time; echo in time; sleep 0.2'], { stdout: { path: fifo } });
  const lines = (await Promise.all(waiting)).map(({ stdout }) => stdout);
  assert.ok(lines.includes('in time\n') && !lines.includes('late\n'), String(lines));
  await said;
  rescue.kill();
});

it('works in worker threads, each with its own handles', noContainer, async () => {
  const body = `
    import { parentPort, workerData } from 'node:worker_threads';
    const child = seclude.spawn(['sh', '-c', 'echo $$ $MARK'], { env: { ...process.env, MARK: 'worker' + workerData }, container: ${JSON.stringify(isolated)} });
    const stdout = await new Response(child.stdout).text();
    parentPort.postMessage([stdout, await child.exited, seclude.spawnSync(['sh', '-c', 'exit 6']).exitCode]);`;
  const [, file] = script(body);
  const answers = await Promise.all(
    [1, 2, 3].map(async (workerData) => {
      const worker = new Worker(file, { workerData });
      const [message] = await once(worker, 'message');
      await worker.terminate();
      return message;
    }),
  );
  assert.deepEqual(answers, [1, 2, 3].map((number) => [`1 worker${number}\n`, 0, 6]));
});

it('dies with the worker that started it, and the others go on', noContainer, async () => {
  const body = `
    import { parentPort } from 'node:worker_threads';
    const child = seclude.spawn(['sleep', '304'], { stdout: 'ignore', container: ${JSON.stringify(isolated)} });
    parentPort.postMessage(await child.spawned);`;
  const [, file] = script(body);
  const mine = spawn(['sleep', '305'], { stdout: 'ignore', container: isolated });
  await mine.spawned;
  const worker = new Worker(file);
  const [pid] = await once(worker, 'message');
  assert.ok(runs(pid));
  await worker.terminate();
  await until('it has ended with its worker', () => !runs(pid));
  assert.ok(runs(mine.pid));
  mine.kill();
  await mine.exited;
});

it('leaks nothing through handles that are forgotten', noContainer, async () => {
  const collect = globalThis.Bun ? () => globalThis.Bun.gc(true) : await collector();
  const forget = async () => {
    for (let round = 0; round < 20; round += 1) {
      // Its pipes were never read, nor was anything written.
      await spawn(['true'], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'], container: isolated }).exited;
    }
  };
  await forget();
  collect();
  const before = descriptors();
  for (let round = 0; round < 5; round += 1) await forget();
  await until(`there are about ${before} descriptors again, not ${descriptors()}`, () => {
    collect();
    return descriptors() <= before + 10;
  });
});

it('keeps nothing of what it was given where that cannot be meant', async () => {
  const collect = globalThis.Bun ? () => globalThis.Bun.gc(true) : await collector();
  const refuse = () => {
    const onExit = () => {};
    assert.throws(() => spawn(['true'], { onExit, container: { nope: 1 } }), /^TypeError: container.nope/);
    return new WeakRef(onExit);
  };
  const given = Array.from({ length: 20 }, refuse);
  // One or another may be on the stack yet.
  await until('they are collected', () => {
    collect();
    return given.filter((handler) => handler.deref()).length <= 2;
  });
});

async function collector() {
  const { setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc');
}
