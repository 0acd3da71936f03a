// The same package by import and require, its types, and what it tells of the host.
import assert from 'node:assert/strict';
import childProcess from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';

import Ajv from 'ajv';

import * as seclude from '../index.mjs';
import { generate } from '../types/generate.mjs';
import { isolated, it, run, without } from './kit.mjs';

const root = new URL('..', import.meta.url);

it('is the same by import and by require', async () => {
  const required = createRequire(import.meta.url)('seclude');
  const imported = await import('seclude');
  for (const name of Object.keys(seclude)) {
    assert.equal(required[name], seclude[name], name);
    assert.equal(imported[name], seclude[name], name);
  }
  assert.deepEqual(Object.keys(required).sort(), Object.keys(seclude).sort());
});

it('has types that are generated from what a request has', async () => {
  const written = fs.readFileSync(new URL('index.d.ts', root), 'utf8');
  assert.equal(written, generate(), 'npm run types');
  // Every key is in them with a comment, and every feature is in them.
  const [, features] = /^export type Feature =([^;]*);/m.exec(written);
  assert.throws(() => seclude.explain(['true'], { container: { prefer: ['luck'] } }), ({ message }) => {
    assert.deepEqual(message.split('one of ')[1].split(', '), JSON.parse(`[${features.split('|').slice(1).join(',')}]`));
    return true;
  });
  for (const match of written.matchAll(/^ {2}(?:readonly )?(\w+)\?: /gm)) {
    const before = written.slice(0, match.index).trimEnd();
    if (written.indexOf('export interface Container') < match.index) assert.ok(before.endsWith('*/'), match[0]);
  }
});

it('has types that take what it takes and refuse what it refuses', async () => {
  const tsc = new URL('node_modules/typescript/bin/tsc', root).pathname;
  const project = new URL('test/types/tsconfig.json', root).pathname;
  const checked = childProcess.spawnSync(process.versions.bun ? 'node' : process.execPath, [tsc, '--noEmit', '-p', project], {
    encoding: 'utf8',
  });
  assert.equal(checked.status, 0, `${checked.stdout}${checked.stderr}`);
});

it('gives the report that the schema describes', without('user namespace', 'pid namespace'), async () => {
  const schema = JSON.parse(fs.readFileSync(new URL('../../docs/report.schema.json', root), 'utf8'));
  const validate = new Ajv({ strict: false }).compile(schema);
  const reports = [
    (await run(['true'])).report,
    (await run(['sh', '-c', 'kill -9 $$'], { container: { ...isolated, timed: true } })).report,
    seclude.spawnSync(['true'], { container: isolated }).report,
  ];
  for (const report of reports) assert.ok(validate(report), JSON.stringify(validate.errors));
  assert.equal(validate({ ...reports[0], cause: 'something else' }), false);
});

it('tells what the host can do, each with its evidence', async () => {
  const { sandbox_works: works, findings } = await seclude.doctor();
  const sandbox = findings.find(({ feature }) => feature === 'sandbox');
  assert.equal(sandbox.verdict === 'works', works);
  if (works) assert.equal(await seclude.spawn(['true'], { container: true }).exited, 0);
  assert.ok(findings.every(({ evidence }) => evidence.length > 0));
});

it('explains which files it would open, and for which descriptors', async () => {
  const out = { path: '/no/such/out' };
  const { actions, text } = seclude.explain(['true'], { stdio: [Buffer.from('some text'), out, 'inherit', { path: '/no/such/three' }, 1] });
  const opened = actions.filter(({ step, moment }) => step === 'descriptors' && moment === 'prepare').map(({ action }) => action);
  const expected = [
    'open /no/such/three for descriptor 3',
    'open 9 bytes in memory for descriptor 0',
    'open /no/such/out for descriptor 1',
  ];
  assert.deepEqual(opened.slice(0, 3), expected);
  assert.match(opened[3], /^copy descriptor \d+ for descriptor 4$/);
  for (const line of expected) assert.equal(text.split(line).length, 2, text);
  assert.equal(text.split('parent, before the clone').length, 2);
  const alone = seclude.explain(['true'], { stdio: ['inherit', 'inherit', 'inherit', out] }).text;
  assert.match(alone, /^parent, before the clone\n {2}descriptors +open \/no\/such\/out for descriptor 3\nclone\n/);
});

it('explains what it would do, and does nothing', async () => {
  const { clone, actions, text } = seclude.explain(['/no/such/command'], { container: { ...isolated, hostname: 'inside' } });
  assert.ok(['vm', 'copy', 'legacy'].includes(clone));
  assert.deepEqual([...new Set(actions.map(({ moment }) => moment))], ['prepare', 'clone', 'attend', 'child'].filter((moment) => actions.some((action) => action.moment === moment)));
  assert.match(text, /sethostname/);
  assert.doesNotMatch(seclude.explain(['true'], { container: isolated }).text, /sethostname/);
  assert.throws(() => seclude.explain(['true'], { container: { namespace: { mount: false }, root: '/' } }), TypeError);
});
