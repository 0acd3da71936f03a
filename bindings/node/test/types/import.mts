// What the types take, and what they refuse; checked by test/interface.test.mjs, never run.
import { type Container, type FsEntry, type Report, type SpawnSyncOptions, type Terminal, type TerminalOptions, SecludeError, doctor, explain, spawn, spawnSync } from 'seclude';

const origin = spawn({
  cmd: ['echo', 'hello'],
  cwd: '/',
  env: { A: '1', B: undefined },
  stdin: 'ignore',
  stdout: 'pipe',
  stderr: 'inherit',
  container: {
    namespace: { pid: true, user: { uid_map: [{ inside_id: 0, outside_id: 1000, length: 1 }], gid_map: [] }, network: true },
    root: '/path/to/rootfs',
    fs: [
      { type: 'overlayfs', to: '/mnt/o', options: { overlayfs: { lower_dirs: ['/a'], upper_dir: '/b', work_dir: '/c' } } },
      { type: 'tmpfs', to: '/tmp', options: { tmpfs: { size: 1048576 } } },
      { type: 'bind', from: '/host', to: '/in', options: { bind: { readonly: true } } },
    ],
    limit: { cpu: 50, ram: 134217728 },
  },
});

const code: number = await origin.exited;
const report: Report = await origin.report;
const cause: 'exited' | 'signaled' | 'out-of-memory' | 'pids-limit' | 'deadline' | 'killed' = report.cause;
const pid: number | undefined = origin.pid;
const stdout: ReadableStream<Uint8Array> | null = origin.stdout;
origin.kill('SIGTERM');
origin.kill(9);
await origin.stdin?.write('text');
{
  await using child = spawn(['true'], { signal: AbortSignal.timeout(5), timeout: 5, killSignal: 'SIGINT', maxBuffer: 10 });
  child.unref();
}
const options: TerminalOptions = { cols: 80, rows: 24, name: 'vt220', exit: (terminal, code, signal) => [terminal.closed, code + 1, signal?.length] };
const { terminal } = spawn(['true'], { container: {}, terminal: { ...options, data: (to, bytes) => to.write(bytes), drain: (to) => to.close() } });
const typed: number | undefined = terminal?.write('x') ?? terminal?.write(new Uint8Array(3));
terminal?.resize(80, 24);
terminal?.setRawMode(true);
terminal?.unref();
{
  await using closed: Terminal | undefined = spawn(['true'], { terminal: {} }).terminal;
  closed?.ref();
}
void [typed, spawn(['true'], { terminal: false })];
const container: Container = { preset: 'sandbox', asPid1: true, nested: true, hostRoot: false, network: { mode: 'veth', publish: ['8080:80', 53] }, dns: false, hostname: 'x' };
const output: Buffer | null = spawnSync(['true'], { container, stdin: new Uint8Array(3) }).stdout;
const { findings } = await doctor();
const lines: string = explain(['true'], { container: true }).text;
if (new Error() instanceof SecludeError) throw new Error();
console.log(code, cause, pid, stdout, output, findings, lines);

const entries: FsEntry[] = [
  { type: 'bind', source: '/a', target: '/b' },
  { type: 'file', to: '/f', options: { file: { content: new DataView(new ArrayBuffer(1)), mode: 0o600n } } },
  { type: 'file', to: '/f', options: { file: { content: new ArrayBuffer(1) } } },
  { type: 'symlink', from: 'a', to: '/b', options: false },
  { type: 'overlay', to: '/o', options: { overlay: { lowerDirs: ['/a', '/b'], ephemeral: false } } },
  { type: 'readonly', to: '/o', options: { readOnly: { if_present: true } } },
  { type: 'dev', to: '/dev' },
];
const taken: Container[] = [
  { network: 'none', namespace: { net: { mode: 'veth', publish: [80n, '90:90', 70] } } },
  { limit: { pids: 5n, ioMax: [{ device: '8:0', rbps: 5n }], hugetlb: [{ page_size: 2 ** 21, max: 0n }] }, fs: entries },
  { namespace: { user: { callerAs: { uid: 0, gid: 0n } }, ipc: { join: '/proc/1/ns/ipc' } }, rlimits: { NOFILE: { soft: 1n, hard: 'unlimited' } } },
  { namespace: { user: { uidMap: [{ insideId: 0, outside_id: 5n }] } }, rlimits: false, uid: 5n, groups: [1n, 2], umask: 0o22n },
  { prefer: ['memory', 'map-subids', 'device-allow'], limit: { ram: 5 } },
  { root: { path: '/a', overlay: { upperDir: '/u', workDir: '/w' } } },
];
const asked: Container[] = [
  { mounts: [{ type: 'bind', source: '/a', target: '/b', readOnly: true }, { type: 'symlink', to: 'a', target: '/b' }, { type: 'tmpfs', to: '/c' }] },
  { limits: { memoryMax: '256M', cpu_max: 0.5, hugetlb: [{ pageSize: '2M', max: 0 }] }, namespaces: { pid: 'new', net: '/run/netns/a' } },
  { user: { map: 'extents', uidMap: [{ inside: 0, outside: 5, count: 1 }], groups: [] }, root: { lowers: ['/a', '/b'], ephemeral: true } },
  { deadline: '10s', terminal: false, hosts: [{ name: 'a', address: '::1' }], dns: 'unchanged', rights: { capabilities: ['ALL'] } },
  { network: { type: 'veth', address: '10.0.0.2', pointToPoint: true }, cgroup: { count_all: true }, env: { A: '1' }, umask: '022' },
];
void asked;
spawn(['true'], { stdio: ['ignore', 'pipe', 'inherit', 'inherit', 5, false] });
const syncOptions: SpawnSyncOptions = { stdin: 'pipe', cwd: '/', maxMemory: 1n << 30n, killGrace: 5, signal: AbortSignal.timeout(5), timeout: Infinity };
spawnSync(['true'], syncOptions);
spawnSync({ cmd: ['true'], ...syncOptions, stdin: Buffer.from('5') });
spawnSync(['true'], { stdin: 'inherit' });
void taken;
declare const ofBun: Blob & { readonly name?: string; exists(): Promise<boolean>; unlink(): Promise<void> };
spawn(['true'], { stdout: ofBun, stdin: ofBun });
// @ts-expect-error: it has no place
spawn(['true'], { stdout: new Blob(['x']) });

