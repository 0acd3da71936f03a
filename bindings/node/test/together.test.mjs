// What several options mean together.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { explain, spawn, spawnSync } from '../index.mjs';
import { it, run, said, until, without } from './kit.mjs';

const noSandbox = without('sandbox');
const noContainer = without('user namespace', 'pid namespace', 'net namespace', 'fresh /proc');
const noLandlock = without('sandbox without namespaces');

const env = (options) => {
  const { stdout } = spawnSync(['env'], options);
  return new Map(String(stdout).trimEnd().split('\n').filter(Boolean).map((line) => line.split(/=(.*)/s, 2)));
};

it('hands on what container.inheritEnv and envAll name, and sets what env has, also beside clearEnv', noSandbox, () => {
  process.env.SECLUDE_KEPT = 'kept';
  process.env.SECLUDE_OTHER = 'other';
  try {
    for (const preset of ['sandbox', 'bare']) {
      const of = (container, own) => {
        const found = env({ container: { preset, ...container }, ...(own && { env: { PATH: process.env.PATH, ...own } }) });
        return ['A', 'SECLUDE_KEPT', 'SECLUDE_OTHER'].map((name) => found.get(name) ?? '-').join(' ');
      };
      const own = { A: 'a' };
      assert.equal(of({}, own), 'a - -', preset);
      assert.equal(of({ clearEnv: true }, own), 'a - -', preset);
      assert.equal(of({ clearEnv: true, inheritEnv: ['SECLUDE_KEPT'] }), '- kept -', preset);
      assert.equal(of({ inheritEnv: ['SECLUDE_KEPT'] }, own), 'a kept -', preset);
      assert.equal(of({ clearEnv: true, inheritEnv: ['SECLUDE_KEPT'] }, own), 'a kept -', preset);
      assert.equal(of({ envAll: true }, own), 'a kept other', preset);
      assert.equal(of({ envAll: false }, own), 'a - -', preset);
      // As on the command line: of a whole that was cleared nothing is left but what is named.
      assert.equal(of({ envAll: true, clearEnv: true }, own), 'a - -', preset);
      // What is set wins over what is handed on.
      assert.equal(of({ envAll: true }, { A: 'a', SECLUDE_KEPT: 'mine' }), 'a mine other', preset);
      assert.equal(of({ envAll: true, envRemove: ['A', 'SECLUDE_KEPT'] }, own), '- - other', preset);
    }
    // Where the environment is an object of JavaScript's, it is that.
    process.env.LC_SECLUDE = 'of this process';
    assert.equal(env({ container: { preset: 'bare', envAll: false } }).get('LC_SECLUDE'), 'of this process');
  } finally {
    delete process.env.LC_SECLUDE;
    delete process.env.SECLUDE_KEPT;
    delete process.env.SECLUDE_OTHER;
  }
});

it('takes a relative cwd in a tree that is this process\'s own, and in no other, however that is spelled', noSandbox, async () => {
  const words = /^cwd is the string "share"; it can be an absolute path inside container\.root/;
  for (const root of [
    '/usr', { path: '/usr' }, { lowers: ['/usr'] }, { lowerDirs: ['/usr'] }, { lower_dirs: ['/usr'] },
    { overlay: { lowerDirs: ['/usr'] } }, { overlayfs: { lower_dirs: ['/usr'] } }, { path: '/usr', overlay: true },
  ]) {
    for (const take of [spawn, spawnSync, explain]) {
      assert.throws(() => take(['true'], { cwd: 'share', container: { root } }), { name: 'RangeError', code: 'ERR_OUT_OF_RANGE', message: words }, JSON.stringify(root));
    }
  }
  const relative = path.relative(process.cwd(), '/usr/share');
  for (const container of [undefined, {}, { root: { ephemeral: true } }, { root: { overlay: true } }, { preset: 'host', root: { path: '/' } }]) {
    assert.equal(await said('pwd', container, { cwd: relative }), '/usr/share', JSON.stringify(container));
  }
});

