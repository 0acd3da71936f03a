// What the container's process sees, and what it sees without.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';

import { spawn } from '../index.mjs';
import { isRoot, isolated, it, run, said, without } from './kit.mjs';

const noNamespaces = without('user namespace', 'pid namespace', 'net namespace', 'fresh /proc');

it('is uid 0, PID 1 and has one interface inside; without a container it has none of that', noNamespaces, async () => {
  const probe = 'echo $(id -u) $(id -g) $$ $(grep -c : /proc/net/dev)';
  const map = 'cat /proc/self/uid_map';
  assert.equal(await said(probe, isolated), '0 0 1 1');
  const [uid, gid, pid, interfaces] = (await said(probe, false)).split(' ').map(Number);
  assert.deepEqual([uid, gid], [process.getuid(), process.getgid()]);
  assert.notEqual(pid, 1);
  const here = fs.readFileSync('/proc/net/dev', 'utf8').split('\n').filter((line) => line.includes(':'));
  assert.equal(interfaces, here.length);
  // As root ids that nobody has; an ordinary user has its own id alone to give.
  assert.match(await said(map, isolated), isRoot ? /^0 +[1-9]\d+ +65536$/ : new RegExp(`^0 +${process.getuid()} +1$`));
  assert.match(await said(map, { preset: 'bare', ...isolated }), new RegExp(`^0 +${process.getuid()} +1$`));
  assert.doesNotMatch(await said(map, false), new RegExp(`^0 +${process.getuid()} +1$`));
});

it('sees its own /proc with itself alone; without a pid namespace it sees this process', noNamespaces, async () => {
  // Where /proc is mounted with hidepid, it does not show what it may not trace; that can still be signalled.
  const reached = `test -d /proc/${process.pid} || kill -0 ${process.pid} 2>/dev/null`;
  const probe = `ls /proc | grep -c '^[0-9]'; { ${reached}; } && echo there || echo away`;
  const [inside, seen] = (await said(probe, isolated)).split('\n');
  assert.ok(Number(inside) <= 4, `${inside} processes`);
  assert.equal(seen === 'there', false);
  const shared = await said(probe, { preset: 'bare', namespace: { user: true, network: true } });
  assert.match(shared, /there$/);
});

it('has a loopback interface that is up and carries packets', noNamespaces, async () => {
  const probe = `import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname(), 5)
client.sendall(b"over lo"); print(server.accept()[0].recv(7).decode())`;
  const { stdout, stderr } = await run(['python3', '-c', probe], { container: isolated });
  assert.equal(stdout.trim(), 'over lo', stderr);
});

