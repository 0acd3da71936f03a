// A command at a terminal, contained and not.
import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { Worker } from 'node:worker_threads';

import { explain, spawn, spawnSync } from '../index.mjs';
import { descriptors, isolated, it, refused, runs, script, threads, until, without } from './kit.mjs';

const noContainer = without('sandbox', 'terminal', 'user namespace', 'pid namespace', 'net namespace', 'fresh /proc');
/** Each test here means the same in all of them. */
const places = [undefined, { preset: 'bare', namespace: { user: true } }, isolated, {}];
const later = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** A command at a terminal: what it has said so far, and what its callbacks were told. */
function at(cmd, options = {}, { data, ...more } = {}) {
  const seen = { said: '', exits: [], drained: 0 };
  const decoder = new TextDecoder();
  const child = spawn(cmd, {
    ...options,
    terminal: {
      data(terminal, bytes) {
        assert.ok(bytes.constructor === Uint8Array);
        seen.said += decoder.decode(bytes, { stream: true });
        data?.(terminal, bytes);
      },
      exit: (terminal, ...how) => seen.exits.push([terminal.closed, ...how]),
      drain: () => (seen.drained += 1),
      ...more,
    },
  });
  const says = (words) => until(`${cmd.at(-1)}: says ${words}, not ${JSON.stringify(seen.said)}`, () => seen.said.includes(words));
  return Object.assign(seen, { child, terminal: child.terminal, says });
}

const shell = (body, ...rest) => at(['sh', '-c', body], ...rest);

it('has a terminal of that size and kind as all three descriptors, instead of streams', noContainer, async () => {
  for (const container of places) {
    const screen = shell('tty; tty <&1; tty <&2; stty size; echo $TERM', { container }, { cols: 132, rows: 43, name: 'vt220' });
    assert.deepEqual([screen.child.stdin, screen.child.stdout, screen.child.stderr, screen.child.stdio], [null, null, null, [null, null, null]]);
    assert.equal(await screen.child.exited, 0);
    const [name] = screen.said.split('\r\n');
    assert.match(name, /^\/dev\/pts\/\d+$/);
    assert.equal(screen.said, [name, name, name, '43 132', 'vt220', ''].join('\r\n'));
    assert.deepEqual(screen.exits, [[true, 0, null]]);
  }
  assert.equal(spawn(['true'], { terminal: false }).terminal, undefined);
});

it('is 80 columns wide and 24 rows high by default, an xterm-256color, unless the environment has another TERM', noContainer, async () => {
  const sized = shell('stty size; echo $TERM $A', { env: { PATH: process.env.PATH, A: 'a' }, container: {} });
  await sized.child.exited;
  assert.equal(sized.said, '24 80\r\nxterm-256color a\r\n');
  const named = shell('echo $TERM', { env: { PATH: process.env.PATH, TERM: 'dumb' } }, { name: 'vt220', cols: false });
  await named.child.exited;
  assert.equal(named.said, 'dumb\r\n');
  assert.ok(explain(['true'], { terminal: { cols: 9 }, container: {} }).text.includes('24 rows, 9 columns'));
});

it('types what is written to it, also what was before it ran', noContainer, async () => {
  for (const container of places) {
    const screen = shell('read a; read b; read c; echo "<$a> <$b> <$c>"', { container });
    assert.equal(screen.terminal.write('änd '), 5);
    const bytes = new Uint8Array([120, 10]);
    assert.equal(screen.terminal.write(bytes), 2);
    bytes.fill(0);
    assert.equal(screen.terminal.write(''), 0);
    await screen.says('änd x\r\n');
    screen.terminal.write(new TextEncoder().encode('y\r').buffer);
    screen.terminal.write('\x04');
    assert.equal(await screen.child.exited, 0);
    assert.ok(screen.said.endsWith('<änd x> <y> <>\r\n'), screen.said);
    // Nobody is there to take it.
    assert.equal(screen.terminal.write('late'), 0);
    screen.terminal.resize(5, 5);
    screen.terminal.setRawMode(true);
  }
});

it('tells the command of a new size', noContainer, async () => {
  for (const container of places) {
    const screen = shell('trap "stty size; exit 3" WINCH; echo ready; while :; do sleep 0.01; done', { container });
    await screen.says('ready');
    screen.terminal.resize(65535, 1);
    assert.equal(await screen.child.exited, 3);
    assert.equal(screen.said, 'ready\r\n1 65535\r\n');
  }
});

