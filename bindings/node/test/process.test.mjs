// The shape of Bun.spawn, contained and not.
import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { Worker } from 'node:worker_threads';

import { spawn, spawnSync } from '../index.mjs';
import { descriptors, isolated, it, refused, run, runs, said, scratch, script, until, without } from './kit.mjs';

const noContainer = without('user namespace', 'pid namespace', 'net namespace', 'fresh /proc');
const text = (stream) => new Response(stream).text();
/** Each test here means the same with a container and without. */
const both = [undefined, isolated];

it('separates stdout from stderr, and tells the exit code', noContainer, async () => {
  for (const container of both) {
    const { stdout, stderr, exitCode, signalCode } = await run(['sh', '-c', 'echo out; echo err >&2; exit 7'], { container });
    assert.deepEqual([stdout, stderr, exitCode, signalCode], ['out\n', 'err\n', 7, null]);
    const sync = spawnSync(['sh', '-c', 'echo out; echo err >&2; exit 7'], { container });
    assert.deepEqual([String(sync.stdout), String(sync.stderr), sync.exitCode, sync.success], ['out\n', 'err\n', 7, false]);
  }
});

it('tells a signal by its name, and exited as a shell does', noContainer, async () => {
  for (const container of both) {
    const child = spawn(['sleep', '60'], { container });
    await child.spawned;
    child.kill('SIGKILL');
    assert.equal(await child.exited, 137);
    assert.deepEqual([child.exitCode, child.signalCode, child.killed], [null, 'SIGKILL', true]);
    assert.deepEqual([(await child.report).signal, (await child.report).cause], [9, 'signaled']);
  }
  const own = spawn(['sh', '-c', 'kill -TERM $$']);
  assert.equal(await own.exited, 143);
  assert.deepEqual([own.signalCode, own.killed], ['SIGTERM', false]);
});

it('ends with kill() and no signal, also as PID 1 that has no handler; SIGTERM alone does not end that', noContainer, async () => {
  const plain = spawn(['sleep', '60']);
  plain.kill();
  assert.equal(await plain.exited, 143);
  const first = spawn(['sleep', '60'], { container: isolated });
  await first.spawned;
  first.kill('SIGTERM');
  assert.equal(await Promise.race([first.exited, new Promise((resolve) => setTimeout(resolve, 200, 'goes on'))]), 'goes on');
  first.kill();
  assert.equal(await first.exited, 137);
  const withInit = spawn(['sleep', '60'], { container: { namespace: { user: true }, init: true } });
  await withInit.spawned;
  withInit.kill();
  assert.equal(await withInit.exited, 143);
});

it('has the environment that it was given, and no other variable', noContainer, async () => {
  for (const container of both) {
    const env = { PATH: process.env.PATH, GREETING: 'ü=1', LEFT_OUT: undefined };
    const { stdout } = await run(['env'], { env, container });
    assert.deepEqual(stdout.trim().split('\n').sort(), ['GREETING=ü=1', `PATH=${process.env.PATH}`]);
    process.env.SECLUDE_NODE_LATE = 'set at run time';
    const late = container ? { inheritEnv: ['SECLUDE_NODE_LATE'] } : container;
    assert.match((await run(['env'], { container: late })).stdout, /^SECLUDE_NODE_LATE=set at run time$/m);
    if (container) assert.doesNotMatch((await run(['env'], { container })).stdout, /SECLUDE_NODE_LATE/);
    delete process.env.SECLUDE_NODE_LATE;
    assert.doesNotMatch((await run(['env'], { container })).stdout, /SECLUDE_NODE_LATE/);
  }
  assert.equal((await run(['/usr/bin/env'], { env: false })).stdout, '');
});

it('writes true, false and null as the runtime\'s own spawn does, and has this process\'s environment for null', async () => {
  const env = { PATH: process.env.PATH, A: true, B: false, C: null, D: undefined };
  const ours = spawnSync(['sh', '-c', 'echo $A $B $C ${D-none}'], { env }).stdout.toString();
  assert.equal(ours, 'true false null none\n');
  assert.equal(ours, childProcess.spawnSync('sh', ['-c', 'echo $A $B $C ${D-none}'], { env }).stdout.toString());
  assert.equal(spawnSync(['sh', '-c', 'echo $PATH'], { env: null }).stdout.toString(), `${process.env.PATH}\n`);
});

