// What was lost, or said to be well, in the interface that this one follows.
import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { SecludeError, spawn, spawnSync } from '../index.mjs';
import { isolated, it, refused, run, runs, scratch, script, without } from './kit.mjs';

const noContainer = without('user namespace', 'pid namespace', 'net namespace', 'fresh /proc');
const both = [undefined, isolated];

it('has no pid for a missing command, but an error with its cause; one that exits 127 is no error', noContainer, async () => {
  for (const container of both) {
    const child = spawn(['/no/such/command'], { container });
    const error = await refused(child.exited);
    assert.ok(error instanceof SecludeError && error instanceof Error);
    assert.deepEqual(
      [error.name, error.code, error.errno, error.syscall, error.step, error.side, error.path],
      ['SecludeError', 'ENOENT', -2, 'execve', 'exec', 'child', '/no/such/command'],
    );
    assert.ok(error.hint.length > 0);
    assert.deepEqual([child.pid, child.exitCode, child.signalCode], [undefined, null, null]);
    assert.equal(await refused(child.report), error);
    assert.equal(await refused(child.spawned), error);
    assert.throws(() => spawnSync(['/no/such/command'], { container }), { code: 'ENOENT', path: '/no/such/command' });
    assert.equal((await run(['sh', '-c', 'exit 127'], { container })).exitCode, 127);
  }
});

it('tells a command that may not be executed from one that is missing, and names a missing interpreter', async () => {
  const place = scratch({ text: 'text', script: '#!/no/such/interpreter\n' });
  fs.chmodSync(path.join(place, 'script'), 0o755);
  const plain = await refused(spawn([path.join(place, 'text')]).exited);
  assert.deepEqual([plain.code, plain.kind], ['EACCES', 'not-executable']);
  const interpreter = await refused(spawn([path.join(place, 'script')]).exited);
  assert.deepEqual([interpreter.code, interpreter.kind], ['ENOENT', 'not-found']);
  assert.match(interpreter.message, /\/no\/such\/interpreter/);
});

it('names the working directory that is missing, and the step of it', noContainer, async () => {
  for (const container of both) {
    const error = await refused(spawn(['true'], { cwd: '/no/such/directory', container }).exited);
    assert.deepEqual([error.code, error.step, error.path], ['ENOENT', 'workdir', '/no/such/directory']);
  }
});

it('has the path that was refused and a hint, wherever one is known', without('tmpfs'), async () => {
  const place = scratch({ closed: null, file: '' });
  const closed = path.join(place, 'closed');
  // Not to be entered, but to be read: or it could not be removed.
  fs.chmodSync(closed, 0o400);
  const namespace = { user: true };
  const lowerDirs = ['/no/such', '/usr'];
  for (const [options, code, step, where, hint] of [
    [{ cwd: closed, container: { preset: 'bare', namespace, capabilities: false } }, 'EACCES', 'workdir', closed, /mode: name a working directory .* \(cwd\)/],
    [{ cwd: '/no/such', container: { namespace } }, 'ENOENT', 'workdir', '/no/such', /no such directory inside/],
    [{ container: { namespace, root: '/no/such' } }, 'ENOENT', 'root', '/no/such', /on the host/],
    [{ container: { namespace, root: path.join(place, 'file') } }, 'ENOTDIR', 'root', path.join(place, 'file'), /directory/],
    [
      { container: { namespace, fs: [{ type: 'overlayfs', to: '/mnt', options: { overlayfs: { lowerDirs } } }] } },
      'ENOENT', 'mount', '/no/such', /on the host/,
    ],
    [{ container: { namespace: { net: { join: '/no/such' } } } }, 'ENOENT', 'join', '/no/such', /no such file/],
    [{ container: { namespace, fs: [{ type: 'bind', from: '/no/such', to: '/mnt' }] } }, 'ENOENT', 'mount', '/no/such', /source/],
  ]) {
    const error = await refused(spawn(['true'], options).exited);
    assert.deepEqual([error.name, error.code, error.step, error.path], ['SecludeError', code, step, where], error.message);
    assert.ok(Number.isInteger(error.errno) && ['parent', 'child'].includes(error.side), error.message);
    assert.match(error.hint, hint);
    assert.ok(error.message.endsWith(error.hint), error.message);
    assert.match(error.field, /^(cwd|container[.].+)$/);
    assert.deepEqual(error.remedies, error.hint.endsWith('(cwd)') ? [{ set: 'cwd' }] : []);
  }
});

it('begins in / where a mount of its own lies over where it was called from, and says so', without('tmpfs'), async () => {
  const place = scratch();
  const over = (type) => ({ preset: 'host', fs: [{ type, to: path.dirname(place), ...(type === 'bind' && { from: '/etc' }) }] });
  const from = (container) => {
    const body = `const child = seclude.spawn(['pwd'], { container: ${JSON.stringify(container)} });
      await child.exited;
      const { moved_from, moved_to } = (await child.report).spawn;
      console.log(JSON.stringify([await new Response(child.stdout).text(), moved_from, moved_to]));`;
    const [command, ...rest] = script(body);
    return JSON.parse(childProcess.execFileSync(command, rest, { cwd: place, encoding: 'utf8' }));
  };
  assert.deepEqual(from(over('bind')), ['/\n', place, '/']);
  // What is empty has room for it.
  assert.deepEqual(from(over('tmpfs')), [`${place}\n`, null, null]);
  assert.equal((await run(['true'], { cwd: '/', container: over('bind') })).exitCode, 0);
});

