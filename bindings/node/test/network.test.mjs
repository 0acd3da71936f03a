// A network of its own. As root, but for pasta.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';

import { spawn } from '../index.mjs';
import { it, run, until, without, withoutRoot } from './kit.mjs';

const namespace = { user: true, pid: true };
const noVeth = withoutRoot || without('veth', 'bridge', 'nf_tables NAT');
const serve = `import socket
server = socket.create_server(("0.0.0.0", 80))
print("listens", flush=True)
while True:
    one, _ = server.accept()
    one.sendall(b"from inside"); one.close()`;

/** A port of the host that nobody has. */
async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function ask(port) {
  return new Promise((resolve) => {
    let answer = '';
    net
      .connect(port, '127.0.0.1')
      .on('data', (data) => (answer += data))
      .on('error', (error) => resolve(error.code))
      .on('close', () => resolve(answer));
  });
}

it('is reached by a published port, and by none that is not', noVeth, async () => {
  const [port, other] = [await freePort(), await freePort()];
  const links = fs.readdirSync('/sys/class/net').sort();
  const network = { mode: 'veth', ipForward: true, publish: [`127.0.0.1:${port}:80`] };
  const child = spawn(['python3', '-c', serve], { stderr: 'ignore', container: { namespace, network, dns: ['192.0.2.53'] } });
  await child.stdout.getReader().read();
  assert.equal(await ask(port), 'from inside');
  assert.equal(await ask(other), 'ECONNREFUSED');
  await child.killTree();
  const { spawn: made } = await child.report;
  assert.equal(made.network.by, 'veth');
  assert.deepEqual(made.network.name_servers, ['192.0.2.53']);
  assert.equal(await ask(port), 'ECONNREFUSED');
  await until('its links are gone', () => String(fs.readdirSync('/sys/class/net').sort()) === String(links));
});

it('has the address, the interface and the names that it was given', noVeth, async () => {
  const network = { mode: 'veth', subnet: '10.213.0.0/24', ip: '10.213.0.77', interface: 'inner', nat: false };
  const container = { namespace: { ...namespace, network }, dns: ['192.0.2.1'], hosts: { db: '10.1.2.3' } };
  const probe = 'cat /proc/net/dev | grep -c inner; cat /proc/net/fib_trie | grep -c 10.213.0.77; cat /etc/resolv.conf; grep db /etc/hosts';
  const { stdout, stderr, report } = await run(['sh', '-c', probe], { container });
  const [interfaces, addresses, ...names] = stdout.trim().split('\n');
  assert.equal(interfaces, '1', stderr);
  assert.ok(Number(addresses) > 0);
  assert.match(names.join('\n'), /nameserver 192\.0\.2\.1[^]*10\.1\.2\.3\s+db/);
  assert.equal(report.spawn.network.address, '10.213.0.77');
  assert.doesNotMatch((await run(['cat', '/proc/net/dev'])).stdout, /inner/);
});

it('is reached through pasta by anybody', without('pasta', 'tun', 'user namespace'), async () => {
  const port = await freePort();
  const container = { namespace, network: { mode: 'pasta', publish: [`${port}:8000`] }, dns: ['192.0.2.53'] };
  const child = spawn(['python3', '-c', serve.replace('80)', '8000)')], { stderr: 'pipe', container });
  await child.stdout.getReader().read();
  await until('it answers', async () => (await ask(port)) === 'from inside');
  await child.killTree();
  assert.equal((await child.report).spawn.network.by, 'pasta');
});
