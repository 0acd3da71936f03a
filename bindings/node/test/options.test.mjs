// What cannot be meant is refused at once, with the path of its key.
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import path from 'node:path';

import { explain, spawn, spawnSync } from '../index.mjs';
import { it, scratch, without } from './kit.mjs';

/** The error that `options` are refused with, by all that take options. */
function wrong(options, Type, words) {
  const given = { cmd: ['true'], ...options };
  for (const take of [spawn, spawnSync, explain]) {
    assert.throws(
      () => take(given),
      (error) => {
        assert.equal(Object.getPrototypeOf(error), Type.prototype, `${take.name}: ${error.stack}`);
        for (const word of [words].flat()) assert.ok(error.message.includes(word), `${take.name}: ${error.message}: ${word}`);
        assert.equal(error.code, Type === TypeError ? 'ERR_INVALID_ARG_TYPE' : 'ERR_OUT_OF_RANGE');
        return true;
      },
    );
  }
}

const unknown = (options, path) => wrong(options, TypeError, [`${path}: there is no such key`]);
const type = (options, path) => wrong(options, TypeError, path);
const range = (options, path) => wrong(options, RangeError, path);

it('names an unknown key wherever it is', async () => {
  unknown({ containers: {} }, 'containers');
  unknown({ container: { name_space: {} } }, 'container.name_space');
  unknown({ container: { namespace: { pidd: true } } }, 'container.namespace.pidd');
  unknown({ container: { namespace: { user: { uids: [] } } } }, 'container.namespace.user.uids');
  unknown({ container: { namespace: { user: { uid_map: [{ inner: 0 }] } } } }, 'container.namespace.user.uid_map[0].inner');
  unknown({ container: { limit: { memory_most: 1 } } }, 'container.limit.memory_most');
  unknown({ container: { fs: [{ type: 'tmpfs', to: '/tmp', sizes: 1 }] } }, 'container.fs[0].sizes');
  unknown(
    { container: { fs: [{ type: 'tmpfs', to: '/tmp', options: { tmpfs: { Size: 1 } } }] } },
    'container.fs[0].options.tmpfs.Size',
  );
  unknown({ container: { 'with space': 1 } }, 'container["with space"]');
});

it('names a value of the wrong type, null among them', async () => {
  type({ cmd: 'true' }, 'cmd is the string "true"');
  type({ cmd: ['sh', 1] }, 'cmd[1] is 1');
  type({ env: { A: {} } }, 'env.A is an object');
  type({ container: 1 }, 'container is 1');
  type({ container: { namespace: true } }, 'container.namespace is true');
  type({ container: { namespace: { pid: 1 } } }, 'container.namespace.pid is 1; it can be true, false');
  type({ container: { namespace: { pid: null } } }, 'container.namespace.pid is null');
  type({ container: { root: 5 } }, 'container.root is 5; it can be a path');
  type({ container: { fs: {} } }, 'container.fs is an object');
  type({ container: { fs: [() => {}] } }, 'container.fs[0] is a function');
  type({ container: { fs: [{ type: 'bind', to: '/mnt' }] } }, 'container.fs[0].from: a bind needs it');
  type({ container: { fs: [{ type: 'tmpfs', to: '/tmp', from: '/x' }] } }, 'container.fs[0].from: it means nothing for this type');
  type(
    { container: { fs: [{ type: 'tmpfs', to: '/tmp', options: { bind: { readonly: true } } }] } },
    'container.fs[0].options.bind: it is not for',
  );
  type({ container: { limit: { ram: ['128M'] } } }, 'container.limit.ram is a list');
  type({ container: { limit: { cpu: true } } }, 'container.limit.cpu is true');
  type({ container: { hostname: Symbol('x') } }, 'container.hostname is a symbol');
  type({ stdin: {} }, 'stdin.path is undefined');
  type({ stdout: 'somewhere' }, 'stdout is the string "somewhere"');
  type({ killSignal: 'SIGNOPE' }, 'killSignal is the string "SIGNOPE"');
  type({ timeout: '5s' }, 'timeout is the string "5s"');
});

