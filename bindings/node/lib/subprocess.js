'use strict';

const { hold, release } = require('./alive.js');
const { read } = require('./options.js');
const { hub, expect, ask, forget } = require('./requests.js');
const { nameOf, numberOf } = require('./signals.js');
const { Stdin, handled, pump, readable } = require('./streams.js');
const { Terminal, begin, finish } = require('./terminal.js');

const asyncDispose = Symbol.asyncDispose ?? Symbol.for('Symbol.asyncDispose');
const DEFAULTS = { stdin: 'ignore', stdout: 'pipe', stderr: 'inherit', sync: false };
const SIGTERM = numberOf('SIGTERM');
const SIGKILL = numberOf('SIGKILL');
/** What becomes of a signal, as the addon has it. */
const NOBODY = 0;
const TAKEN = 1;
const DROPPED = 2;
const WAITS = 4;

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
  /** Whether its output, which is read before anybody asks for it, keeps the event loop alive as long as it comes. */
  #keeps = true;
  #reads = 0;
  #over = false;
  #timedOut = false;
  #overflowed = false;
  #escalated = false;
  #timer;
  /** Ends the time that somebody has who ignores a signal, and what is told then. */
  #grace;
  #reasons = [];
  /** What is sent as soon as it runs. */
  #later = [];
  #stdio;
  #stdin = null;
  /** The addon's end of its stdin, once something was written. */
  #input;
  #stdout;
  #stderr;
  #terminal;
  #abort = () => this.#stop();

  constructor(settings) {
    this.#settings = settings;
    const spawned = expect((json) => this.#runs(JSON.parse(json)), () => {});
    const exited = expect((json) => this.#ends(JSON.parse(json)), (error) => this.#fails(error));
    try {
      this.#native = hub.spawn(settings.launch, settings.container, spawned, exited);
    } catch (error) {
      [spawned, exited].forEach(forget);
      throw error;
    }
    this.ref();
    // A failure that nobody looks at is to be seen once: as that of `exited`.
    handled(this.#spawned.promise);
    handled(this.#report.promise);
    if (settings.onExit) this.#observe();
    settings.signal?.addEventListener('abort', this.#abort, { once: true });
    const { stdio, terminal, timeout } = settings;
    if (terminal) this.#terminal = new Terminal(terminal);
    if (timeout !== undefined) {
      this.#timer = setTimeout(() => this.#stop(() => (this.#timedOut = true)), timeout);
      this.#timer.unref?.();
    }
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
    clearTimeout(this.#grace);
    this.#reasons = [];
    for (const [signal, stops, because] of this.#later.splice(0)) this.#send(signal, stops, because);
    if (this.#terminal) begin(this.#terminal, () => this.#native.terminal());
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
    this.#tell(() => {
      const { exitCode, signalCode } = this;
      this.#report.resolve(report);
      this.#exited.resolve(exitCode ?? 128 + report.signal);
      this.#settings.onExit?.(this, exitCode, signalCode, undefined);
    });
  }

  #fails(error) {
    this.#finish();
    this.#failure = error;
    this.#tell(() => {
      this.#spawned.reject(error);
      this.#report.reject(error);
      this.#exited.reject(error);
      this.#settings.onExit?.(this, null, null, error);
    });
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
    clearTimeout(this.#grace);
    this.#settings.signal?.removeEventListener('abort', this.#abort);
    // Nobody is left to read it.
    this.#input?.close();
    this.#native.ended();
    this.#over = true;
  }

  /** Of its end, which comes after all that it has said at its terminal. */
  #tell(end) {
    const told = () => {
      this.#release();
      end();
    };
    if (this.#terminal) finish(this.#terminal, told);
    else told();
  }

  /** Somebody learns of a failure otherwise than by `exited`. */
  #observe() {
    handled(this.#exited.promise);
  }

  /** What a timeout, an AbortSignal and too much output do; `because` is called when that is what ends it. */
  #stop(because = () => {}) {
    if (this.#over) return;
    const { killSignal } = this.#settings;
    if (killSignal !== undefined) {
      this.#send(killSignal, true, because);
      this.#native.letGo();
      return;
    }
    because();
    handled(this.killTree());
  }

  /** Whether there was somebody to send it to. A PID 1 that would not notice is killed after a while. */
  #send(signal, stops, because) {
    if (this.#over) return false;
    if (this.#pid === undefined) {
      this.#killed = true;
      this.#later.push([signal, stops, because]);
      // Who is to be stopped is also not to start for ever.
      if (stops) this.#afterGrace(() => handled(this.killTree()), because);
      return true;
    }
    const fate = this.#native.signal(signal);
    if (fate === NOBODY) return false;
    this.#killed = true;
    if (fate === TAKEN) because?.();
    else if (fate === WAITS) {
      because?.();
      this.#afterGrace(() => {
        if (this.#native.drops(signal)) this.#escalate();
      });
    } else if (this.#native.first && (stops || fate === DROPPED)) {
      this.#afterGrace(() => this.#escalate(), because);
    }
    return true;
  }

  #escalate() {
    this.#escalated = true;
    this.#native.signal(SIGKILL);
  }

  #afterGrace(end, because) {
    if (because) this.#reasons.push(because);
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => {
      if (this.#over) return;
      for (const reason of this.#reasons.splice(0)) reason();
      end();
    }, this.#settings.killGrace);
    this.#grace.unref?.();
  }

  #output(number) {
    if (this.#settings.stdio.codes[number] !== -1) return null;
    const open = async () => {
      await this.#spawned.promise;
      return number === 1 ? this.#native.stdout() : this.#native.stderr();
    };
    const { maxBuffer } = this.#settings;
    // Who asks for it waits for it; what is read for the sake of a bound does so only for who has not said otherwise.
    const alive = maxBuffer === undefined ? undefined : { hold: () => this.#reading(1), release: () => this.#reading(-1) };
    const beRead = () => maxBuffer === undefined && this.#observe();
    return readable(open, beRead, maxBuffer, async () => {
      this.#stop(() => (this.#overflowed = true));
      await this.#report.promise.catch(() => {});
    }, alive);
  }

  #reading(more) {
    this.#reads += more;
    if (this.#keeps) (more > 0 ? hold : release)();
  }

  #keep(keeps) {
    if (this.#keeps === keeps) return;
    this.#keeps = keeps;
    for (let read = 0; read < this.#reads; read += 1) (keeps ? hold : release)();
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

  get terminal() {
    return this.#terminal;
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
    return this.#over && this.#timedOut;
  }

  get exitedDueToMaxBuffer() {
    return this.#over && this.#overflowed;
  }

  get exitedDueToMaxMemory() {
    return this.#settings.maxMemory !== undefined && this.#ending?.cause === 'out-of-memory';
  }

  get killEscalated() {
    return this.#escalated;
  }

  get stdio() {
    // Of the first three there are streams. The others are the caller's from now on, to close as well.
    this.#stdio ??= this.#settings.stdio.codes.map((code, number) =>
      number > 2 && code === -1 ? this.#native.further(number) ?? null : null,
    );
    return this.#stdio;
  }

  kill(signal) {
    const fallback = this.#native.first ? SIGKILL : SIGTERM;
    const number = signal === undefined ? this.#settings.killSignal ?? fallback : numberOf(signal, 'signal', 0);
    // It asks, and does nothing.
    if (number === 0) return !this.#over;
    return this.#send(number, false);
  }

  async killTree(signal) {
    const number = signal === undefined ? SIGKILL : numberOf(signal, 'signal');
    if (this.#over) return;
    this.#killed = true;
    if (number === SIGKILL) {
      await ask((request) => this.#native.killTree(hub, request));
      return;
    }
    await this.#spawned.promise;
    await ask((request) => this.#native.signalTree(hub, request, number));
  }

  memoryUsage() {
    const [rss, maxRSS] = this.#native.memory() ?? [];
    return rss === undefined ? undefined : { rss, maxRSS };
  }

  denials() {
    return this.#ending?.denials ?? JSON.parse(this.#native.denials() ?? '[]');
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
    this.#keep(true);
    if (this.#held || this.#over) return;
    this.#held = true;
    hold();
  }

  unref() {
    this.#keep(false);
    this.#release();
  }

  #release() {
    if (!this.#held) return;
    this.#held = false;
    release();
  }

  resourceUsage() {
    if (!this.#ending) return undefined;
    return resourceUsage(this.#ending);
  }

  /** SIGTERM for who notices it, and SIGKILL for whoever is there after a while. */
  async #leave() {
    if (this.#over) return;
    if (this.#pid !== undefined && this.#native.signal(SIGTERM) === TAKEN) {
      this.#killed = true;
      let timer;
      const late = new Promise((resolve) => (timer = setTimeout(resolve, this.#settings.killGrace)));
      await Promise.race([handled(this.#exited.promise), late]).catch(() => {});
      clearTimeout(timer);
    }
    handled(this.killTree());
  }

  async [asyncDispose]() {
    this.#observe();
    await this.#leave();
    await this.#exited.promise.catch(() => {});
    for (const stream of [this.#stdout, this.#stderr]) {
      if (stream && !stream.locked) await stream.cancel().catch(() => {});
    }
    if (this.#stdin) await this.#stdin.end().catch(() => {});
    // Whoever has not looked will not.
    if (!this.#stdio) this.#native.closeFurther();
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