it('has of the environment of a worker what it has of any', noContainer, async () => {
  const file = new URL('../index.mjs', import.meta.url).href;
  const code = `import(${JSON.stringify(file)}).then(async ({ spawnSync }) => {
    const { parentPort } = await import('node:worker_threads');
    const env = (options) => String(spawnSync(['/usr/bin/env'], options).stdout);
    process.env.SECLUDE_NODE_WORKER = 'a secret';
    parentPort.postMessage([{}, { container: {} }, { container: {}, env: process.env }, { container: { envAll: true } }].map((options) => env(options).includes('a secret')));
  });`;
  const worker = new Worker(code, { eval: true });
  const [found] = await once(worker, 'message');
  await worker.terminate();
  assert.deepEqual(found, [true, false, false, true]);
});

it('runs in the directory that it was given, else in this process\'s own', noContainer, async () => {
  // The sandbox has a /tmp of its own.
  const place = '/usr/share';
  for (const container of both) {
    assert.equal(await said('pwd', container, { cwd: place }), place);
    assert.equal(await said('pwd', container), process.cwd());
    const own = scratch({ file: 'shown' });
    assert.equal(await said('cat file', container, { cwd: own }), 'shown');
  }
});

it('sees another name of itself as argv0', async () => {
  assert.equal((await run(['sh', '-c', 'echo $0'], { argv0: 'other' })).stdout, 'other\n');
});

it('reads stdin from bytes, a file, a descriptor, a stream, a Blob, or nothing', noContainer, async () => {
  const file = path.join(scratch({ file: 'from a file' }), 'file');
  const fd = fs.openSync(file, 'r');
  const stream = () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue('from ');
        controller.enqueue(new TextEncoder().encode('a stream'));
        controller.close();
      },
    });
  for (const container of both) {
    const cat = async (stdin) => (await run(['cat'], { stdin, container })).stdout;
    assert.equal(await cat(Buffer.from('from a text')), 'from a text');
    assert.equal(await cat(new Response('from a response')), 'from a response');
    assert.equal(await cat(new Request('http://x', { method: 'POST', body: 'from a request' })), 'from a request');
    assert.equal(await cat(new Response(null)), '');
    assert.equal(await cat(new TextEncoder().encode('bytes')), 'bytes');
    assert.equal(await cat(new Uint16Array([0x6968])), 'hi');
    assert.equal(await cat({ path: file }), 'from a file');
    assert.equal(await cat(pathToFileURL(file)), 'from a file');
    assert.equal(await cat(stream()), 'from a stream');
    assert.equal(await cat(new Blob(['from ', 'a blob'])), 'from a blob');
    assert.equal(await cat('ignore'), '');
    assert.equal(String(spawnSync(['cat'], { stdin: 'pipe', container }).stdout), '');
    assert.equal(String(spawnSync(['cat'], { stdin: Buffer.from('sync'), container }).stdout), 'sync');
  }
  assert.equal((await run(['cat'], { stdin: fd })).stdout, 'from a file');
  fs.closeSync(fd);
  const large = Buffer.alloc(5 << 20);
  assert.equal((await run(['wc', '-c'], { stdin: large })).stdout.trim(), String(large.length));
});

it('names the descriptor and the path of a file that cannot be opened', async () => {
  for (const [options, step, code] of [
    [{ stdin: { path: '/no/such/file' } }, 'stdin', 'ENOENT'],
    [{ stdout: { path: '/dev' } }, 'stdout', 'EISDIR'],
    [{ stdio: ['ignore', 'pipe', 'ignore', { path: '/dev/null/file' }] }, 'stdio[3]', 'ENOTDIR'],
  ]) {
    const where = Object.values(options)[0].path ?? '/dev/null/file';
    const error = await refused(spawn(['true'], options).exited);
    assert.deepEqual([error.name, error.step, error.code, error.side, error.path], ['SecludeError', step, code, 'parent', where]);
    assert.throws(() => spawnSync(['true'], options), { step, code });
  }
});