it('names a value out of range, with the range', async () => {
  range({ cmd: [] }, 'cmd');
  range({ cmd: ['a\0b'] }, 'cmd[0]');
  range({ cwd: 'relative', container: { root: '/usr' } }, 'cwd is the string "relative"');
  range({ timeout: -1 }, 'timeout is -1');
  range({ maxBuffer: Number.NaN }, 'maxBuffer is NaN');
  range({ killSignal: 65 }, 'killSignal is 65');
  range({ stdout: -5 }, 'stdout is -5');
  range({ stdout: 987654 }, 'stdout: descriptor 987654');
  range({ container: { limit: { ram: -1 } } }, 'container.limit.ram: -1; it can be');
  range({ container: { limit: { ram: 1.5 } } }, 'container.limit.ram: 1.5; it can be');
  range({ container: { limit: { ram: 100 } } }, ['container.limit.ram: memory.max is 100 bytes', '4096']);
  range({ container: { limit: { memory: 2n ** 70n } } }, 'container.limit.memory: 1180591620717411303424');
  range({ container: { limit: { cpu: 0 } } }, 'container.limit.cpu');
  range({ container: { limit: { cpu: Number.POSITIVE_INFINITY } } }, 'container.limit.cpu');
  range({ container: { limit: { pids: 0 } } }, 'container.limit.pids');
  range({ container: { limit: { cpuWeight: 20_000 } } }, 'container.limit.cpuWeight');
  range({ container: { fs: [{ type: 'nfs', to: '/mnt' }] } }, 'container.fs[0].type');
  range({ container: { fs: [{ type: 'tmpfs', to: 'mnt' }] } }, 'container.fs[0].to');
  range({ container: { fs: [{ type: 'tmpfs', to: '/mnt', options: { tmpfs: { size: 0 } } }] } }, 'tmpfs.size');
  range({ container: { namespace: { user: { uid_map: [{ inside_id: -1, outside_id: 0, length: 1 }] } } } }, 'uid_map[0].inside_id');
  range({ container: { namespace: { user: { uid_map: [{ inside_id: 0, outside_id: 0, length: 0 }] } } } }, 'uid_map[0].length');
  range({ container: { network: { mode: 'veth', mtu: 10 } } }, 'container.network.mtu');
  range({ container: { network: { mode: 'veth', publish: ['80'] } } }, 'container.network.publish[0]');
  range({ container: { dns: ['not an address'] } }, 'container.dns[0]');
  range({ container: { oomScoreAdj: 2000 } }, 'container.oomScoreAdj');
  range({ container: { rlimits: { NOPE: 1 } } }, 'container.rlimits.NOPE');
  range({ container: { capabilities: ['NOPE'] } }, 'container.capabilities[0]');
  range({ container: { hostname: 'x'.repeat(65) } }, 'container.hostname');
  range({ container: { deadline: 0 } }, 'container.deadline');
  range({ container: { clone: 'fork' } }, 'container.clone');
});

it('refuses two keys that say the same, and keys that belong to another', async () => {
  type({ container: { limit: { ram: 1 << 30, memory: 1 << 30 } } }, 'container.limit.memory: container.limit.ram says it already');
  type({ container: { limit: { cpu: 50, cpus: 1 } } }, 'container.limit.cpus');
  type({ container: { network: true, namespace: { network: true } } }, 'says it already');
  type({ container: { network: { mode: 'pasta', mtu: 1500 } } }, 'container.network.mtu: it is of a veth pair');
  type({ container: { network: { mode: 'loopback', publish: [80] } } }, 'container.network.publish: it needs mode');
  type({ container: { network: {} } }, 'container.network: it needs a mode');
  type({ container: { network: { mode: 'veth', bridge: 'br0', pointToPoint: true } } }, 'container.network.pointToPoint: ');
  type({ container: { rlimits: { nofile: 5, NOFILE: 9 } } }, 'container.rlimits.nofile: ');
  const overlayfs = { lower_dirs: ['/usr'], upper_dir: '/upper' };
  type({ container: { fs: [{ type: 'overlayfs', to: '/mnt', options: { overlayfs } }] } }, 'container.fs[0].options.overlayfs.upper_dir: it needs work');
  type({ stdio: ['pipe'], stdout: 'pipe' }, 'stdout');
});