it('interrupts what runs at it by Ctrl-C', noContainer, async () => {
  for (const container of [undefined, { preset: 'bare', namespace: { user: true } }, {}]) {
    const screen = shell('echo ready; exec sleep 60', { container });
    await screen.says('ready');
    screen.terminal.write('\x03');
    await screen.child.exited;
    assert.equal(screen.child.signalCode, 'SIGINT');
    assert.equal(screen.child.killed, false);
  }
  const handler = shell('trap "echo interrupted; exit 4" INT; echo ready; while :; do sleep 0.01; done', { container: isolated });
  await handler.says('ready');
  handler.terminal.write('\x03');
  assert.equal(await handler.child.exited, 4);
  assert.ok(handler.said.endsWith('interrupted\r\n'));
});

it('hands on each byte as it is in raw mode, and edits lines again after that', noContainer, async () => {
  const screen = shell('echo ready; head -c 3 | od -An -tx1; echo raw; read line; echo "<$line>"', { container: {} });
  await screen.says('ready\r\n');
  screen.terminal.setRawMode(true);
  screen.terminal.setRawMode(true);
  screen.terminal.write('\x03\r\x04');
  await screen.says('raw\r\n');
  assert.equal(screen.said, 'ready\r\n 03 0d 04\r\nraw\r\n');
  screen.terminal.setRawMode(false);
  screen.terminal.setRawMode(false);
  screen.terminal.write('ab\x7fc\r');
  assert.equal(await screen.child.exited, 0);
  assert.ok(screen.said.endsWith('<ac>\r\n'), screen.said);
});

it('tells all that the command has said before exit, and that before exited and onExit', noContainer, async () => {
  const lines = 100_000;
  for (const container of places) {
    const order = [];
    const screen = shell(
      `seq 1 ${lines}; printf end`,
      { container, onExit: () => order.push('onExit') },
      { data: () => order.at(-1) === 'data' || order.push('data'), exit: () => order.push('exit') },
    );
    await screen.child.exited.then(() => order.push('exited'));
    assert.deepEqual([order.slice(0, 2), order.slice(2).sort()], [['data', 'exit'], ['exited', 'onExit']]);
    assert.equal(screen.said, `${Array.from({ length: lines }, (_, index) => `${index + 1}\r\n`).join('')}end`);
  }
});

it('has a command wait that says more than is taken', async () => {
  const child = spawn(['yes'], { terminal: {} });
  await child.spawned;
  const said = () => Number(/^wchar: (\d+)$/m.exec(fs.readFileSync(`/proc/${child.pid}/io`, 'utf8'))[1]);
  const before = said();
  // Nobody takes anything meanwhile.
  for (const end = Date.now() + 300; Date.now() < end; );
  const more = said() - before;
  child.kill();
  await child.exited;
  assert.ok(more < 1 << 20, `${more} bytes`);
});

it('neither waits nor loses anything where the command does not read, and calls drain when it has', noContainer, async () => {
  const size = 1 << 20;
  for (const container of [undefined, {}]) {
    const waits = 'trap "go=1" USR1; stty raw -echo; echo ready; while [ -z "$go" ]; do sleep 0.01; done';
    const screen = shell(`${waits}; head -c ${2 * size} | cksum; echo done; sleep 60`, { container });
    await screen.says('ready');
    const bytes = Buffer.from(Array.from({ length: size }, (_, index) => index % 251));
    assert.equal(screen.terminal.write(bytes), size);
    assert.equal(screen.terminal.write(bytes), size);
    // Were this thread what waits, nobody would tell the command to go on.
    await later(200);
    assert.equal(screen.drained, 0);
    screen.child.kill('SIGUSR1');
    await screen.says('done');
    await until('it has drained', () => screen.drained > 0);
    assert.equal(screen.drained, 1);
    const expected = childProcess.execFileSync('cksum', { input: Buffer.concat([bytes, bytes]), encoding: 'utf8' });
    assert.ok(screen.said.includes(expected.trim()), screen.said);
    screen.child.kill('SIGKILL');
    await screen.child.exited;
  }
});

it('forgets at the end what nobody has read', noContainer, async () => {
  const screen = shell('stty raw -echo; echo ready; sleep 0.2', { container: {} });
  await screen.says('ready');
  screen.terminal.write(Buffer.alloc(1 << 20));
  assert.equal(await screen.child.exited, 0);
  assert.deepEqual([screen.drained, screen.exits], [0, [[true, 0, null]]]);
});

it('ends with its command, whoever else has it open', async () => {
  const screen = shell('trap "" HUP; sleep 60 & echo $!; yes & echo $!; echo last');
  assert.equal(await screen.child.exited, 0);
  assert.match(screen.said, /last\r\n/);
  assert.deepEqual(screen.exits, [[true, 0, null]]);
  const [sleeps] = screen.said.match(/\d+/);
  assert.ok(runs(Number(sleeps)));
  process.kill(Number(sleeps), 'SIGKILL');
  // `yes` ends by EIO.
  await until('nobody goes on', () => !runs(Number(sleeps)));
});