it('writes to stdin piece by piece, more than a pipe holds, and ends it', noContainer, async () => {
  for (const container of both) {
    const child = spawn(['wc', '-c'], { stdin: 'pipe', container });
    const piece = new Uint8Array(300_000);
    assert.equal(await child.stdin.write(piece), piece.length);
    child.stdin.write('and more');
    await child.stdin.end('!');
    assert.equal((await text(child.stdout)).trim(), String(piece.length + 9));
    assert.throws(() => child.stdin.write('late'), TypeError);
    assert.equal(await child.exited, 0);
  }
});

it('answers EPIPE for a write to a command that has closed its stdin', async () => {
  const child = spawn(['sh', '-c', 'exec <&-; exec sleep 60'], { stdin: 'pipe' });
  const failed = await refused((async () => {
    for (;;) await child.stdin.write(new Uint8Array(70_000));
  })());
  assert.equal(failed.code, 'EPIPE');
  child.kill();
  await child.exited;
});

it('is not told an end by a stdin stream that fails: it is killed, and exited has the stream\'s error', async () => {
  const failure = new Error('the source failed');
  const stdin = new ReadableStream({
    pull(controller) {
      controller.enqueue('half');
      return Promise.reject(failure);
    },
  });
  const child = spawn(['sh', '-c', 'cat; echo all'], { stdin });
  assert.equal(await refused(child.exited), failure);
  assert.doesNotMatch(await text(child.stdout), /all/);
  // As Bun's of a file that is missing.
  const unreadable = new ReadableStream();
  unreadable.getReader = () => {
    throw failure;
  };
  assert.equal(await refused(spawn(['cat'], { stdin: unreadable }).exited), failure);
});

it('writes to a file, to its end, and to a descriptor', noContainer, async () => {
  const file = path.join(scratch(), 'out');
  for (const container of both) {
    await run(['echo', 'one'], { stdout: { path: file }, container });
    await run(['echo', 'two'], { stdout: { path: file, append: true }, container });
    assert.equal(fs.readFileSync(file, 'utf8'), 'one\ntwo\n');
    await run(['echo', 'three'], { stdout: pathToFileURL(file), container });
    assert.equal(fs.readFileSync(file, 'utf8'), 'three\n');
    const fd = fs.openSync(file, 'a');
    await run(['sh', '-c', 'echo four; echo five >&2'], { stdout: fd, stderr: fd, container });
    fs.closeSync(fd);
    assert.equal(fs.readFileSync(file, 'utf8'), 'three\nfour\nfive\n');
  }
});

it('gets further descriptors by stdio, and none that it was not given', noContainer, async () => {
  const file = path.join(scratch({ file: 'descriptor three' }), 'file');
  const fd = fs.openSync(file, 'r');
  for (const container of both) {
    const child = spawn({ cmd: ['sh', '-c', 'cat <&3; ls /proc/self/fd | wc -l'], stdio: ['ignore', 'pipe', 'inherit', fd], container });
    // 0 to 3, and the one that ls reads the directory by.
    assert.equal(await text(child.stdout), 'descriptor three5\n');
    fs.closeSync(fs.openSync(file, 'r'));
    await child.exited;
    break;
  }
  fs.closeSync(fd);
});

it('inherits this process\'s own stdout', async () => {
  const [command, ...rest] = script(`await seclude.spawn(['echo', 'through'], { stdout: 'inherit' }).exited;`);
  assert.equal(childProcess.execFileSync(command, rest, { encoding: 'utf8' }), 'through\n');
});

