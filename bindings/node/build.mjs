// Makes seclude.node from this repository: `npm run build`. --dev: quickly, not optimised; --tests: with what the tests need.
import childProcess from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

const here = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const dev = process.argv.includes('--dev');

function give(reason) {
  console.error(`seclude: ${reason}`);
  process.exit(1);
}

function run(command, args, missing) {
  const { error, status } = childProcess.spawnSync(command, args, { cwd: here, stdio: ['ignore', 'inherit', 'inherit'] });
  if (error?.code === 'ENOENT') give(missing);
  if (error) give(`${command}: ${error.message}`);
  if (status !== 0) give(`${command} ${args.join(' ')} has failed`);
}

if (process.argv.includes('--tests') && !fs.existsSync(path.join(here, 'node_modules/ajv'))) {
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], 'there is no npm, which brings what the tests need');
}
const profile = dev ? [] : ['--release'];
run('cargo', ['build', '--quiet', '--locked', '--package', 'seclude-node', ...profile], 'there is no cargo: install Rust, https://rustup.rs');

const metadata = childProcess.spawnSync('cargo', ['metadata', '--format-version', '1', '--no-deps', '--offline'], {
  cwd: here,
  encoding: 'utf8',
  maxBuffer: 1 << 28,
});
const target = JSON.parse(metadata.stdout).target_directory;
const addon = path.join(here, 'seclude.node');
// Never written over: it may be loaded.
fs.rmSync(addon, { force: true });
fs.copyFileSync(path.join(target, dev ? 'debug' : 'release', 'libseclude_node.so'), addon);
