// What the container's tree has, and that the host's stays as it is.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';

import { busyboxRoot, isRoot, it, refused, run, said, scratch, script, without, withoutBusybox } from './kit.mjs';
import { spawn } from '../index.mjs';

const namespace = { user: true, pid: true };
const noTmpfs = without('tmpfs');
const debian = process.env.SECLUDE_DEBIAN_ROOT ?? '';
const noDebian = debian && fs.existsSync(path.join(debian, 'usr/bin/dpkg')) ? false : 'skipped: there is no Debian root: cargo xtask rootfs debian';
const noOverlay = without('overlay, writes in memory');

const mounts = () => fs.readFileSync('/proc/self/mountinfo', 'utf8');

it('hides the host\'s /tmp behind a tmpfs, which is gone at the end', noTmpfs, async () => {
  const marker = `/tmp/seclude-node-marker-${process.pid}`;
  fs.writeFileSync(marker, 'host');
  try {
    const container = { namespace, fs: [{ type: 'tmpfs', to: '/tmp', options: { tmpfs: { size: 1 << 20 } } }] };
    assert.equal(await said(`ls -A /tmp | wc -l; echo x > ${marker}-inside; ls /tmp | wc -l`, container), '0\n1');
    assert.equal(fs.existsSync(`${marker}-inside`), false);
    assert.equal(await said(`cat ${marker}`, { preset: 'bare', namespace }), 'host');
    const full = await run(['sh', '-c', 'head -c 2000000 /dev/zero > /tmp/full'], { container });
    assert.match(full.stderr, /No space left on device/);
  } finally {
    fs.rmSync(marker);
  }
});

it('answers EROFS for a write to a read-only bind, also below it; a writable one takes the write', noTmpfs, async () => {
  const place = scratch({ 'deep/file': 'old' });
  const bind = (readonly) => ({ namespace, fs: [{ type: 'bind', from: place, to: '/mnt', options: { bind: { readonly } } }] });
  const probe = `import os
for path in ("/mnt/new", "/mnt/deep/file"):
    try: os.close(os.open(path, os.O_WRONLY | os.O_CREAT)); print("written")
    except OSError as error: print(error.errno)`;
  const ask = async (container) => (await run(['python3', '-c', probe], { container })).stdout.trim().split('\n');
  const EROFS = '30';
  assert.deepEqual(await ask(bind(true)), [EROFS, EROFS]);
  assert.deepEqual(fs.readdirSync(place), ['deep']);
  assert.deepEqual(await ask(bind(false)), ['written', 'written']);
  assert.ok(fs.existsSync(path.join(place, 'new')));
});

it('copies up: the lower directory is unchanged and the upper has the file', noOverlay, async () => {
  const place = scratch({ 'lower/file': 'lower', upper: null, work: null });
  const at = (name) => path.join(place, name);
  const overlayfs = { lower_dirs: [at('lower')], upper_dir: at('upper'), work_dir: at('work') };
  const container = { namespace, fs: [{ type: 'overlayfs', to: '/mnt', options: { overlayfs } }] };
  assert.equal(await said('cat /mnt/file; echo new > /mnt/file; echo made > /mnt/made; cat /mnt/file', container), 'lower'.concat('new'));
  assert.equal(fs.readFileSync(at('lower/file'), 'utf8'), 'lower');
  assert.deepEqual(fs.readdirSync(at('lower')), ['file']);
  assert.equal(fs.readFileSync(at('upper/file'), 'utf8'), 'new\n');
  assert.equal(fs.readFileSync(at('upper/made'), 'utf8'), 'made\n');
});

it('shows the first of several lower directories first, and is read-only without an upper', noOverlay, async () => {
  const place = scratch({ 'a/both': 'a', 'b/both': 'b', 'b/only-b': 'b' });
  const lowerDirs = ['a', 'b'].map((name) => path.join(place, name));
  const container = (lowerDirs) => ({ namespace, fs: [{ type: 'overlay', to: '/mnt', options: { overlay: { lowerDirs } } }] });
  assert.equal(await said('cat /mnt/both /mnt/only-b', container(lowerDirs)), 'ab');
  assert.equal(await said('cat /mnt/both /mnt/only-b', container([...lowerDirs].reverse())), 'bb');
  const write = await run(['touch', '/mnt/x'], { container: container(lowerDirs) });
  assert.match(write.stderr, /Read-only file system/);
});