it('has the TERM that env or container.env has before that of the terminal', noSandbox, async () => {
  const term = async (options) => {
    let text = '';
    const decoder = new TextDecoder();
    const terminal = { data: (_, data) => (text += decoder.decode(data, { stream: true })), ...options.terminal };
    await spawn(['sh', '-c', 'echo $TERM'], { ...options, terminal }).exited;
    return text.trim();
  };
  assert.equal(await term({ container: {} }), 'xterm-256color');
  assert.equal(await term({ container: {}, terminal: { name: 'vt100' } }), 'vt100');
  assert.equal(await term({ container: { env: { TERM: 'dumb' } } }), 'dumb');
  assert.equal(await term({ container: { inheritEnv: ['TERM'] }, env: { TERM: 'dumb', PATH: process.env.PATH } }), 'dumb');
  assert.equal(await term({ container: { env: { TERM: 'dumb' } }, terminal: { name: 'vt100' } }), 'dumb');
  assert.equal(await term({ container: { envRemove: ['TERM'] }, env: { PATH: process.env.PATH } }), '');
});

it('has a terminal by the option alone, which gives it out', noSandbox, async () => {
  const terminal = { rows: 7, columns: 33 };
  for (const take of [spawn, spawnSync, explain]) {
    assert.throws(() => take(['true'], { container: { terminal } }), { name: 'TypeError', message: /^container\.terminal: nobody could read it; / });
  }
  assert.throws(() => spawn(['true'], { terminal: {}, container: { terminal } }), { name: 'TypeError', message: /^container\.terminal: terminal says it already/ });
  assert.equal((await run(['true'], { container: { terminal: false } })).exitCode, 0);
});

it('throws the reason of a signal that is aborted already, also in spawnSync, and starts nothing', () => {
  const reason = new Error('changed my mind');
  for (const take of [spawn, spawnSync]) assert.throws(() => take(['true'], { signal: AbortSignal.abort(reason) }), reason);
  // Nothing can abort while it blocks: the loop stands.
  assert.equal(spawnSync(['sleep', '0.1'], { signal: AbortSignal.timeout(1) }).exitCode, 0);
  assert.equal(spawnSync(['true'], { signal: new AbortController().signal }).exitCode, 0);
});

it('sends signals to the command itself, and says what it uses, without namespaces and with one that is entered', noContainer, async () => {
  const handles = ['sh', '-c', 'trap "exit 5" TERM; echo ready; while :; do sleep 0.01; done'];
  const containers = [{ preset: 'bare' }, { namespace: { pid: false } }];
  if (!noLandlock) containers.push({ noNamespaces: true });
  for (const container of containers) {
    const said = JSON.stringify(container);
    const child = spawn(handles, { container });
    await child.stdout.getReader().read();
    assert.ok(child.memoryUsage().rss > 0, said);
    await child.killTree('SIGTERM');
    assert.equal(await child.exited, 5, said);
    const ends = spawn(['sh', '-c', 'echo; exec sleep 60'], { container, killGrace: 100 });
    await ends.stdout.getReader().read();
    ends.kill('SIGTERM');
    await ends.exited;
    assert.deepEqual([ends.signalCode, ends.killEscalated], ['SIGTERM', false], said);
    // One that ignores the signal is not said to have ended by it.
    const ignores = ['sh', '-c', 'trap "" TERM; sleep 0.6'];
    const late = spawn(ignores, { container, timeout: 300, killSignal: 'SIGTERM' });
    await late.exited;
    assert.deepEqual([late.exitCode, late.exitedDueToTimeout], [0, false], said);
    const sync = spawnSync(ignores, { container, timeout: 300, killSignal: 'SIGTERM' });
    assert.deepEqual([sync.exitCode, sync.exitedDueToTimeout], [0, false], said);
  }
});