// @ts-expect-error: no such word
spawn(['true'], { stdin: 'inherti' });
// @ts-expect-error: nor here
spawnSync({ cmd: ['true'], stdin: 'a text' });
// @ts-expect-error: nobody could write to it
spawnSync(['true'], { stdio: ['pipe', 'pipe', 'pipe', 'pipe'] });
spawnSync(['true'], { stdio: ['ignore', 'pipe', 'pipe', 'inherit'] });
spawn(['true'], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'], windowsHide: true, lazy: false, detached: false, env: { A: 1 } });
// @ts-expect-error: it is not meant
spawn(['true'], { detached: true });
spawn(['true'], { stdin: new Response('x') });
const there: boolean = origin.kill(0);
void origin.killTree('SIGTERM');
const memory: number | undefined = origin.memoryUsage()?.rss;
void [there, memory, origin.stdio[3], origin.killEscalated, origin.exitedDueToMaxMemory];
const refused: Container[] = [
  // @ts-expect-error: where to is missing
  { fs: [{ type: 'tmpfs' }] },
  // @ts-expect-error: it is said twice
  { fs: [{ type: 'tmpfs', to: '/a', target: '/a' }] },
  // @ts-expect-error: what it is is missing
  { fs: [{ to: '/tmp' }] },
  // @ts-expect-error: where from is missing
  { fs: [{ type: 'bind', to: '/tmp' }] },
  // @ts-expect-error: it comes from nowhere
  { fs: [{ type: 'tmpfs', from: '/a', to: '/tmp' }] },
  // @ts-expect-error: options of another type
  { fs: [{ type: 'tmpfs', to: '/tmp', options: { bind: {} } }] },
  // @ts-expect-error: an unknown option
  { fs: [{ type: 'tmpfs', to: '/tmp', options: { tmpfs: { Size: 5 } } }] },
  // @ts-expect-error: a file of nothing
  { fs: [{ type: 'file', to: '/f' }] },
  // @ts-expect-error: nor here
  { fs: [{ type: 'file', to: '/f', options: { file: { mode: 0o600 } } }] },
  // @ts-expect-error: an overlay of nothing
  { fs: [{ type: 'overlayfs', to: '/o', options: { overlayfs: { upperDir: '/u', workDir: '/w' } } }] },
  // @ts-expect-error: of which device
  { limit: { ioMax: [{ rbps: 5 }] } },
  // @ts-expect-error: pages of which size
  { limit: { hugetlb: [{ max: 0 }] } },
  // @ts-expect-error: as which group
  { namespace: { user: { callerAs: { uid: 0 } } } },
  // @ts-expect-error: from which id on
  { namespace: { user: { uidMap: [{ insideId: 0 }] } } },
  // @ts-expect-error: which one
  { namespace: { ipc: {} } },
  // @ts-expect-error: from what on
  { rlimits: { NOFILE: { hard: 5 } } },
  // @ts-expect-error: no such feature
  { prefer: ['ram'] },
  // @ts-expect-error: no such preset
  { preset: 'x' },
  // @ts-expect-error: no whole number
  { deadline: 5n },
];
void refused;
// @ts-expect-error: an unknown key
spawn(['true'], { container: { limit: { memory_most: 1 } } });
// @ts-expect-error: a wrong type
spawn(['true'], { container: { limit: { ram: ['128M'] } } });
// @ts-expect-error: no such type of entry
spawn(['true'], { container: { fs: [{ type: 'nfs', to: '/mnt' }] } });
// @ts-expect-error: a command is an array
spawn('true');
// @ts-expect-error: nothing to listen to
spawnSync(['true'], { onExit() {} });
// @ts-expect-error: nobody to type
spawnSync(['true'], { terminal: {} });
// @ts-expect-error: an unknown key
spawn(['true'], { terminal: { width: 5 } });
// @ts-expect-error: a wrong type
spawn(['true'], { terminal: { cols: '80' } });
// @ts-expect-error: of which size
spawn(['true'], { terminal: true });
// @ts-expect-error: read-only
origin.pid = 5;
