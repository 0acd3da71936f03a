'use strict';

const { SecludeError } = require('./failure.js');
const { read } = require('./options.js');
const { hub } = require('./requests.js');
const { nameOf } = require('./signals.js');
const { resourceUsage } = require('./subprocess.js');

const DEFAULTS = { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe', sync: true };
/** Everything in it is killed. */
const ALL = 0;

/** Runs a process to its end, and blocks until then. */
function spawnSync(first, second) {
  const { launch, container, timeout, maxBuffer, maxMemory, killSignal, killGrace } = read(first, second, DEFAULTS);
  const ended = hub.spawnSync(launch, container, { timeout, maxBuffer, signal: killSignal ?? ALL, grace: killGrace });
  if (ended.failure) throw new SecludeError(JSON.parse(ended.failure));
  // Its time was over before it ran.
  const report = ended.report ? JSON.parse(ended.report) : null;
  return {
    pid: ended.pid,
    stdout: ended.stdout ?? null,
    stderr: ended.stderr ?? null,
    exitCode: report?.code ?? null,
    signalCode: report?.signal == null ? null : nameOf(report.signal),
    success: report?.code === 0,
    exitedDueToTimeout: ended.exitedDueToTimeout || report?.cause === 'deadline',
    exitedDueToMaxBuffer: ended.exitedDueToMaxBuffer,
    exitedDueToMaxMemory: maxMemory !== undefined && report?.cause === 'out-of-memory',
    killEscalated: ended.killEscalated,
    resourceUsage: resourceUsage(report ?? { usage: {} }),
    report,
  };
}

module.exports = { spawnSync };