it('names the key whose getter or proxy throws, with what was thrown as the cause', () => {
  const boom = new Error('boom');
  const throws = () => {
    throw boom;
  };
  const getter = (key) => Object.defineProperty({}, key, { enumerable: true, get: throws });
  const list = ['true'];
  Object.defineProperty(list, 1, { enumerable: true, get: throws });
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };
  for (const [options, place, cause = boom] of [
    [getter('cwd'), 'cwd'],
    [{ cmd: list }, 'cmd[1]'],
    [{ container: getter('root') }, 'container.root'],
    [{ container: { limit: getter('ram') } }, 'container.limit.ram'],
    [{ container: { fs: [{ type: 'tmpfs', to: '/a' }, getter('type')] } }, 'container.fs[1].type'],
    [{ container: { ro: list } }, 'container.ro[1]'],
    [{ container: new Proxy({}, { ownKeys: throws }) }, 'container'],
    [{ container: new Proxy({}, { getPrototypeOf: throws }) }, 'container'],
    [{ container: { fs: new Proxy([], { get: throws }) } }, 'container.fs'],
    [{ container: revoked() }, 'container', null],
    [{ container: { limit: revoked() } }, 'container.limit', null],
    [{ env: new Proxy({}, { get: throws }) }, 'env'],
    [{ env: getter('A') }, 'env.A'],
    [{ env: new Proxy({}, { ownKeys: throws }) }, 'env'],
    [{ stdout: getter('path') }, 'stdout.path'],
    [{ sandbox: getter('seccomp') }, 'sandbox.seccomp'],
    [{ sandbox: { seccomp: getter('filter') } }, 'sandbox.seccomp.filter'],
  ]) {
    for (const take of [spawn, spawnSync, explain]) {
      const given = Object.defineProperties({ cmd: ['true'] }, Object.getOwnPropertyDescriptors(options));
      assert.throws(() => take(given), (error) => {
        assert.ok(error instanceof TypeError && error.code === 'ERR_INVALID_ARG_TYPE', `${place}: ${error.stack}`);
        assert.equal(error.message, `${place}: it cannot be read`);
        if (cause) assert.equal(error.cause, cause);
        else assert.ok(error.cause instanceof TypeError);
        return true;
      });
    }
  }
});

/** A value of every noun, and the new namespaces that it brings where nothing else asks for any. */
const NOUNS = {
  version: [1], preset: ['bare'], arg0: ['x'], clear_env: [true], env_all: [true], inherit_env: [['A']], env: [{ A: 'a' }], env_remove: [['A']],
  workdir: ['/'], umask: ['022'], oom_score_adj: [500], nested: [true], new_session: [true], new_keyring: [true], die_with_parent: [false],
  deadline: ['1s'], prefer: [[]], clone: ['vm'], timed: [true], user: [{ groups: [] }], ro: [[]], rw: [[]], whole_home: [true],
  rights: [{ capabilities: [] }], seccomp: [{}], rlimits: [{ NOFILE: 64 }], limits: [{}], landlock: [{ scopes: ['signal'] }], cgroup: [false],
  init: [true, 'mount', 'pid'], root: [{ path: '/usr' }, 'mount'], mounts: [[{ type: 'tmpfs', target: '/mnt' }], 'mount'],
  hosts: [[{ name: 'a', address: '10.0.0.1' }], 'mount'], dns: [['10.0.0.1'], 'mount'],
  hostname: ['box', 'uts'], domainname: ['box', 'uts'], namespaces: [{ ipc: 'new' }, 'ipc'],
  // A namespace that is asked for by itself, as on the command line.
  time_offsets: undefined, network: undefined,
  // Of the sandbox, of which there is nothing here, and of no container.
  no_namespaces: undefined, max_tmp: undefined, terminal: undefined, command: undefined,
};

it('brings the namespaces that a noun needs; whoever adds one says so here, and in BRINGS', async () => {
  const schema = JSON.parse(fs.readFileSync(new URL('../../../docs/request.schema.json', import.meta.url), 'utf8'));
  assert.deepEqual(Object.keys(NOUNS).sort(), Object.keys(schema.properties).sort());
  for (const [noun, given] of Object.entries(NOUNS)) {
    if (given === undefined) continue;
    const [value, ...brought] = given;
    const { actions } = explain(['true'], { container: { preset: 'bare', [noun]: value } });
    const [, names] = /new namespaces: ([a-z ]*)/.exec(actions.find(({ step }) => step === 'clone').action);
    assert.deepEqual(names.split(' ').filter((name) => name !== 'none').sort(), brought, `${noun}: ${names}`);
  }
});

const noNumber = process.arch === 'x64' ? false : 'skipped: the number of a system call is of x86-64';

it('spells the remedies of what was refused as the caller has spelled the container', noSandbox, noNumber, async () => {
  const bpf = ['python3', '-c', 'import ctypes; ctypes.CDLL(None).syscall(321, 0, 0, 0); input()'];
  for (const [container, set] of [[{}, 'container.rights.capabilities'], [{ capabilities: ['KILL'] }, 'container.capabilities']]) {
    const { report } = spawnSync(bpf, { container });
    assert.equal(report.denials[0].remedies[0].set, set);
    const child = spawn(bpf, { container, stdin: 'pipe', stderr: 'ignore' });
    await until('it is refused', () => child.denials().length > 0);
    assert.equal(child.denials()[0].remedies[0].set, set);
    child.kill('SIGKILL');
    assert.equal((await child.report).denials[0].remedies[0].set, set);
  }
});
