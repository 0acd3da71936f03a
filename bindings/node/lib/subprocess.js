'use strict';

const { hold, release } = require('./alive.js');
const { read } = require('./options.js');
const { hub, expect, ask } = require('./requests.js');
const { nameOf, numberOf } = require('./signals.js');
const { Stdin, handled, pump, readable } = require('./streams.js');

const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
const DEFAULTS = { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit', sync: false };
const SIGTERM = numberOf('SIGTERM');
const SIGKILL = numberOf('SIGKILL');

/** Starts a process; set-up goes on while this returns. */
function spawn(first, second) {
  return new Subprocess(read(first, second, DEFAULTS));
}

/** A promise, and what settles it. */
function deferred() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}

class Subprocess {
  #native;
  #settings;
  #spawned = deferred();
  #exited = deferred();
  #report = deferred();
  #pid;
  #ending;
  #failure;
  #killed = false;
  #held = false;
  #over = false;
  #timedOut = false;
  #overflowed = false;
  #timer;
  #stdin = null;
  /** The addon's end of its stdin, once something was written. */
  #input;
  #stdout;
  #stderr;
  #abort = () => this.#stop();

  constructor(settings) {
    this.#settings = settings;
    const spawned = expect((json) => this.#runs(JSON.parse(json)), () => {});
    const exited = expect((json) => this.#ends(JSON.parse(json)), (error) => this.#fails(error));
    this.#native = hub.spawn(settings.launch, settings.container, spawned, exited);
    this.ref();
    // A failure that nobody looks at is to be seen once: as that of `exited`.
    handled(this.#spawned.promise);
    handled(this.#report.promise);
    if (settings.onExit) this.#observe();
    settings.signal?.addEventListener('abort', this.#abort, { once: true });
    const { stdio } = settings;
    if (stdio.codes[0] === -1) {
      const open = async () => {
        await this.#spawned.promise;
        return (this.#input ??= this.#native.stdin());
      };
      if (stdio.stream) pump(stdio.stream, new Stdin(open), this.#report.promise, (error) => this.#inputFails(error));
      else this.#stdin = new Stdin(open, () => this.#observe());
    }
    if (settings.maxBuffer !== undefined) {
      // Read at once, so that one byte too many is seen.
      void this.stdout;
      void this.stderr;
    }
  }

  #runs({ pid }) {
    this.#pid = pid;
    const { timeout } = this.#settings;
    if (timeout !== undefined) {
      this.#timer = setTimeout(() => {
        this.#timedOut = true;
        this.#stop();
      }, timeout);
      this.#timer.unref?.();
    }
    this.#spawned.resolve(pid);
  }

  #ends(report) {
    this.#finish();
    this.#ending = report;
    if (report.cause === 'deadline') {
      // It is the container's timeout, and was kept from here.
      this.#timedOut = true;
      this.#killed = true;
    }
    const { exitCode, signalCode } = this;
    this.#report.resolve(report);
    this.#exited.resolve(exitCode ?? 128 + report.signal);
    this.#settings.onExit?.(this, exitCode, signalCode, undefined);
  }

  #fails(error) {
    this.#finish();
    this.#failure = error;
    this.#spawned.reject(error);
    this.#report.reject(error);
    this.#exited.reject(error);
    this.#settings.onExit?.(this, null, null, error);
  }

  #inputFails(error) {
    // The command must not take what it has read so far for all there was.
    this.#observe();
    this.#report.reject(error);
    this.#exited.reject(error);
    this.#killed = true;
    handled(this.killTree());
  }

  #finish() {
    clearTimeout(this.#timer);
    this.#settings.signal?.removeEventListener('abort', this.#abort);
    // Nobody is left to read it.
    this.#input?.close();
    this.#native.ended();
    this.unref();
    this.#over = true;
  }

  /** Somebody learns of a failure otherwise than by `exited`. */
  #observe() {
    handled(this.#exited.promise);
  }

  /** What a timeout, an AbortSignal and too much output do. */
  #stop() {
    if (this.#over) return;
    if (this.#settings.killSignal === undefined) handled(this.killTree());
    else this.kill();
  }

  #output(number) {
    if (this.#settings.stdio.codes[number] !== -1) return null;
    const open = async () => {
      await this.#spawned.promise;
      return number === 1 ? this.#native.stdout() : this.#native.stderr();
    };
    const { maxBuffer } = this.#settings;
    const beRead = () => maxBuffer === undefined && this.#observe();
    return readable(open, beRead, maxBuffer, async () => {
      this.#overflowed = true;
      this.#stop();
      await this.#report.promise.catch(() => {});
    });
  }

  get pid() {
    return this.#pid;
  }

  get pidfd() {
    return this.#native.pidfd ?? undefined;
  }

  get stdin() {
    return this.#stdin;
  }

  get stdout() {
    return (this.#stdout ??= this.#output(1));
  }

  get stderr() {
    return (this.#stderr ??= this.#output(2));
  }

  get spawned() {
    this.#observe();
    return this.#spawned.promise;
  }

  get exited() {
    return this.#exited.promise;
  }

  get report() {
    this.#observe();
    return this.#report.promise;
  }

  get exitCode() {
    return this.#ending?.code ?? null;
  }

  get signalCode() {
    const signal = this.#ending?.signal;
    return signal == null ? null : nameOf(signal);
  }

  get killed() {
    return this.#killed;
  }

  get exitedDueToTimeout() {
    return this.#timedOut;
  }

  get exitedDueToMaxBuffer() {
    return this.#overflowed;
  }

  kill(signal) {
    const fallback = this.#native.first ? SIGKILL : SIGTERM;
    const number = signal === undefined ? this.#settings.killSignal ?? fallback : numberOf(signal, 'signal');
    if (this.#native.signal(number)) this.#killed = true;
  }

  async killTree() {
    if (this.#over) return;
    this.#killed = true;
    await ask((request) => this.#native.killTree(hub, request));
  }

  async stats() {
    return JSON.parse(await this.#asked((request) => this.#native.stats(hub, request)));
  }

  async pause() {
    await this.#asked((request) => this.#native.pause(hub, request));
  }

  async resume() {
    await this.#asked((request) => this.#native.resume(hub, request));
  }

  async #asked(start) {
    this.#observe();
    await this.#spawned.promise;
    return ask(start);
  }

  ref() {
    if (this.#held || this.#over) return;
    this.#held = true;
    hold();
  }

  unref() {
    if (!this.#held) return;
    this.#held = false;
    release();
  }

  resourceUsage() {
    if (!this.#ending) return undefined;
    return resourceUsage(this.#ending);
  }

  async [asyncDispose]() {
    this.#observe();
    handled(this.killTree());
    await this.#exited.promise.catch(() => {});
    for (const stream of [this.#stdout, this.#stderr]) {
      if (stream && !stream.locked) await stream.cancel().catch(() => {});
    }
    if (this.#stdin) await this.#stdin.end().catch(() => {});
  }
}

/** Of Bun's, what is known of a container. */
function resourceUsage({ usage }) {
  const user = usage.cpu_user_us ?? 0;
  const system = usage.cpu_system_us ?? 0;
  return {
    cpuTime: { user, system, total: user + system },
    maxRSS: usage.memory_peak_bytes ?? undefined,
  };
}

module.exports = { spawn, resourceUsage };
