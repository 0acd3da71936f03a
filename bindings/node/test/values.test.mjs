// Values that the runtimes take without a word, and those that nobody can have meant.
import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { explain, spawn, spawnSync } from '../index.mjs';
import { it, refused, run, said, scratch, without } from './kit.mjs';

const all = [spawn, spawnSync, explain];

it('takes values that mean nothing for nothing, and numbers for texts', without('sandbox'), async () => {
  for (const container of [undefined, {}]) {
    const idle = { windowsHide: true, windowsVerbatimArguments: false, lazy: true, detached: false, container };
    for (const none of [0, Infinity]) assert.equal(await spawn(['true'], { ...idle, timeout: none }).exited, 0);
    const { stdout } = await run(['sh', '-c', 'echo $A $B'], { ...idle, maxBuffer: Infinity, env: { ...process.env, A: 1, B: 2n ** 70n } });
    assert.equal(stdout, `1 ${2n ** 70n}\n`);
    assert.equal(String(spawnSync(['cat'], { ...idle, stdin: 'pipe', timeout: 0, maxBuffer: Infinity }).stdout), '');
    const aborted = AbortSignal.abort(new Error('not now'));
    assert.equal(spawnSync(['true'], { container, signal: new AbortController().signal }).exitCode, 0);
    assert.throws(() => spawnSync(['true'], { container, signal: aborted }), /not now/);
  }
  for (const take of all) {
    assert.throws(() => take(['true'], { detached: true }), /^TypeError: detached is true; it can be false/);
    assert.throws(() => take(['true'], { windowsHide: 'yes' }), /^TypeError: windowsHide is the string "yes"/);
    assert.throws(() => take(['true'], { timeout: -1 }), /^RangeError: timeout is -1/);
    assert.throws(() => take(['true'], { ipc() {} }), /^TypeError: ipc: there is no such key/);
  }
});

it('finds a relative directory below this process\'s own, where the tree is this process\'s own', without('sandbox'), async () => {
  const relative = path.relative(process.cwd(), '/usr/share');
  for (const container of [undefined, {}, { root: '/' }, { root: false }]) {
    assert.equal(await said('pwd', container, { cwd: `${relative}/../share` }), '/usr/share');
    assert.equal(await said('pwd', container, { cwd: new URL('file:///usr') }), '/usr');
  }
  for (const take of all) {
    assert.throws(() => take(['true'], { cwd: 'usr', container: { root: '/usr' } }), /^RangeError: cwd is .*inside container\.root/);
  }
});

it('refuses commands with holes and of no end, at once', async () => {
  const holes = new Array(2 ** 31 - 1);
  const one = new Array(2 ** 31 - 1);
  one[0] = 'true';
  const endless = new Proxy(['true'], { get: (target, key) => (key === 'length' ? 2 ** 31 - 1 : (target[key] ?? 'more')) });
  const started = Date.now();
  for (const take of all) {
    for (const cmd of [holes, one, endless]) assert.throws(() => take(cmd), /^RangeError: cmd\.length is 2147483647; it can be at most/);
    // eslint-disable-next-line no-sparse-arrays
    assert.throws(() => take(['true', , 'b']), /^TypeError: cmd\[1\] is undefined; it can be a string/);
    assert.throws(() => take(['true'], { stdio: holes }), /^RangeError: stdio\.length/);
    assert.throws(() => take(['true'], { container: { fs: holes } }), /^RangeError: container\.fs\.length/);
    assert.throws(() => take('x'.repeat(1 << 20)), (error) => error.message.length < 1000);
  }
  assert.ok(Date.now() - started < 2_000);
  assert.equal((await refused(spawn(['true', 'x'.repeat(1 << 22)]).exited)).code, 'E2BIG');
});

it('takes no stdin that somebody has read from or reads, and no word that is none', async () => {
  const read = new Blob(['abcdef']).stream();
  const reader = read.getReader();
  await reader.read();
  reader.releaseLock();
  const locked = new Blob(['abcdef']).stream();
  locked.getReader();
  const used = new Response('abc');
  await used.text();
  for (const stdin of [read, locked, used]) {
    assert.throws(() => spawn(['cat'], { stdin }), /^TypeError: stdin is a (ReadableStream|Response); it can be/);
    assert.throws(() => spawn(['cat'], { stdio: [stdin] }), /^TypeError: stdio\[0\] is a/);
  }
  for (const take of all) assert.throws(() => take(['cat'], { stdin: 'inherti' }), /^TypeError: stdin is the string "inherti"; it can be "pipe"/);
  assert.equal((await run(['cat'], { stdin: new Blob(['abcdef']).stream() })).stdout, 'abcdef');
});