it('gives the command a stdin that waits where the runtime has one that does not, and leaves the rest to the runtime', noContainer, () => {
  const body = `
    import fs from 'node:fs';
    const [, flags] = (process.stdin.isTTY, /flags:\\s+(\\d+)/.exec(fs.readFileSync('/proc/self/fdinfo/0', 'utf8')));
    const waits = (parseInt(flags, 8) & 0o4000) === 0;
    const cmd = ['sh', '-c', 'read line; echo "$line"'];
    const options = { stdin: 'inherit', stdout: 'inherit', container: JSON.parse(process.argv[2]) ?? undefined };
    const code = process.argv[3] === 'sync' ? seclude.spawnSync(cmd, options).exitCode : await seclude.spawn(cmd, options).exited;
    let rest = '';
    for await (const chunk of process.stdin) rest += chunk;
    console.log(waits, code, rest.trim());`;
  const slow = '(sleep 0.4; echo first; sleep 0.4; echo second) | "$@"';
  for (const container of [null, {}]) {
    for (const way of ['async', 'sync']) {
      const started = childProcess.execFileSync('sh', ['-c', slow, 'sh', ...script(body, JSON.stringify(container), way)], { encoding: 'utf8' });
      const waits = process.versions.bun ? /true|false/.exec(started)[0] : 'false';
      assert.equal(started, `first\n${waits} 0 second\n`, JSON.stringify(container));
    }
  }
});

it('inherits a further descriptor by its number, and refuses one that is not open', async () => {
  const stdio = "['ignore', 'pipe', 'inherit', 'inherit']";
  const body = `console.log(String(seclude.spawnSync(['cat', '/dev/fd/3'], { stdio: ${stdio} }).stdout));`;
  const file = path.join(scratch({ file: 'of the caller' }), 'file');
  assert.equal(childProcess.execFileSync('sh', ['-c', `exec 3< ${file}; exec "$@"`, 'sh', ...script(body)], { encoding: 'utf8' }), 'of the caller\n');
  const none = [...Array(3).fill('ignore'), ...Array(900).fill('ignore'), 'inherit'];
  assert.throws(() => spawn(['true'], { stdio: none }), /^RangeError: stdio\[903\]: descriptor 903/);
});

it('writes to a file of Bun\'s, and to no other Blob', process.versions.bun ? false : 'skipped: it is Bun\'s', async () => {
  const file = path.join(scratch(), 'file');
  assert.equal(await spawn(['echo', 'one'], { stdout: Bun.file(file) }).exited, 0);
  assert.equal(spawnSync(['sh', '-c', 'echo two >&2'], { stderr: Bun.file(file) }).success, true);
  assert.equal(await Bun.file(file).text(), 'two\n');
  const read = spawn(['cat'], { stdin: Bun.file(file) });
  assert.equal(await text(read.stdout), 'two\n');
  for (const blob of [new Blob(['x']), new File(['x'], file), Bun.file(1)]) {
    assert.throws(() => spawn(['echo'], { stdout: blob }), /^TypeError: stdout is a Blob/);
  }
  assert.equal(await Bun.file(file).text(), 'two\n');
});

it('reads ahead what nobody reads, so that the command ends; with maxBuffer no more than that', noContainer, async () => {
  const size = 8_000_000;
  for (const container of both) {
    const child = spawn(['sh', '-c', `head -c ${size} /dev/zero; head -c ${size} /dev/zero >&2`], { stderr: 'pipe', container });
    assert.equal(await child.exited, 0);
    for (const stream of [child.stdout, child.stderr]) assert.equal((await new Response(stream).arrayBuffer()).byteLength, size);
    // Who has begun to read is not to go on.
    const begun = spawn(['sh', '-c', `echo first; head -c ${size} /dev/zero`], { container });
    const reader = begun.stdout.getReader();
    const { value } = await reader.read();
    assert.equal(await begun.exited, 0);
    let total = value.length;
    for (let next = await reader.read(); !next.done; next = await reader.read()) total += next.value.length;
    assert.equal(total, size + 6);
  }
  const bounded = spawn(['sh', '-c', `head -c ${size} /dev/zero`], { maxBuffer: 1000 });
  assert.equal(await bounded.exited, 137);
  assert.equal((await new Response(bounded.stdout).arrayBuffer()).byteLength, 1000);
});