it('is still there for a command that closes it and opens it again', noContainer, async () => {
  for (const container of [undefined, {}]) {
    const screen = shell(
      'echo one; exec <&- >&- 2>&-; sleep 0.2; exec </dev/tty >/dev/tty 2>&1; echo two; sleep 0.2; echo three; read x; echo "<$x>"; exit 7',
      { container },
    );
    await screen.says('three\r\n');
    screen.terminal.write('x\r');
    assert.equal(await screen.child.exited, 7);
    assert.equal(screen.said, 'one\r\ntwo\r\nthree\r\nx\r\n<x>\r\n');
    const daemon = shell('echo one; exec <&- >&- 2>&-; sleep 0.2; exit 8', { container });
    await daemon.says('one');
    daemon.terminal.write('x');
    assert.equal(await daemon.child.exited, 8);
    assert.deepEqual(daemon.exits, [[true, 0, null]]);
  }
});

it('hangs up when it is closed, and tells nothing after that', noContainer, async () => {
  for (const container of [undefined, { preset: 'bare', namespace: { user: true } }, {}]) {
    const screen = shell('echo ready; while :; do echo more; done', { container });
    await screen.says('ready');
    screen.terminal.close();
    const { said } = screen;
    assert.equal(screen.terminal.closed, true);
    screen.terminal.close();
    for (const call of [() => screen.terminal.write('x'), () => screen.terminal.resize(1, 1), () => screen.terminal.setRawMode(true)]) {
      assert.throws(call, /^TypeError: terminal is closed$/);
    }
    await screen.child.exited;
    assert.equal(screen.said, said);
    assert.deepEqual(screen.exits, [[true, 0, null]]);
  }
  const early = spawn(['sleep', '60'], { terminal: {} });
  early.terminal.close();
  assert.equal(await early.exited, 129);
  const disposed = spawn(['sleep', '60'], { terminal: {}, container: {} });
  await disposed.spawned;
  await disposed.terminal[Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose')]();
  assert.equal(disposed.terminal.closed, true);
  await disposed.exited;
});

it('leaves no descriptors and no threads, also where it did not start', noContainer, async () => {
  const all = () =>
    Promise.all(
      Array.from({ length: 60 }, async (_, number) => {
        const screen = at(number % 3 ? ['sh', '-c', 'read x; echo $x'] : ['/no/such/command'], { container: places[number % 4] });
        screen.terminal.write('x\r');
        if (number % 3) assert.equal(await screen.child.exited, 0);
        else assert.equal((await refused(screen.child.exited)).code, 'ENOENT');
        assert.deepEqual(screen.exits, [[true, number % 3 ? 0 : 1, null]]);
      }),
    );
  await all();
  const [fds, tasks] = [descriptors(), threads()];
  for (let round = 0; round < 3; round += 1) await all();
  await until(`${fds} descriptors, not ${descriptors()}`, () => descriptors() <= fds);
  assert.ok(threads() <= tasks + 8, `${tasks} threads, then ${threads()}`);
});

it('does not need a thread for each terminal', async () => {
  const before = threads();
  const all = Array.from({ length: 40 }, () => at(['cat']));
  await Promise.all(all.map(({ child }) => child.spawned));
  for (const { terminal } of all) terminal.write('x\r');
  await Promise.all(all.map(({ says }) => says('x\r\nx\r\n')));
  assert.ok(threads() <= before + 12, `${before} threads, then ${threads()}`);
  for (const { terminal } of all) terminal.write('\x04');
  await Promise.all(all.map(({ child }) => child.exited));
});

it('closes with the worker that has it', noContainer, async () => {
  const body = `
    import { parentPort } from 'node:worker_threads';
    const child = seclude.spawn(['sleep', '306'], { terminal: {}, container: {} });
    parentPort.postMessage(await child.spawned);`;
  const [, file] = script(body);
  const before = descriptors();
  const worker = new Worker(file);
  const [pid] = await once(worker, 'message');
  await worker.terminate();
  await until('it has ended with its worker', () => !runs(pid));
  await until(`${before} descriptors, not ${descriptors()}`, () => descriptors() <= before);
});

/** What a script of its own says, and whether it has ended by itself. */
async function ended(body) {
  const [command, ...args] = script(body);
  const other = childProcess.spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], timeout: 30_000 });
  let said = '';
  other.stdout.on('data', (chunk) => (said += chunk));
  await once(other, 'close');
  assert.equal(other.signalCode, null, said);
  return said;
}