it('cannot reach a port of the host with a network of its own; with the host\'s it can', noNamespaces, async () => {
  const server = net.createServer((socket) => socket.end('reached')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  const probe = `import socket,sys
try: print(socket.create_connection(("127.0.0.1", ${port}), 5).recv(9).decode())
except OSError as error: print(error.errno)`;
  const ask = async (container) => (await run(['python3', '-c', probe], { container })).stdout.trim();
  try {
    assert.equal(await ask(isolated), String(os.constants.errno.ECONNREFUSED));
    assert.equal(await ask({ namespace: { user: true, pid: true, network: false } }), 'reached');
  } finally {
    server.close();
  }
});

it('has the host name that it was given, and the host keeps its own', without('uts namespace'), async () => {
  const container = { namespace: { user: true }, hostname: 'inside' };
  assert.equal(await said('uname -n', container), 'inside');
  assert.equal(os.hostname(), await said('uname -n', false));
  assert.notEqual(os.hostname(), 'inside');
});

it('makes no namespace that is false, and each that is true', without('user namespace'), async () => {
  for (const kind of ['user', 'pid', 'net', 'mnt', 'uts', 'ipc', 'cgroup', 'time']) {
    const own = fs.readlinkSync(`/proc/self/ns/${kind}`);
    const link = async (on) => said(`readlink /proc/self/ns/${kind}`, { preset: 'bare', namespace: { user: true, [kind]: on } });
    assert.notEqual(await link(true), own, kind);
    if (kind === 'user') {
      const shared = await said('readlink /proc/self/ns/user', { preset: 'bare', namespace: { user: false } });
      assert.equal(shared, own);
    } else {
      assert.equal(await link(false), own, kind);
    }
  }
});

it('maps the ids that it was told to, by either spelling', without('user namespace'), async () => {
  const [uid, gid] = [process.getuid(), process.getgid()];
  const map = (inside) => ({
    uid_map: [{ inside_id: inside, outside_id: uid, length: 1 }],
    gid_map: [{ inside_id: inside, outside_id: gid, length: 1 }],
  });
  const camel = {
    uidMap: [{ insideId: 7, outsideId: uid, length: 1 }],
    gidMap: [{ insideId: 8, outsideId: gid }],
  };
  const ids = (user, more) => said('echo $(id -u) $(id -g)', { namespace: { user }, ...more });
  assert.equal(await ids(map(0)), '0 0');
  assert.equal(await ids(map(1234), { uid: 1234, gid: 1234 }), '1234 1234');
  assert.equal(await ids(camel, { uid: 7, gid: 8 }), '7 8');
  assert.equal(await ids({ callerAs: { uid: 5, gid: 6 } }, { uid: 5, gid: 6 }), '5 6');
});

it('has a whole range of ids with subids', without('subordinate ids'), async () => {
  const lines = await said('cat /proc/self/uid_map', { namespace: { user: 'subids' } });
  const mapped = lines.split('\n').reduce((sum, line) => sum + Number(line.trim().split(/ +/)[2]), 0);
  assert.ok(mapped > 60_000, lines);
});

it('has no capabilities in the sandbox, and those it was given', without('sandbox'), async () => {
  const effective = (container) => said('grep CapEff /proc/self/status', container);
  assert.match(await effective(true), /\t0+$/);
  assert.match(await effective({ capabilities: ['NET_ADMIN'] }), /\t0*1000$/);
  assert.match(await effective({ capabilities: 'all' }), /\t0*[1-9a-f][0-9a-f]+$/);
});

it('sees what is named read-only in the sandbox, and can write to the host where the root is false', without('sandbox'), async () => {
  const place = fs.mkdtempSync('/var/tmp/seclude-node-');
  try {
    const write = (container) => run(['touch', path.join(place, 'file')], { container });
    assert.match((await write(true)).stderr, /No such file/);
    assert.match((await write({ ro: [place] })).stderr, /Read-only file system/);
    assert.match((await write({ preset: 'host' })).stderr, /Read-only file system/);
    assert.deepEqual(fs.readdirSync(place), []);
    assert.equal((await write({ rw: [place] })).stderr, '');
    fs.rmSync(path.join(place, 'file'));
    assert.equal((await write({ preset: 'host', root: false })).stderr, '');
    assert.deepEqual(fs.readdirSync(place), ['file']);
  } finally {
    fs.rmSync(place, { recursive: true });
  }
});

it('has the resource limits, the umask and the clock that it was given', without('time namespace'), async () => {
  assert.equal(await said('ulimit -n', { rlimits: { NOFILE: 77 } }), '77');
  assert.equal(await said('ulimit -Sn; ulimit -Hn', { rlimits: { RLIMIT_NOFILE: { soft: 60, hard: 70 } } }), '60\n70');
  assert.notEqual(await said('ulimit -n', {}), '77');
  assert.equal(await said('umask', { umask: 0o027 }), '0027');
  const uptime = (container) => said('cut -d. -f1 /proc/uptime', container).then(Number);
  const year = 365 * 24 * 3600;
  const ahead = await uptime({ namespace: { user: true, time: { boottime: year * 1000 } } });
  assert.ok(ahead - (await uptime({ namespace: { user: true } })) >= year - 60);
});

it('is cloned the way it was told to, and the report says so', without('clone way copy'), async () => {
  const way = async (clone) => (await run(['true'], { container: { namespace: { user: true }, clone } })).report.spawn.clone;
  assert.equal(await way('copy'), 'copy');
  assert.equal(await way('legacy'), 'legacy');
  assert.equal(await way('vm'), 'vm');
});

it('is PID 2 or more below an init, which reaps for it', noNamespaces, async () => {
  const container = { namespace: { user: true }, init: true };
  assert.notEqual(await said('echo $$', container), '1');
  assert.equal(await said('head -c 12 /proc/1/cmdline', container), 'seclude-init');
});

/** A program that refuses mkdir(2), or mkdirat(2) where that is all there is, with this error number. */
function noMkdir(errno) {
  const number = { x64: 83, arm64: 34 }[process.arch];
  const instructions = [[0x20, 0, 0, 0], [0x15, 0, 1, number], [0x06, 0, 0, 0x50000 + errno], [0x06, 0, 0, 0x7fff0000]];
  const program = new DataView(new ArrayBuffer(8 * instructions.length));
  instructions.forEach(([code, equal, other, operand], at) => {
    program.setUint16(8 * at, code, true);
    program.setUint8(8 * at + 2, equal);
    program.setUint8(8 * at + 3, other);
    program.setUint32(8 * at + 4, operand, true);
  });
  return program;
}

it("takes a finished filter of system calls as Bun's sandbox has it, with a container and without", async () => {
  const script = 'rm -rf "$0"; mkdir "$0" && rmdir "$0" && echo made';
  const made = async (options) => {
    const { stdout, stderr } = await run(['sh', '-c', script, `/tmp/seclude-node-mkdir-${process.pid}`], options);
    return stdout + stderr;
  };
  for (const container of [undefined, {}]) {
    assert.equal(await made({ container }), 'made\n');
    assert.match(await made({ container, sandbox: { seccomp: noMkdir(30) } }), /Read-only file system/);
    const flagged = { filter: new Uint8Array(noMkdir(28).buffer), flags: ['SPEC_ALLOW', 'TSYNC'] };
    assert.match(await made({ container, sandbox: { seccomp: flagged, seatbelt: '(version 1)' } }), /No space left/);
    assert.equal(await made({ container, sandbox: { seatbelt: '(version 1)' } }), 'made\n', 'of another system');
  }
  const filter = noMkdir(1);
  for (const [sandbox, path, container] of [
    [{ secomp: filter }, 'sandbox.secomp'],
    [{ seccomp: 'file.bpf' }, 'sandbox.seccomp'],
    [{ seccomp: { filter: 'x' } }, 'sandbox.seccomp.filter'],
    [{ seccomp: { filter, flag: [] } }, 'sandbox.seccomp.flag'],
    [{ seccomp: { filter, flags: ['LOUD'] } }, 'sandbox.seccomp.flags[0]'],
    [{ seccomp: { filter, flags: 'LOG' } }, 'sandbox.seccomp.flags'],
    [{ seccomp: filter }, 'sandbox.seccomp', { seccomp: { profile: 'none' } }],
    [{ seccomp: new Uint8Array(7) }, 'container.seccomp.bpf'],
    [7, 'sandbox'],
  ]) {
    assert.throws(() => spawn(['true'], { sandbox, container }), (error) => [path + ":", path + " "].some((start) => error.message.startsWith(start)) || assert.fail(error.message));
  }
});