it('holds no descriptor of an output that nobody has read, which is still to be read', noContainer, async () => {
  const before = descriptors();
  const kept = [];
  for (let round = 0; round < 150; round += 1) {
    const child = spawn(['sh', '-c', `echo ${round}; echo e >&2`], { stderr: 'pipe', stdin: 'pipe', container: both[round % 2] });
    await child.exited;
    kept.push(child);
  }
  await until('the last one is closed', () => descriptors() <= before + 3);
  for (const [round, child] of kept.entries()) assert.deepEqual([await text(child.stdout), await text(child.stderr)], [`${round}\n`, 'e\n']);
});

it('stops reading when the stream is cancelled', async () => {
  const child = spawn(['yes'], { stdout: 'pipe' });
  const reader = child.stdout.getReader();
  assert.equal(new TextDecoder().decode((await reader.read()).value).slice(0, 2), 'y\n');
  await reader.cancel();
  assert.equal(await child.exited, 141);
  assert.equal(child.signalCode, 'SIGPIPE');
});

it('calls onExit once, with how it ended', noContainer, async () => {
  for (const container of both) {
    const calls = [];
    const onExit = (...call) => calls.push(call);
    const child = spawn(['sh', '-c', 'exit 4'], { onExit, container });
    await child.exited;
    assert.deepEqual(calls, [[child, 4, null, undefined]]);
    const killed = spawn(['sleep', '60'], { onExit, container });
    killed.kill('SIGKILL');
    await killed.exited;
    assert.deepEqual(calls[1], [killed, null, 'SIGKILL', undefined]);
  }
  const missing = [];
  spawn(['/no/such'], { onExit: (...call) => missing.push(call) });
  await until('onExit is called', () => missing.length === 1);
  assert.deepEqual([missing[0][1], missing[0][2], missing[0][3].code], [null, null, 'ENOENT']);
});

it('is stopped by an AbortSignal, and is not started by one that is aborted', noContainer, async () => {
  for (const container of both) {
    const controller = new AbortController();
    const child = spawn(['sleep', '60'], { signal: controller.signal, container });
    await child.spawned;
    controller.abort();
    assert.equal(await child.exited, 137);
    assert.equal((await child.report).cause, 'killed');
  }
  const gentle = new AbortController();
  const child = spawn(['sleep', '60'], { signal: gentle.signal, killSignal: 'SIGINT' });
  gentle.abort();
  assert.equal(await child.exited, 130);
  assert.throws(() => spawn(['true'], { signal: AbortSignal.abort(new Error('not now')) }), /not now/);
});

it('is stopped by its timeout, by its deadline, and by neither if it is faster', noContainer, async () => {
  for (const container of both) {
    const late = spawn(['sleep', '60'], { timeout: 100, container });
    assert.equal(await late.exited, 137);
    assert.equal(late.exitedDueToTimeout, true);
    const intime = spawn(['true'], { timeout: 30_000, container });
    assert.equal(await intime.exited, 0);
    assert.equal(intime.exitedDueToTimeout, false);
    const sync = spawnSync(['sleep', '60'], { timeout: 100, container });
    assert.deepEqual([sync.signalCode, sync.exitedDueToTimeout], ['SIGKILL', true]);
  }
  // Its own end is in time, but somebody else has its pipe.
  for (const options of [{ timeout: 100 }, { container: { preset: 'bare', deadline: 100 } }]) {
    const { stdout, exitedDueToTimeout, report } = spawnSync(['sh', '-c', 'sleep 61 & echo $!'], options);
    const pid = Number(stdout);
    assert.ok(runs(pid), 'it was not waited for');
    assert.deepEqual([exitedDueToTimeout, report.cause], [true, 'exited']);
    process.kill(pid, 'SIGKILL');
  }
  // Somebody else goes on writing: there is always something to read.
  const endless = spawnSync(['sh', '-c', 'while :; do echo; done & exec sleep 0.1'], { timeout: 200 });
  assert.deepEqual([endless.exitCode, endless.exitedDueToTimeout], [0, true]);
  for (const container of [{ deadline: 100 }, { preset: 'bare', deadline: 100 }, { ...isolated, deadline: 100 }]) {
    const dead = spawn(['sleep', '60'], { container });
    assert.deepEqual([dead.killed, dead.exitedDueToTimeout], [false, false]);
    assert.equal((await dead.report).cause, 'deadline');
    assert.deepEqual([dead.killed, dead.exitedDueToTimeout, dead.signalCode], [true, true, 'SIGKILL']);
    const sync = spawnSync(['sleep', '60'], { container });
    assert.deepEqual([sync.exitedDueToTimeout, sync.signalCode, sync.report.cause], [true, 'SIGKILL', 'deadline']);
    const early = spawn(['true'], { container: { ...container, deadline: 60_000 } });
    assert.equal(await early.exited, 0);
    assert.deepEqual([early.killed, early.exitedDueToTimeout], [false, false]);
  }
  const gentle = spawn(['sh', '-c', 'trap "echo bye; exit 5" USR1; while :; do sleep 0.01; done'], {
    timeout: 300,
    killSignal: 'SIGUSR1',
    container: isolated,
  });
  assert.equal(await text(gentle.stdout), 'bye\n');
  assert.equal(await gentle.exited, 5);
});