// [the path that the message begins with, the options, what else it says]
const refused = [
  ['cwd', { cwd: '' }],
  ['cwd', { cwd: 'relative', container: { root: { path: '/usr' } } }, 'inside container.root'],
  ['env', { env: { 'A=B': '1' } }],
  ['env.A', { env: { A: 'a\0b' } }],
  ['cmd[0]', { cmd: [''] }],
  ['container.fs[0].type', fs({ to: '/mnt' }), 'is missing', TypeError],
  ['container.fs[0].to', fs({ type: 'tmpfs' }), 'is missing', TypeError],
  ['container.fs[0].from', fs({ type: 'symlink', to: '/mnt' }), 'needs it', TypeError],
  ['container.fs[0].options.file', fs({ type: 'file', to: '/mnt' }), 'needs it', TypeError],
  ['container.fs[0].options.file.content', fs({ type: 'file', to: '/mnt', options: { file: {} } }), 'needs it', TypeError],
  ['container.fs[0].options.overlayfs', fs({ type: 'overlay', to: '/mnt', options: false }), 'needs them', TypeError],
  ['container.fs[0].options.overlayfs.lowerDirs', overlay({ ephemeral: true }), 'needs them', TypeError],
  ['container.limit.ioMax[0].device', limit({ ioMax: [{ rbps: 5 }] }), 'is missing', TypeError],
  ['container.limit.hugetlb[0].pageSize', limit({ hugetlb: [{ max: 5 }] }), 'is missing', TypeError],
  ['container.namespace.user.callerAs.gid', { container: { namespace: { user: { callerAs: { uid: 5 } } } } }, 'needs it', TypeError],
  ['container.namespace.user.uidMap[0].outsideId', { container: { namespace: { user: { uidMap: [{ inside_id: 5 }] } } } }, 'is missing', TypeError],
  ['container.namespace.ipc.join', { container: { namespace: { ipc: {} } } }, 'is missing', TypeError],
  ['container.rlimits.NOFILE.soft', { container: { rlimits: { NOFILE: { hard: 5 } } } }, 'is missing', TypeError],
  ['container.fs[1].to', fs({ type: 'tmpfs', to: '/tmp' }, { type: 'tmpfs', to: '/' }), 'the root itself'],
  ['container.fs[0].to', fs({ type: 'bind', from: '/usr', to: '/' }), 'the root itself'],
  ['container.fs[0].to', fs({ type: 'directory', to: '/a/../../b' }), '`..`'],
  ['container.fs[0].to', fs({ type: 'tmpfs', to: 'relative' }), 'absolute'],
  ['container.fs[0].target', fs({ type: 'mask', target: '/' }), 'the root itself'],
  ['container.mounts[1].to', { container: { mounts: [{ type: 'dev', to: '/dev' }, { type: 'file', to: '/', options: { file: { content: '' } } }] } }],
  ['container.fs[0].to', { container: { fs: [{ type: 'tmpfs', to: '/..' }] } }, '`..`'],
  ['container.fs[0].options.tmpfs.size', fs({ type: 'tmpfs', to: '/mnt', options: { tmpfs: { size: 0 } } })],
  ['container.fs[0].options.tmpfs.mode', fs({ type: 'tmpfs', to: '/mnt', options: { tmpfs: { mode: 0o10000 } } })],
  ['container.fs[0].options.overlayfs', overlay({ lower_dirs: ['/usr'] }), 'one lower directory'],
  ['container.fs[0].options.overlayfs', overlay({ lower_dirs: ['/', '/usr'] }), 'overlay the directories that are to be written, or give another root (entries of container.fs, container.root.path)'],
  ['container.fs[0].options.overlayfs', overlay({ lowerDirs: ['/usr'], upperDir: '/a', workDir: '/a/b' }), 'each other'],
  ['container.fs[0].options.overlayfs', overlay({ lowerDirs: Array.from({ length: 1001 }, (_, number) => `/usr/${number}`) }), 'can be had'],
  ['container.fs[0].options.overlayfs', overlay({ lowerDirs: ['/usr', '/etc', '/usr'] }), 'twice'],
  ['container.fs[0]', { container: { preset: 'bare', namespace: { user: true }, fs: [{ type: 'proc', to: '/mnt' }] } }, 'new pid namespace', TypeError],
  ['container.fs[0]', { container: { preset: 'bare', namespace: { user: true }, fs: [{ type: 'mqueue', to: '/mnt' }] } }, 'new ipc namespace', TypeError],
  ['container.fs[0]', fs({ type: 'cgroup', to: '/mnt' }), 'cgroup', TypeError],
  [
    'container.fs[0]',
    { container: { cgroup: true, namespace: { cgroup: true }, fs: [{ type: 'cgroup', to: '/mnt' }] } },
    'show it read-only, or delegate it (container.fs[0].options.cgroup.readonly: true, container.cgroup.delegate: true)',
    TypeError,
  ],
  ['container.fs[0]', { container: { preset: 'bare', namespace: { mount: false }, fs: [{ type: 'tmpfs', to: '/mnt' }] } }, 'new mount namespace', TypeError],
  ['container.root', { container: { preset: 'bare', namespace: { mount: false }, root: '/' } }, 'new mount namespace', TypeError],
  ['container.root', { container: { root: { overlay: true, readonly: true } } }, 'read-only'],
  ['container.namespace.mount', { container: { namespace: { pid: true, mount: false } } }, 'new mount namespace', TypeError],
  ['container.namespaces.mnt', { container: { namespaces: { pid: true, mnt: false } } }, 'new mount namespace', TypeError],
  ['container.namespace.time', { container: { namespace: { time: { join: '/proc/self/ns/time', boottime: 5 } } } }, 'already', TypeError],
  ['container.network.publish[1]', veth({ publish: ['8080:80', '8080:81'] }), 'has it already', TypeError],
  ['container.network.publish[1]', veth({ publish: [53, 53, 53] }), 'has it already', TypeError],
  ['container.network.ports[2]', { container: { network: { mode: 'pasta', ports: [53, 54, '53:80'] } } }, 'has it already', TypeError],
  ['container.network.publish[0]', veth({ publish: ['224.0.0.1:80:80'] }), 'no host can have'],
  ['container.namespace.net.interface', { container: { namespace: { net: { mode: 'veth', interface: 'lo' } } } }, 'lo'],
  ['container.network.ip', veth({ subnet: '10.20.0.0/24', ip: '10.21.0.5' }), 'not in'],
  ['container.network.address', veth({ subnet: '10.20.0.0/24', address: '10.20.0.255' }), 'broadcast'],
  ['container.network.mtu', veth({ ip6: 'auto', mtu: 1000 }), '1280'],
  ['container.network.peers', veth({ pointToPoint: true, peers: true }), 'none', TypeError],
  ['container.network.bridge', veth({ bridge: 'a'.repeat(16) }), '15'],
  ['container.network', { container: { network: 'pasta', dieWithParent: false } }, 'outlives', TypeError],
  ['container.dns', { container: { preset: 'bare', namespace: { mount: false }, dns: ['192.0.2.1'] } }, 'new mount namespace', TypeError],
  ['container.hosts', { container: { preset: 'bare', namespace: { mount: false }, hosts: { db: '192.0.2.1' } } }, 'new mount namespace'],
  ['container.hosts["a#b"]', { container: { hosts: { 'a#b': '192.0.2.1' } } }],
  ['container.limit.cpusetCpus', limit({ cpusetCpus: '65535' }), 'CPUs online'],
  ['container.limit.cpuset_mems', limit({ cpuset_mems: '65535' }), 'memory nodes online'],
  ['container.limits.cpu', { container: { limits: { cpu: 1e6 } } }, 'each of which is 100'],
  ['container.limit.memoryHigh', limit({ ram: 1 << 20, memoryHigh: 1 << 21 }), 'at most'],
  ['container.limit.ioMax[0]', limit({ ioMax: [{ device: '8:0' }] }), 'rate'],
  ['container.limit.hugetlb[0]', limit({ hugetlb: [{ pageSize: 3, max: 0 }] })],
  ['container.cgroup.parent', { container: { cgroup: { parent: '/a/../b' } } }, '`..`'],
  ['container.cgroup.delegate', { container: { preset: 'bare', cgroup: { delegate: true } } }, 'cgroup namespace', TypeError],
  ['container.hostname', { container: { hostname: 'x', namespace: { uts: false } } }, 'new uts namespace', TypeError],
  ['container.domainname', { container: { domainname: 'x', namespace: { uts: false } } }, 'new uts namespace', TypeError],
  ['container.rlimits.NOFILE', { container: { rlimits: { NOFILE: { soft: 2, hard: 1 } } } }, 'is above hard'],
  ['container.oomScoreAdj', { container: { oomScoreAdj: 1001 } }],
  ['container.oom_score_adj', { container: { oom_score_adj: -1001 } }],
  ['container.ambientCapabilities', { container: { capabilities: ['CHOWN'], ambientCapabilities: ['NET_ADMIN'] } }, 'among', TypeError],
  ['container.uid', { container: { namespace: { user: 'root' }, uid: 5 } }, 'map the subordinate ids, or map the caller to that id (container.namespace.user: "subids", container.namespace.user.callerAs.uid: 5)', TypeError],
  ['container.gid', { container: { namespace: { user: { callerAs: { uid: 5, gid: 6 } } }, uid: 5, gid: 7 } }, 'not mapped', TypeError],
  ['container.prefer[1]', { container: { limit: { pids: 9 }, prefer: ['pids', 'memory'] } }, 'not asked for', TypeError],
  ['container.prefer[0]', { container: { prefer: ['time'] } }, 'not asked for', TypeError],
  ['container.clone', { container: { oomScoreAdj: 1, clone: 'vm' } }, 'vm cannot be had', TypeError],
  ['container.init', { container: { init: true, namespace: { pid: false } } }, 'pid namespace', TypeError],
];

