// What the types take, and what they refuse; checked by test/interface.test.mjs, never run.
import { type Container, type Report, SecludeError, doctor, explain, spawn, spawnSync } from 'seclude';

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
const container: Container = { sandbox: true, network: { mode: 'veth', publish: ['8080:80', 53] }, dns: false, hostname: 'x' };
const output: Buffer | null = spawnSync(['true'], { container, stdin: new Uint8Array(3) }).stdout;
const { findings } = await doctor();
const lines: string = explain(['true'], { container: true }).text;
if (new Error() instanceof SecludeError) throw new Error();
console.log(code, cause, pid, stdout, output, findings, lines);

// @ts-expect-error: an unknown key
spawn(['true'], { container: { limit: { memory_max: 1 } } });
// @ts-expect-error: a wrong type
spawn(['true'], { container: { limit: { ram: '128M' } } });
// @ts-expect-error: no such type of entry
spawn(['true'], { container: { fs: [{ type: 'nfs', to: '/mnt' }] } });
// @ts-expect-error: a command is an array
spawn('true');
// @ts-expect-error: nothing to listen to
spawnSync(['true'], { onExit() {} });
// @ts-expect-error: read-only
origin.pid = 5;