it('kills what the command has started with a pid namespace, and without one the command alone', noContainer, async () => {
  const file = path.join(scratch(), 'fifo');
  childProcess.execFileSync('mkfifo', [file]);
  for (const [container, goesOn] of [[isolated, false], [{ preset: 'bare', namespace: { user: true } }, true], [undefined, true]]) {
    for (const how of [(child) => child.killTree(), () => {}]) {
      // What is left of it holds the FIFO open, whatever its pid is there.
      const child = spawn(['sh', '-c', 'sleep 60 & echo; exec sleep 60'], { stdout: { path: file }, container, timeout: 400 });
      const reader = fs.createReadStream(file);
      let ended = false;
      reader.on('close', () => (ended = true));
      await new Promise((resolve) => reader.once('data', resolve));
      await child.spawned;
      await how(child);
      assert.equal(await child.exited, 137);
      if (goesOn) {
        await new Promise((resolve) => setTimeout(resolve, 100));
        assert.equal(ended, false);
        const left = fs.readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && holds(pid, file));
        assert.equal(left.length, 1);
        process.kill(Number(left[0]), 'SIGKILL');
      }
      await until('nobody holds it', () => ended);
    }
  }
});

/** Whether a process has a file as its stdout. */
function holds(pid, file) {
  try {
    return fs.readlinkSync(`/proc/${pid}/fd/1`) === file;
  } catch {
    return false;
  }
}

it('is stopped by more output than maxBuffer, and has as much as that', noContainer, async () => {
  for (const container of both) {
    const child = spawn(['yes'], { maxBuffer: 100_000, container });
    assert.equal(await child.exited, 137);
    assert.equal(child.exitedDueToMaxBuffer, true);
    assert.equal((await text(child.stdout)).length, 100_000);
    const exact = spawn(['head', '-c', '1000', '/dev/zero'], { maxBuffer: 1000, container });
    assert.equal((await text(exact.stdout)).length, 1000);
    assert.equal(await exact.exited, 0);
    assert.equal(exact.exitedDueToMaxBuffer, false);
    const sync = spawnSync(['yes'], { maxBuffer: 100_000, container });
    assert.deepEqual([sync.stdout.length, sync.exitedDueToMaxBuffer, sync.signalCode], [100_000, true, 'SIGKILL']);
  }
});