it('keeps the event loop alive with its process, and lets it end when both are told to', async () => {
  assert.equal(
    await ended(`const child = seclude.spawn(['sh', '-c', 'sleep 0.3; echo late'], { terminal: { data: (_, bytes) => process.stdout.write(bytes) } });
      child.unref(); child.unref();`),
    'late\r\n',
  );
  assert.equal(
    await ended(`const child = seclude.spawn(['sh', '-c', 'sleep 0.3; echo late'], { terminal: { data: (_, bytes) => process.stdout.write(bytes) } });
      child.terminal.unref(); child.terminal.unref(); child.exited.then(() => console.log('exited'));`),
    'late\r\nexited\n',
  );
  assert.equal(
    await ended(`const child = seclude.spawn(['sleep', '60'], { terminal: { exit: () => console.log('no') } });
      child.terminal.unref(); child.unref(); await 0; console.log('over');`),
    'over\n',
  );
});

it('goes on where a callback throws', async () => {
  const said = await ended(`
    process.on('uncaughtException', (error) => console.log(error.message));
    const fail = (what) => () => { throw new Error(what); };
    const child = seclude.spawn(['sh', '-c', 'read x'], { terminal: { data: fail('data'), drain: fail('drain'), exit: fail('exit') } });
    child.terminal.write('x\\r');
    child.exited.then((code) => console.log('exited ' + code));`);
  assert.deepEqual([...new Set(said.trim().split('\n'))].sort(), ['data', 'drain', 'exit', 'exited 0']);
});

it('refuses a terminal that cannot be meant, by its key, and leaves nothing', async () => {
  const before = descriptors();
  class OfBun {
    cols = 5;
  }
  const type = [
    ...[true, null, 5, 'xterm', [], () => {}, new Map(), new OfBun()].map((terminal) => ['terminal', { terminal }]),
    ...['80', null, true, 80n, {}].flatMap((value) => [
      ['terminal.cols', { terminal: { cols: value } }],
      ['terminal.rows', { terminal: { rows: value } }],
    ]),
    ...['data', 'exit', 'drain'].flatMap((key) => ['x', {}, null, true].map((value) => [`terminal.${key}`, { terminal: { [key]: value } }])),
    ['terminal.name', { terminal: { name: 5 } }],
    ['terminal.width', { terminal: { width: 5 } }],
    ...['stdin', 'stdout', 'stderr'].flatMap((key) => ['pipe', 'ignore', 'inherit', 0, false, null].map((value) => [key, { terminal: {}, [key]: value }])),
    ['stdio', { terminal: {}, stdio: ['pipe', 'pipe', 'pipe'] }],
    ['maxBuffer', { terminal: {}, maxBuffer: 5 }],
  ];
  const range = [
    ...[0, -1, 0.5, 80.5, 65_536, NaN, Infinity].flatMap((value) => [
      ['terminal.cols', { terminal: { cols: value } }],
      ['terminal.rows', { terminal: { rows: value } }],
    ]),
    ['terminal.name', { terminal: { name: '' } }],
    ['terminal.name', { terminal: { name: 'a\0b' } }],
  ];
  for (const [Type, code, wrongs] of [[TypeError, 'ERR_INVALID_ARG_TYPE', type], [RangeError, 'ERR_OUT_OF_RANGE', range]]) {
    for (const [key, options] of wrongs) {
      for (const container of [undefined, {}]) {
        for (const take of [spawn, explain]) {
          assert.throws(
            () => take(['true'], { ...options, container }),
            (error) => {
              assert.ok(error instanceof Type && error.code === code, error.stack);
              assert.match(error.message.slice(key.length), /^(:| is )/, `${key}: ${error.message}`);
              assert.ok(error.message.startsWith(key), `${key}: ${error.message}`);
              return true;
            },
          );
        }
      }
    }
  }
  for (const terminal of [{}, true, { cols: 0 }]) assert.throws(() => spawnSync(['true'], { terminal }), /^TypeError: terminal is /);
  // Those of the tests before may have been closed meanwhile.
  assert.ok(descriptors() <= before, `${before} descriptors, then ${descriptors()}`);
  assert.equal(spawnSync(['true'], { terminal: undefined }).exitCode, 0);
  const { child, terminal } = at(['cat']);
  for (const value of [0, -1, 1.5, 65_536, NaN]) {
    assert.throws(() => terminal.resize(value, 24), /^RangeError: cols is /);
    assert.throws(() => terminal.resize(80, value), /^RangeError: rows is /);
  }
  assert.throws(() => terminal.resize(80), /^TypeError: rows is undefined/);
  assert.throws(() => terminal.setRawMode(1), /^TypeError: enabled is 1/);
  for (const value of [5, null, undefined, {}]) assert.throws(() => terminal.write(value), /^TypeError: data is /);
  terminal.write('\x04');
  assert.equal(await child.exited, 0);
});