it('takes any character in the paths of an overlay', noOverlay, async () => {
  const odd = 'a:b,c\\d "e=f';
  const place = scratch({ [`${odd}/file`]: 'odd', upper: null, work: null });
  const at = (name) => path.join(place, name);
  const overlayfs = { lower_dirs: [at(odd)], upper_dir: at('upper'), work_dir: at('work') };
  const container = { namespace, fs: [{ type: 'overlayfs', to: '/mnt', options: { overlayfs } }] };
  assert.equal(await said('cat /mnt/file; echo x > /mnt/x', container), 'odd');
  assert.deepEqual(fs.readdirSync(at('upper')), ['x']);
});

it('shows a pivoted root and nothing of the host\'s, not even above it', without('fresh /proc'), withoutBusybox, async () => {
  const root = busyboxRoot();
  const container = { namespace, root };
  const listed = (await said('ls -a /', container)).split('\n');
  assert.ok(listed.includes('only-here') && !listed.includes('etc'), listed.join(' '));
  assert.equal(await said('ls -a /../../..', container), listed.join('\n'));
  assert.equal(await said(`test -e ${root} && echo seen || echo hidden`, container), 'hidden');
  assert.equal(await said(`test -e ${root} && echo seen || echo hidden`, { preset: 'bare', namespace }), 'seen');
  // The new root's own /proc, of its own processes, and no mount of the host's tree.
  assert.equal(await said(`test -d /proc/${process.pid} || echo its own; grep -c " /etc" /proc/self/mountinfo; true`, container), 'its own\n0');
});

it('has a root also without fs and pid, and an ephemeral overlay leaves it as it was', noOverlay, withoutBusybox, async () => {
  const root = busyboxRoot();
  assert.equal(await said('cat /only-here', { namespace: { user: true }, root }), 'yes');
  const overlay = { namespace, root: { path: root, overlay: true } };
  assert.equal(await said('echo gone > /only-here; cat /only-here', overlay), 'gone');
  assert.equal(fs.readFileSync(path.join(root, 'only-here'), 'utf8'), 'yes\n');
  const readonly = await run(['touch', '/x'], { container: { namespace, root: { path: root, readonly: true } } });
  assert.match(readonly.stderr, /Read-only file system/);
});

it('lets no mount reach the host, whatever is mounted inside', noTmpfs, async () => {
  const before = mounts();
  const container = { namespace, fs: [{ type: 'tmpfs', to: '/mnt' }] };
  const inside = await said('mount -t tmpfs none /mnt 2>/dev/null; mount -t tmpfs seclude-probe /media 2>/dev/null; cat /proc/self/mountinfo', container);
  assert.match(inside, / \/mnt /);
  assert.equal(mounts(), before);
});

it('binds what is mounted below the source too, unless told not to', isRoot ? noTmpfs : 'skipped: it takes root', async () => {
  const place = scratch({ 'below/hidden': 'under the mount' });
  const probe = 'cat /mnt/below/hidden 2>/dev/null; ls /mnt/below';
  // A mount below the source, made in a container whose namespaces the inner one inherits.
  const inner = (recursive) => `
    const from = ${JSON.stringify(place)};
    const container = { preset: 'bare', namespace: { mount: true }, fs: [{ type: 'bind', from, to: '/mnt', options: { bind: { recursive: ${recursive} } } }] };
    console.log(new TextDecoder().decode(seclude.spawnSync(['sh', '-c', ${JSON.stringify(probe)}], { container }).stdout).trim());`;
  const outer = { preset: 'bare', namespace: { mount: true }, fs: [{ type: 'tmpfs', to: path.join(place, 'below') }] };
  const ask = async (recursive) => (await run(script(inner(recursive)), { container: outer })).stdout.trim();
  assert.equal(await ask(true), '');
  assert.equal(await ask(false), 'under the mounthidden');
});