it('says what it has used only when it has ended', noContainer, async () => {
  const child = spawn(['sh', '-c', 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'], { container: isolated });
  assert.equal(child.resourceUsage(), undefined);
  await child.exited;
  const { cpuTime, maxRSS } = child.resourceUsage();
  assert.ok(cpuTime.total > 1000 && cpuTime.total === cpuTime.user + cpuTime.system, JSON.stringify(cpuTime));
  assert.equal(maxRSS, undefined);
});

it('has a pid when it runs, and a pidfd for as long as it does', noContainer, async () => {
  const child = spawn(['sleep', '60'], { container: isolated });
  assert.equal(child.pid, undefined);
  assert.equal(await child.spawned, child.pid);
  assert.match(fs.readFileSync(`/proc/${child.pid}/cmdline`, 'utf8'), /^sleep/);
  assert.match(fs.readFileSync(`/proc/self/fdinfo/${child.pidfd}`, 'utf8'), new RegExp(`^Pid:\\s+${child.pid}$`, 'm'));
  child.kill();
  await child.exited;
  assert.equal(child.pidfd, undefined);
});

it('kills the whole tree, also what has left the session', noContainer, async () => {
  const place = scratch();
  const file = path.join(place, 'pid');
  const body = `setsid sh -c 'exec sleep 300' & echo started; wait`;
  const container = { namespace: { user: true, pid: true } };
  const child = spawn(['sh', '-c', body], { container });
  await child.stdout.getReader().read();
  const inside = fs.readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')[0];
  assert.ok(runs(inside), `${file}: ${inside}`);
  await child.killTree();
  assert.equal(await child.exited, 137);
  assert.equal((await child.report).cause, 'killed');
  await until('its child has ended', () => !runs(inside));
});

it('is gone when an `await using` block is left', noContainer, async () => {
  const dispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
  const before = descriptors();
  const child = spawn(['sleep', '60'], { stdin: 'pipe', stderr: 'pipe', container: isolated });
  const pid = await child.spawned;
  assert.ok(runs(pid));
  await child[dispose]();
  assert.ok(!runs(pid));
  assert.equal(child.signalCode, 'SIGKILL');
  const missing = spawn(['/no/such']);
  await missing[dispose]();
  await until('its descriptors are closed', () => descriptors() <= before + 3);
});

it('keeps the event loop alive, unless unref() says otherwise', async () => {
  const quick = script(`seclude.spawn(['sleep', '300'], { container: { dieWithParent: true } }).unref();`);
  const started = Date.now();
  const unrefd = childProcess.spawn(quick[0], quick.slice(1), { stdio: 'inherit' });
  assert.deepEqual(await once(unrefd, 'exit'), [0, null]);
  assert.ok(Date.now() - started < 60_000);
  // Nor does what is read of it to keep a bound; but whoever has not said so gets all of it.
  const bounded = script(`const child = seclude.spawn(['sleep', '300'], { maxBuffer: 10, container: { dieWithParent: true } });
    child.spawned.then(() => setTimeout(() => child.unref(), 100));`);
  childProcess.execFileSync(bounded[0], bounded.slice(1), { timeout: 60_000 });
  const after = script(`const { stdout } = seclude.spawn(['sh', '-c', '(sleep 0.5; echo late) & exit 0'], { maxBuffer: 10 });
    new Response(stdout).text().then(console.log);`);
  assert.equal(childProcess.execFileSync(after[0], after.slice(1), { encoding: 'utf8' }), 'late\n\n');
  const slow = script(`const child = seclude.spawn(['sleep', '0.3'], { onExit: () => console.log('waited') }); child.unref(); child.ref();`);
  assert.equal(childProcess.execFileSync(slow[0], slow.slice(1), { encoding: 'utf8' }), 'waited\n');
});

it('takes a command before or in its options', async () => {
  assert.equal(await spawn({ cmd: ['sh', '-c', 'exit 3'] }).exited, 3);
  assert.equal(await spawn(['sh', '-c', 'exit 3'], {}).exited, 3);
  assert.equal(spawnSync({ cmd: ['sh', '-c', 'exit 3'] }).exitCode, 3);
});

/** Writes a byte and takes it back, over and over, so that whoever was told of one finds none; then it says nothing more. */
const thief = `
import os, time
ours = os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)
for _ in range(20000):
    os.write(1, b"x")
    try: os.read(ours, 1)
    except BlockingIOError: pass
time.sleep(8)
`;

it('keeps the timeout of spawnSync for a command that takes back what it has written', () => {
  for (let trial = 0; trial < 5; trial += 1) {
    const started = Date.now();
    const { exitedDueToTimeout } = spawnSync(['python3', '-c', thief], { timeout: 700 });
    assert.deepEqual([exitedDueToTimeout, Date.now() - started < 5_000], [true, true], `trial ${trial}`);
  }
});