function fs(...entries) {
  return { container: { fs: entries } };
}

function overlay(overlayfs) {
  return fs({ type: 'overlayfs', to: '/mnt', options: { overlayfs } });
}

function veth(options) {
  return { container: { network: { mode: 'veth', ...options } } };
}

function limit(limits) {
  return { container: { limit: limits } };
}

it('refuses at once whatever no host could do, with the path of the key', async () => {
  for (const [key, options, words = '', Type] of refused) {
    for (const take of [spawn, spawnSync, explain]) {
      const what = `${take.name}: ${key}`;
      assert.throws(
        () => take({ cmd: ['true'], ...options }),
        (error) => {
          assert.ok(error instanceof (Type ?? RangeError) || (!Type && error instanceof TypeError), `${what}: ${error.stack}`);
          assert.match(error.message.slice(key.length), /^(:| is )/, `${what}: ${error.message}`);
          assert.ok(error.message.startsWith(key) && error.message.includes(words), `${what}: ${error.message}`);
          // As data too, as far as the binding knows it; some rows name what lies above it.
          assert.ok(error.field === key || error.field?.startsWith(key) || (error.field && key.startsWith(error.field)), `${what}: ${error.field}`);
          // Flags and methods are of the other front ends.
          assert.doesNotMatch(error.message, / --|[(]--|::/, what);
          assert.equal(error.code, error instanceof TypeError ? 'ERR_INVALID_ARG_TYPE' : 'ERR_OUT_OF_RANGE');
          return true;
        },
        what,
      );
    }
  }
});

/** Values that are well by themselves; what is wrong is their company. */
const company = {
  preset: ['sandbox', 'bare'],
  namespace: [
    { pid: true }, { pid: false }, { user: true }, { user: 'subids' }, { user: false }, { user: { callerAs: { uid: 1, gid: 2 } } },
    { user: { uidMap: [{ insideId: 5, outsideId: 0 }] } }, { user: { join: '/x' } }, { mount: false }, { mount: { join: '/x' } },
    { uts: false }, { ipc: true }, { cgroup: true }, { cgroup: false }, { net: false }, { net: { join: '/x' } }, { time: true },
    { time: { join: '/x', monotonic: 5 } }, { time: { boottime: 5 }, pid: { join: '/x' } },
  ],
  root: ['/', '/usr', { overlay: true }, { overlay: true, readonly: true }, { path: '/usr', overlay: { lowerDirs: ['/'] } }, { overlay: {} }],
  fs: ['proc', 'sysfs', 'cgroup', 'mqueue', 'devpts', 'dev', 'directory', 'mask', 'readonly', 'tmpfs'].flatMap((type) => [
    [{ type, to: '/mnt' }], [{ type: 'tmpfs', to: '/tmp' }, { type, to: '/' }], [{ type, to: '/mnt/..' }],
  ]),
  limit: [{ ram: 1 << 26 }, { cpu: 50, pids: 5 }, { memorySwap: 0 }, { ram: 4096, memoryHigh: 8192 }],
  cgroup: [true, { delegate: true }, { parent: '/x', moveCaller: true }],
  prefer: [['net'], ['map-subids', 'time'], ['memory', 'pids'], ['rlimit', 'oom-score-adj']],
  network: ['veth', 'pasta', 'loopback', 'host', { mode: 'veth', publish: [1, '2:1', '2:2/udp'] }, { mode: 'veth', pointToPoint: true, peers: true }],
  dns: [['192.0.2.1'], 'host', false],
  hosts: [{ a: '192.0.2.1' }],
  uid: [0, 5],
  gid: [0, 5],
  groups: [[], [5]],
  capabilities: [[], ['CHOWN'], 'all'],
  ambientCapabilities: [['CHOWN'], 'all'],
  rlimits: [{ NOFILE: 5 }],
  hostname: ['name'],
  domainname: ['name'],
  init: [true],
  dieWithParent: [false],
  oomScoreAdj: [5],
  clone: ['vm', 'copy', 'legacy'],
};

it('has a key for whatever cannot be meant, in any company', async () => {
  let seed = 7;
  // The same company in each run: Park and Miller's generator.
  const below = (most) => (seed = (seed * 48271) % 2147483647) % most;
  const keys = Object.keys(company);
  const seen = new Set();
  let explained = 0;
  for (let round = 0; round < 2000; round += 1) {
    const container = {};
    for (let count = 1 + below(5); count > 0; count -= 1) {
      const key = keys[below(keys.length)];
      container[key] = company[key][below(company[key].length)];
    }
    try {
      explain(['true'], { container });
      explained += 1;
    } catch (error) {
      const given = `${JSON.stringify(container)}: ${error.stack}`;
      assert.ok(error instanceof TypeError || error instanceof RangeError, given);
      const [path] = /^container(\.\w+|\[\d+\])+/.exec(error.message) ?? assert.fail(given);
      // What is named is there.
      assert.ok(path.split('.')[1].replace(/\[.*/, '') in container, given);
      seen.add(path.replace(/\d+/, ''));
    }
  }
  assert.ok(explained > 500 && seen.size > 15, `${explained} explained; ${[...seen].join(' ')}`);
});

it('rejects, and throws nothing, where only the host can tell', async () => {
  const namespace = { user: true };
  for (const container of [{ namespace, root: '/no/such' }, { namespace, fs: [{ type: 'bind', from: '/no/such', to: '/mnt' }] }]) {
    const child = spawn(['true'], { container });
    await assert.rejects(child.exited, { name: 'SecludeError', code: 'ENOENT' });
    explain(['true'], { container });
  }
});

/** What `work` does while Object.prototype has what somebody has put there. */
function polluted(properties, work) {
  Object.assign(Object.prototype, properties);
  try {
    return work();
  } finally {
    for (const key of Object.keys(properties)) delete Object.prototype[key];
  }
}

it('takes nothing from Object.prototype for an option', without('sandbox'), () => {
  const given = [
    { container: {} },
    { container: true, cwd: '/usr', stdin: { path: '/dev/null' } },
    { container: { limit: { pids: 64 }, fs: [{ type: 'tmpfs', to: '/mnt' }] }, maxMemory: 1 << 28 },
    { maxMemory: 1 << 28, sandbox: { seccomp: { filter: new Uint8Array([6, 0, 0, 0, 0, 0, 0xff, 0x7f]) } } },
    {},
  ];
  const strange = {
    extend() {}, network: 'host', hostRoot: true, nested: true, preset: 'bare', root: '/usr', limit: { pids: 1 }, limits: false, seccomp: false,
    options: {}, from: '/etc', cwd: '/etc', env: { A: 'b' }, callerEnv: ['A', 'b'], argv0: 'other', stdin: 'inherit', stdout: 'ignore', stdio: [],
    terminal: {}, timeout: 1, maxBuffer: 1, killSignal: 'SIGTERM', container: false, sandbox: {}, path: '/etc/passwd', append: true, input: Buffer.from('x'),
    filter: new Uint8Array(8), flags: ['LOG'], ram: 1, memory: 1, cmd: ['false'], user: 0, files: [], signal: 9, grace: 0,
  };
  for (const options of given) {
    const plan = () => JSON.stringify(explain({ cmd: ['true'], ...options }));
    const clean = plan();
    for (const [key, value] of Object.entries(strange)) {
      assert.equal(polluted({ [key]: value }, plan), clean, `${key} ${JSON.stringify(options)}`);
    }
  }
  const look = () => spawnSync(['sh', '-c', 'readlink /proc/self/ns/net; pwd; cat; echo $A'], { container: {}, cwd: '/usr' }).stdout.toString();
  const [net, ...rest] = polluted(strange, look).split('\n');
  assert.notEqual(net, readlinkSync('/proc/self/ns/net'));
  assert.deepEqual(rest, ['/usr', '', '']);
});

it('looks at each property once, and does what it has seen', without('sandbox'), () => {
  let looks = 0;
  const changing = {
    get network() {
      looks += 1;
      return looks > 1 ? 'host' : 'none';
    },
  };
  const { stdout } = spawnSync(['readlink', '/proc/self/ns/net'], { container: changing });
  assert.deepEqual([looks, stdout.toString().trim() === readlinkSync('/proc/self/ns/net')], [1, false]);
  const hidden = Object.defineProperty({}, 'hostNam', { value: 'x', enumerable: false });
  unknown({ container: hidden }, 'container.hostNam');
});

it('refuses an object that is more than anybody means, at once', () => {
  let many = ['x'];
  for (let level = 0; level < 6; level += 1) many = new Array(40).fill(many);
  const started = Date.now();
  range({ container: { fs: many } }, 'there are more than 262144 values');
  assert.ok(Date.now() - started < 10_000);
});

it('takes an object that holds itself for what it is', async () => {
  const container = {};
  container.container = container;
  type({ container }, 'less deeply nested');
});

it('takes nothing for an option whose keys it would not see', async () => {
  const namespace = new Map([['pid', true]]);
  class Getter {
    get namespace() {
      return { pid: true };
    }
  }
  const heir = Object.create({ namespace: { pid: true } });
  type({ container: { namespace } }, ['container.namespace is a Map', 'plain object']);
  type({ container: new Getter() }, ['container is a Getter', 'plain object']);
  type({ container: heir }, 'plain object');
  type({ container: { fs: [{ type: 'tmpfs', to: '/mnt', options: new Date() }] } }, 'container.fs[0].options is a Date');
  type({ container: { namespace: { pid: new Boolean(true) } } }, 'container.namespace.pid is a Boolean');
  type({ container: { [Symbol('secret')]: true } }, 'Symbol(secret)');
  type({ env: ['A=1'] }, 'env');
  type({ env: new Map([['A', '1']]) }, 'env');
  for (const take of [spawn, spawnSync, explain]) {
    assert.throws(() => take(['true'], new Map([['container', true]])), /^TypeError: options is a Map/);
    assert.throws(() => take(Object.create({ cmd: ['true'], container: true })), /^TypeError: options is an object/);
  }
  const bare = Object.assign(Object.create(null), { namespace: { user: true } });
  assert.deepEqual(explain(['true'], { container: bare }).actions, explain(['true'], { container: { namespace: { user: true } } }).actions);
});

it('opens no file for options that are refused, nor to explain', async () => {
  const file = path.join(scratch({ file: 'kept' }), 'file');
  const stdout = { path: file };
  assert.throws(() => spawn(['true'], { stdout, stdin: 'pipe', stderr: 'nowhere' }), TypeError);
  assert.throws(() => spawn(['true'], { stdout, container: { x: 1 } }), TypeError);
  assert.throws(() => spawnSync(['true'], { stdout, container: { limit: { pids: 0 } } }), RangeError);
  explain(['true'], { stdout });
  assert.equal(readFileSync(file, 'utf8'), 'kept');
  assert.equal(await spawn(['true'], { stdout }).exited, 0);
  assert.equal(readFileSync(file, 'utf8'), '');
});

it('takes false as off for everything', without('user namespace'), async () => {
  const off = { namespace: false, fs: false, limit: false, hostname: false, cgroup: false, hostRoot: false, nested: false, asPid1: false };
  const none = { root: false, init: false };
  const limits = { limit: { ram: false, cpu: false, pids: false, memoryOomGroup: false } };
  const namespaces = { namespace: { pid: false, user: false, network: false, mount: false, time: false } };
  const bare = explain(['true']).actions;
  const plan = (container) => explain(['true'], { container }).actions;
  for (const container of [{}, { ...off, ...none }, limits, namespaces]) {
    assert.deepEqual(plan({ preset: 'bare', ...container }), bare, JSON.stringify(container));
  }
  assert.deepEqual(explain(['true'], { container: false }).actions, bare);
  for (const container of [{}, off, limits]) assert.deepEqual(plan(container), plan(true), JSON.stringify(container));
  // The sandbox has a root and an init, which are then not there.
  assert.notDeepEqual(plan({ root: false }), plan(true));
  const pid = (container) => Number(spawnSync(['sh', '-c', 'echo $$'], { container }).stdout);
  assert.equal(pid({ init: false }), 1);
  assert.notEqual(pid(true), 1);
  assert.notDeepEqual(explain(['true'], { container: { namespace: { user: true } } }).actions, bare);
  for (const limit of [{ cpu: false, cpus: 1 }, { cpus: 1, cpu: false }]) assert.deepEqual(plan({ limit }), plan({ limit: { cpus: 1 } }));
  assert.deepEqual(plan({ preset: 'bare', namespace: false, hostname: 'x' }), plan({ preset: 'bare', hostname: 'x' }));
  assert.equal(await spawn(['true'], { container: off, signal: false, timeout: false, onExit: false }).exited, 0);
});

it('takes a bigint for a whole number, and "none" for loopback', async () => {
  const plan = (container) => explain(['true'], { container: { namespace: { user: true }, ...container } }).text;
  for (const [one, other] of [
    [{ network: 'none' }, { network: 'loopback' }],
    [{ uid: 0n, gid: 0n, umask: 0o22n, oomScoreAdj: 5n }, { uid: 0, gid: 0, umask: 0o22, oomScoreAdj: 5 }],
    [{ rlimits: { NOFILE: 256n, CORE: { soft: 0n, hard: 1n } } }, { rlimits: { NOFILE: 256, CORE: { soft: 0, hard: 1 } } }],
    [{ limit: { pids: 5n, ioMax: [{ device: '8:0', riops: 5n }] } }, { limit: { pids: 5, ioMax: [{ device: '8:0', riops: 5 }] } }],
    [{ network: { mode: 'pasta', publish: [80n] } }, { network: { mode: 'pasta', publish: [80] } }],
  ]) {
    assert.equal(plan(one), plan(other));
  }
});

it('takes keys in either spelling for the same', async () => {
  const plan = (container) => explain(['true'], { container }).text;
  const lower = ['/usr', '/etc'];
  const entry = (type, options) => ({ namespace: { user: true }, fs: [{ type, to: '/mnt', options: { [type]: options } }] });
  assert.equal(plan(entry('overlayfs', { lower_dirs: lower })), plan(entry('overlay', { lowerDirs: lower })));
  const bind = (options) => ({ namespace: { user: true }, fs: [{ type: 'bind', from: '/usr', to: '/mnt', options: { bind: options } }] });
  assert.equal(plan(bind({ readonly: true })), plan(bind({ readOnly: true })));
  assert.equal(plan(bind({ read_only: true })), plan(bind({ readonly: true })));
  assert.notEqual(plan(bind({ readonly: false })), plan(bind({ readonly: true })));
  assert.equal(plan({ limit: { ram: 1 << 28 } }), plan({ limits: { memory: 1 << 28 } }));
  assert.equal(plan({ no_new_privileges: false }), plan({ noNewPrivileges: false }));
  assert.notEqual(plan({ noNewPrivileges: true }), plan({ noNewPrivileges: false }));
});

it('takes what a request has as it is, for the same', async () => {
  const plan = (container) => explain(['true'], { container: { namespace: { user: true }, ...container } }).text;
  const bare = (container) => explain(['true'], { container: { preset: 'bare', ...container } }).text;
  const extents = [{ inside: 0, outside: 5, count: 1 }];
  for (const [one, other, take = plan] of [
    [{ limit: { ram: 1 << 28, cpu: 50, pids: 9, swap: 0 } }, { limits: { memoryMax: '256M', cpu_max: 0.5, pidsMax: 9, memorySwapMax: 0 } }],
    [
      { fs: [{ type: 'bind', from: '/usr', to: '/mnt', options: { bind: { readonly: true } } }, { type: 'symlink', from: 'a', to: '/tmp/b' }] },
      { mounts: [{ type: 'bind', source: '/usr', target: '/mnt', readOnly: true }, { type: 'symlink', to: 'a', target: '/tmp/b' }] },
    ],
    [{ fs: [{ type: 'dir', to: '/tmp/a', options: { dir: { mode: 0o700 } } }] }, { mounts: [{ type: 'directory', target: '/tmp/a', mode: '700' }] }],
    [{ network: { mode: 'veth', ip: '10.1.2.3', ports: [80], latency: 5 } }, { network: { type: 'veth', address: '10.1.2.3', publish: ['80:80'], latency: '5ms' } }],
    [{ hosts: { a: '::1' }, dns: false }, { hosts: [{ name: 'a', address: '::1' }], dns: 'unchanged' }],
    [{ capabilities: 'all', noNewPrivileges: false }, { rights: { capabilities: ['ALL'], no_new_privileges: false } }],
    [{ namespace: { user: true, net: true, pid: false } }, { namespace: undefined, namespaces: { net: 'new', pid: 'inherit' } }],
    [{ namespace: { user: true, time: { boottime: 1500 } } }, { namespace: undefined, namespaces: { time: 'new' }, timeOffsets: { boottime: '1.5s' } }],
    [{ root: { overlay: true } }, { root: { ephemeral: true } }],
    [{ joinCgroup: '/a' }, { cgroup: { join: '/a' } }],
    [{ deadline: 1500 }, { deadline: '1.5s' }],
    [{ namespace: { user: { uidMap: [{ insideId: 0, outsideId: 5 }], gidMap: extents } } }, { namespaces: { user: 'new' }, user: { uidMap: extents, gid_map: extents } }, bare],
    [{ namespace: { user: { callerAs: { uid: 1, gid: 2 } } } }, { namespaces: { user: 'new' }, user: { map: 'caller-as', callerUid: 1, callerGid: 2 } }, bare],
    [{ asPid1: true }, { init: false, namespaces: { pid: 'new', mount: 'new' } }, bare],
  ]) {
    assert.equal(take(one), take(other), JSON.stringify(one));
  }
  unknown({ container: { limits: { memroyMax: 1 } } }, 'container.limits.memroyMax');
  range({ container: { limits: { memoryMax: 1 } } }, 'container.limits.memoryMax');
  range({ container: { uid: 1.5 } }, 'container.uid: 1.5');
  type({ container: { limits: { memoryHigh: 1 << 20, memory_high: 1 << 20 } } }, 'container.limits.memory_high: container.limits.memoryHigh says it already');
  type({ container: { uid: 5, user: { uid: 5 } } }, 'container.user.uid: container.uid says it already');
  type({ container: { noNewPrivileges: false, rights: { no_new_privileges: true } } }, 'container.rights.no_new_privileges: container.noNewPrivileges says it already');
  const bind = { readonly: false, readOnly: true };
  type({ container: { fs: [{ type: 'bind', from: '/usr', to: '/mnt', options: { bind } }] } }, 'container.fs[0].options.bind.readOnly: ');
  type({ container: { network: { mode: 'loopback', type: 'veth' } } }, 'container.network.type');
  type({ container: { network: { mode: 'veth', type: 'pasta' } } }, 'container.network.');
  type({ container: { root: { overlay: true, overlayfs: {} } } }, 'container.root.overlayfs');
  type({ container: { joinCgroup: '/a', cgroup: true } }, 'container.joinCgroup: container.cgroup says it already');
  type({ container: { command: ['false'] } }, 'container.command: cmd says it already');
  type({ cwd: '/', container: { workdir: '/usr' } }, 'container.workdir: cwd says it already');
});

it('has the environment that a request has, over its own', async () => {
  const env = { A: 'a', B: 'b' };
  const said = (container) => String(spawnSync(['/usr/bin/env'], { env, container }).stdout).split('\n').filter(Boolean).sort();
  assert.deepEqual(said({ preset: 'bare', envRemove: ['A'], env: { C: 'c', B_C: 'd' } }), ['B=b', 'B_C=d', 'C=c']);
  assert.deepEqual(said({ preset: 'bare', clearEnv: true, env: { C: 'c' } }), ['A=a', 'B=b', 'C=c']);
});