it('puts files, directories, symlinks and masks where they were asked for', noTmpfs, async () => {
  const container = {
    namespace,
    fs: [
      { type: 'tmpfs', to: '/mnt' },
      { type: 'file', to: '/mnt/text', options: { file: { content: 'text', mode: 0o600 } } },
      { type: 'file', to: '/mnt/bytes', options: { file: { content: new Uint8Array([104, 105]) } } },
      { type: 'directory', to: '/mnt/deep/down', options: { directory: { mode: 0o700 } } },
      { type: 'symlink', from: 'text', to: '/mnt/link' },
      { type: 'mask', to: '/etc/passwd' },
      { type: 'mask', to: '/no/such', options: { mask: { ifPresent: true } } },
      { type: 'dev', to: '/dev' },
    ],
  };
  const probe = 'cat /mnt/text /mnt/bytes /mnt/link; stat -c %a /mnt/text /mnt/deep/down; wc -c < /etc/passwd; ls /dev | grep -c null';
  assert.equal(await said(probe, container), 'texthitext600\n700\n0\n1');
  assert.notEqual(await said('wc -c < /etc/passwd', { namespace }), '0');
});

it('takes bytes of every kind for what is in a file', noTmpfs, async () => {
  const { buffer } = new Uint8Array([120, 104, 105, 10]);
  const views = [
    buffer,
    new DataView(buffer, 1, 3),
    new Uint16Array(buffer, 2, 1),
    Buffer.from(buffer, 1),
    new Float64Array(0),
  ];
  const fs = views.map((content, number) => ({ type: 'file', to: `/mnt/${number}`, options: { file: { content } } }));
  const said = await run(['sh', '-c', 'cat /mnt/*'], { container: { namespace, fs: [{ type: 'tmpfs', to: '/mnt' }, ...fs] } });
  assert.equal(`${said.stderr}${said.stdout}`, 'xhi\nhi\ni\nhi\n');
});

it('makes what is there read-only, and keeps the flags that the host has locked', noTmpfs, async () => {
  const container = { namespace, fs: [{ type: 'readonly', to: '/usr' }] };
  assert.match((await run(['touch', '/usr/x'], { container })).stderr, /Read-only file system/);
  const bind = { namespace, fs: [{ type: 'bind', from: '/proc', to: '/mnt', options: { bind: { readonly: true } } }] };
  const flags = await said("grep ' /mnt ' /proc/self/mountinfo", bind);
  const own = mounts().split('\n').find((line) => line.includes(' /proc ')) ?? '';
  for (const flag of ['nosuid', 'nodev', 'noexec']) if (own.includes(flag)) assert.match(flags, new RegExp(flag));
  assert.match(flags, / \/mnt ro/);
});

it('runs the programs of a real Debian, which keeps nothing of what they write', noDebian, noOverlay, async () => {
  const container = {
    namespace: { user: true, pid: true, network: true },
    root: { path: debian, overlay: true },
    fs: [{ type: 'tmpfs', to: '/tmp' }],
    init: true,
  };
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  const probe = `dpkg-query -W -f '\${Package} \${Status}\\n' libc6
    echo gone > /tmp/written; python3 -c 'print(open("/tmp/written").read())'`;
  assert.equal(await said(probe, container, { env, stderr: 'pipe' }), 'libc6 install ok installed\ngone');
  assert.equal(fs.existsSync(path.join(debian, 'tmp/written')), false);
});

it('names the path of a source or a directory that is missing', noTmpfs, async () => {
  const of = (entry) => refused(spawn(['true'], { container: { namespace, fs: [entry] } }).exited);
  const bind = await of({ type: 'bind', from: '/no/such/source', to: '/mnt' });
  assert.deepEqual([bind.code, bind.path, bind.step], ['ENOENT', '/no/such/source', 'mount']);
  const overlayfs = { lower_dirs: ['/no/such/lower', scratch()] };
  const lower = await of({ type: 'overlayfs', to: '/mnt', options: { overlayfs } });
  assert.deepEqual([lower.code, lower.path], ['ENOENT', '/no/such/lower']);
  const root = await refused(spawn(['true'], { container: { namespace, root: '/no/such/root' } }).exited);
  assert.deepEqual([root.code, root.path, root.step], ['ENOENT', '/no/such/root', 'root']);
});