it('has another step, call and path for each failure, not one for all', without('tmpfs'), async () => {
  const namespace = { user: true, pid: true };
  const failures = [
    { container: { namespace, fs: [{ type: 'bind', from: '/no/such', to: '/mnt' }] } },
    { container: { namespace, root: '/no/such' } },
    { container: { namespace, fs: [{ type: 'tmpfs', to: '/etc/passwd/x' }] } },
    { container: { namespace: { ...namespace, net: { join: '/no/such' } } } },
    { container: { namespace: { user: true }, uid: 77, gid: 77, fs: [] }, cwd: '/no/such' },
  ];
  const seen = new Set();
  for (const options of failures) {
    const { step, syscall, path: where } = await refused(spawn(['true'], options).exited);
    seen.add(`${step} ${syscall} ${where}`);
  }
  assert.equal(seen.size, failures.length, [...seen].join('; '));
});

it('refuses a root with nothing to put it in, instead of ignoring it', async () => {
  const bad = { container: { namespace: { mount: false }, root: '/' } };
  for (const take of [spawn, spawnSync]) assert.throws(() => take(['true'], bad), /^TypeError: container\.root: .*mount namespace/);
});

it('shows a failure that nobody looks at once, as an unhandled rejection, and no other', async () => {
  const attempt = (body) => {
    const [command, ...rest] = script(body);
    return childProcess.spawnSync(command, rest, { encoding: 'utf8' });
  };
  const ignored = attempt(`seclude.spawn(['/no/such/command']); setTimeout(() => console.log('went on'), 2000);`);
  assert.notEqual(ignored.status, 0);
  assert.match(ignored.stderr, /ENOENT/);
  assert.doesNotMatch(ignored.stdout, /went on/);
  for (const look of [
    'await child.exited.catch(() => {});',
    'await child.report.catch(() => {});',
    'await child.spawned.catch(() => {});',
    'await new Response(child.stdout).text().catch(() => {});',
  ]) {
    const seen = attempt(`const child = seclude.spawn(['/no/such/command']); ${look} setTimeout(() => console.log('went on'), 50);`);
    assert.deepEqual([seen.status, seen.stdout, seen.stderr], [0, 'went on\n', ''], look);
  }
  const piped = (look) => attempt(
    `const child = seclude.spawn(['/no/such/command'], { stdin: 'pipe' }); ${look} setTimeout(() => console.log('went on'), 50);`,
  );
  for (const look of [
    'await child.stdin.write("x").catch(() => {});',
    'try { await child.stdin.write("x"); } catch {}',
    'child.stdin.write("x"); await child.stdin.end().then(() => {}, () => {});',
    'await Promise.allSettled([child.stdin.flush()]);',
  ]) {
    const seen = piped(look);
    assert.deepEqual([seen.status, seen.stdout, seen.stderr], [0, 'went on\n', ''], look);
  }
  // Who does not wait for a write has seen nothing of it, and who waits and does not catch it has let it through.
  for (const look of ['child.stdin.write("x"); child.stdin.end();', 'child.stdin.write("x").then(() => {});', 'await child.stdin.end("x");']) {
    const seen = piped(look);
    assert.notEqual(seen.status, 0, look);
    assert.match(seen.stderr, /ENOENT/, look);
  }
  const streamed = attempt(
    `seclude.spawn(['/no/such'], { stdin: new Blob(['x']).stream() }); setTimeout(() => console.log('went on'), 2000);`,
  );
  assert.deepEqual([streamed.status !== 0, streamed.stdout], [true, '']);
  const told = attempt(`seclude.spawn(['/no/such'], { onExit: (child, code, signal, error) => console.log(error.code) });`);
  assert.deepEqual([told.status, told.stdout], [0, 'ENOENT\n']);
});

it('leaves no descriptor, thread or process of a start that failed', noContainer, async () => {
  const count = () => fs.readdirSync('/proc/self/fd').length + fs.readdirSync('/proc/self/task').length;
  const fail = async () => {
    await refused(spawn(['/no/such'], { container: isolated, stdin: 'pipe' }).exited);
    await refused(spawn(['true'], { container: { ...isolated, root: '/no/such' } }).exited);
  };
  for (let round = 0; round < 20; round += 1) await fail();
  const before = count();
  for (let round = 0; round < 100; round += 1) await fail();
  assert.ok(count() <= before + 4, `${before}, then ${count()}`);
  const children = fs.readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8');
  assert.equal(children.trim().split(' ').filter((pid) => pid && runs(pid)).length, 0);
});

it('cannot leave its root by going up; in the host\'s tree there is what it looks for', without('fresh /proc'), async () => {
  const place = scratch({ 'root/bin/x': '', secret: 'of the host' });
  const probe = `import os
for _ in range(20): os.chdir("..")
print(os.path.exists(${JSON.stringify(place)}.lstrip("/") + "/secret"), os.stat("/").st_ino == os.stat("/..").st_ino)`;
  const namespace = { user: true, pid: true };
  const hidden = { preset: 'bare', namespace, root: { overlay: true }, fs: [{ type: 'tmpfs', to: path.dirname(place) }] };
  const ask = async (container) => (await run(['python3', '-c', probe], { container })).stdout.trim();
  assert.equal(await ask(hidden), 'False True');
  assert.equal(await ask({ preset: 'bare', namespace }), 'True True');
});