it('reads a file of Bun\'s as the file itself, and a part of one as that part', globalThis.Bun ? false : 'skipped: it is Bun\'s', async () => {
  const file = path.join(scratch({ file: '0123456789' }), 'file');
  const { Bun } = globalThis;
  assert.equal((await run(['readlink', '/proc/self/fd/0'], { stdin: Bun.file(file) })).stdout.trim(), file);
  assert.equal((await run(['cat'], { stdin: Bun.file(file).slice(2, 5) })).stdout, '234');
  assert.equal(String(spawnSync(['cat'], { stdin: Bun.file(file) }).stdout), '0123456789');
  assert.equal((await refused(spawn(['cat'], { stdin: Bun.file('/no/such') }).exited)).code, 'ENOENT');
});

it('ends by maxMemory, and says so; with more it does not', without('memory limit'), async () => {
  const hungry = ['python3', '-c', 'x = bytearray(200 * 2 ** 20); print("fits")'];
  for (const container of [undefined, {}, { limit: { swap: 0 } }]) {
    const child = spawn(hungry, { maxMemory: 64 << 20, stderr: 'ignore', container });
    await child.exited;
    assert.deepEqual([child.exitedDueToMaxMemory, (await child.report).cause], [true, 'out-of-memory'], JSON.stringify(container));
  }
  const enough = spawnSync(hungry, { maxMemory: 400n << 20n });
  assert.deepEqual([enough.exitedDueToMaxMemory, String(enough.stdout)], [false, 'fits\n']);
  for (const take of all) {
    for (const bad of [-1, 0, 4095, 1.5, Number.NaN, Infinity]) assert.throws(() => take(['true'], { maxMemory: bad }), /^RangeError: maxMemory is/);
    assert.throws(() => take(['true'], { maxMemory: '1G' }), /^TypeError: maxMemory is the string "1G"/);
    assert.throws(() => take(['true'], { maxMemory: 1 << 20, container: { limit: { ram: 1 << 20 } } }), /^TypeError: maxMemory: container\.limit\.ram says it already/);
  }
});

it('tells at once what it has in memory, while it runs', without('sandbox'), async () => {
  const cmd = ['python3', '-c', 'x = bytearray(50 * 2 ** 20); print("has it", flush=True); input()'];
  for (const container of [undefined, {}]) {
    const child = spawn(cmd, { stdin: 'pipe', container });
    await child.stdout.getReader().read();
    const { rss, maxRSS } = child.memoryUsage();
    assert.ok(rss > 50 << 20 && maxRSS >= rss && rss < 500 << 20, `${rss} ${maxRSS}`);
    await child.stdin.end('\n');
    await child.exited;
    assert.equal(child.memoryUsage(), undefined);
  }
});

it('is connected by further pipes, both ways, whose ends are the caller\'s', without('sandbox'), async () => {
  for (const container of [undefined, {}]) {
    const child = spawn(['sh', '-c', 'read line <&3; echo "got $line" >&3'], { stdio: ['ignore', 'pipe', 'inherit', 'pipe'], container });
    const [, , , fd] = child.stdio;
    assert.ok(Number.isInteger(fd) && child.stdio[3] === fd);
    fs.writeSync(fd, 'hello\n');
    await child.exited;
    const answer = Buffer.alloc(100);
    assert.equal(answer.toString('utf8', 0, fs.readSync(fd, answer)), 'got hello\n');
    fs.closeSync(fd);
    // Whoever looks when all is over finds what was said.
    const stdio = ['ignore', 'ignore', 'ignore', 'pipe'];
    const late = spawn(['sh', '-c', 'echo said >&3'], { stdio, container });
    await late.exited;
    assert.equal(fs.readFileSync(late.stdio[3], 'utf8'), 'said\n');
    fs.closeSync(late.stdio[3]);
    const left = spawn(['true'], { stdio, container });
    await left[Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]();
    assert.equal(left.stdio[3], null);
    const never = spawn(['/no/such'], { stdio, container });
    await refused(never.exited);
    assert.equal(never.stdio[3], null);
  }
  assert.throws(() => spawnSync(['true'], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] }), /^TypeError: stdio\[3\] is the string "pipe"/);
});

it('is built by npm, and says what is missing', async () => {
  const build = new URL('../build.mjs', import.meta.url).pathname;
  const node = process.versions.bun ? 'node' : process.execPath;
  const { status, stderr } = childProcess.spawnSync(node, [build], { env: { PATH: '/no/such' }, encoding: 'utf8' });
  const known = process.versions.bun ? null : 1;
  assert.equal(status, known ?? status);
  if (known !== null) assert.match(stderr, /^seclude: there is no cargo: install Rust/);
});
