/// <reference types="node" />
// Made by `npm run types` from types/process.d.ts and container.d.ts, docs/request.schema.json and docs/report.schema.json.

/** Where stdin comes from. A text is given as bytes, as by `Buffer.from(text)`: a string is a word, or an error. */
export type StdinSource =
  | "pipe"
  | "inherit"
  | "ignore"
  | false
  | null
  | undefined
  | number
  | FileSource
  | URL
  | Bytes
  | ReadableStream
  | Blob
  | Response
  | Request;

/** Where stdout or stderr goes. */
export type OutputTarget = "pipe" | "inherit" | "ignore" | false | null | undefined | number | FileTarget | URL | BunFile;

/**
 * What a descriptor from 3 on is. "inherit": this process's own of the same number; "pipe": a unix socket, whose other end is
 * in `stdio` (not for `spawnSync`).
 */
export type ExtraTarget = "pipe" | "inherit" | "ignore" | false | null | undefined | number | FileTarget | URL | BunFile;

/** In Bun: `Bun.file(path)`, as `{ path }`. */
export interface BunFile extends Blob {
  readonly name?: string;
  exists(): Promise<boolean>;
  unlink(): Promise<void>;
}

/** Bytes. */
export type Bytes = NodeJS.TypedArray | DataView | ArrayBuffer;

/** A file of the host to read. It is opened on the way to the start: leave it there until `spawned`. */
export interface FileSource {
  path: string;
}

/** A file of the host to write; made if it is missing, emptied unless `append`; opened on the way to the start. */
export interface FileTarget {
  path: string;
  append?: boolean;
}

/** The name of a signal, or its number. */
export type Signal = NodeJS.Signals | number;

interface Common {
  /** What the command sees as its own name, instead of the command. */
  argv0?: string | false;
  /**
   * The working directory inside. A relative path is below this process's own, and an error for a container with a `root` of its
   * own. Default: this process's own, if the container has the host's tree, else `/`. The sandbox shows it there, read-only, unless it is
   * a home or above one.
   */
  cwd?: string | URL | false;
  /**
   * The whole environment, but for what `container.inheritEnv` and `envAll: true` hand on besides, and what `container.env` sets; `false`: none.
   * Default: `process.env`; of that the sandbox hands on PATH, TERM, LANG, LC_*, TZ and NO_COLOR, and what `inheritEnv` names.
   */
  env?: Record<string, string | number | bigint | boolean | null | undefined> | null | false;
  /**
   * Milliseconds from the call after which it is stopped: by `killSignal` if that is given, else as by `killTree()`; also
   * where it has not started yet. Default, and with 0 and Infinity: never.
   */
  timeout?: number | false;
  /** What `timeout`, `signal` and `maxBuffer` send to the command, and `kill()` by default. */
  killSignal?: Signal | false;
  /**
   * Milliseconds that a signal has to end it: after them a command that is PID 1 and takes no notice of the signal is sent
   * SIGKILL, as is what `await using` leaves. Default: 1000.
   */
  killGrace?: number | false;
  /** Bytes of stdout, and of stderr, of which one more stops it as `timeout` does. Default, and with Infinity: no bound. */
  maxBuffer?: number | false;
  /**
   * Bytes of memory, 4096 or more, of the command and all that it starts: above them it is killed. The same as
   * `container.limit.ram`; without a container it brings a cgroup, and nothing else.
   */
  maxMemory?: number | bigint | false;
  /**
   * A finished filter of system calls as Bun has it, on top of `container`, or alone, without namespaces: no_new_privs and the
   * filter. What is for other systems (`seatbelt`, `windows`) is passed over. Not beside `container.seccomp`.
   */
  sandbox?:
    | {
        seccomp?: Bytes | { filter: Bytes; flags?: ('LOG' | 'SPEC_ALLOW' | 'TSYNC' | 'WAIT_KILLABLE_RECV')[] } | false;
        seatbelt?: unknown;
        windows?: unknown;
      }
    | false;
  /**
   * Stops it, as `timeout` does. One that is aborted already throws its reason, and nothing is started. In `spawnSync` nothing can abort meanwhile,
   * as in Node.js, AbortSignal.timeout() included: there it is `timeout` that ends it.
   */
  signal?: AbortSignal | false;
  /** Of other systems; it changes nothing. */
  windowsHide?: boolean;
  /** Of other systems; it changes nothing. */
  windowsVerbatimArguments?: boolean;
  /** Of Bun; it changes nothing: output is read ahead. */
  lazy?: boolean;
  /** What outlives this process is asked for by `container.dieWithParent` and `container.newSession`. */
  detached?: false;
  /** What it is born in; `true` and `{}`: the sandbox; `false`, the default: nothing. */
  container?: Container | boolean;
}

/** A terminal for a command. */
export interface TerminalOptions {
  /** Characters in a line, 1 to 65535. Default: 80. */
  cols?: number | false;
  /** Lines, 1 to 65535. Default: 24. */
  rows?: number | false;
  /** What kind of terminal it is: the command's `TERM`, unless `env` or `container.env` has one. Default: "xterm-256color". */
  name?: string | false;
  /** What the command says, as it comes. One that says more than you take waits until you do. */
  data?: ((terminal: Terminal, data: Uint8Array) => void) | false;
  /**
   * Called once, after all of `data` and before `exited`: when the command has ended, or the terminal is closed. `exitCode` is
   * 0, or 1 if it could not be read or the command was not started; that of the command is in `exited`. `signal` is `null`.
   */
  exit?: ((terminal: Terminal, exitCode: number, signal: string | null) => void) | false;
  /** Called when the terminal has taken all that was written. */
  drain?: ((terminal: Terminal) => void) | false;
}

/**
 * The end of a command's terminal that has its keyboard and its screen. Until the command runs, what is asked of it is kept;
 * after its end nothing is done any more. It ends with its command, and hangs up then on whoever else has it open.
 */
export interface Terminal extends AsyncDisposable {
  /**
   * Types it; "\x03" is Ctrl-C. (Ctrl-Z, "\x1a", stops a command that has an init; `kill("SIGCONT")` has it go on.) It waits
   * for nobody: what the terminal does not take at once is kept in memory, and `drain` is called when it has. Answers the number
   * of bytes; 0 if it has ended. A TypeError after `close()`.
   */
  write(data: string | Bytes): number;
  /** Its size in characters, 1 to 65535 each; the command is told by SIGWINCH. A TypeError after `close()`. */
  resize(cols: number, rows: number): void;
  /**
   * Whether the command gets each byte as it is written, without an echo, lines to edit and signals from keys; by `false` it
   * is as it was before. Programs that want it do it by themselves. A TypeError after `close()`.
   */
  setRawMode(enabled: boolean): void;
  /** Keeps the event loop alive until its end, again. */
  ref(): void;
  /** Lets the event loop end before it; the process keeps it alive by itself. */
  unref(): void;
  /** Hangs up, SIGHUP, and forgets what it has not taken yet. `data` is not called after this. */
  close(): void;
  /** Whether it was closed, or has ended. */
  readonly closed: boolean;
  /** `close()`, and waits for that. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** How to start a process. An unknown key is a TypeError. */
export interface SpawnOptions extends Common {
  /** Default: "ignore". */
  stdin?: StdinSource;
  /** Default: "pipe". */
  stdout?: OutputTarget;
  /** Default: "inherit". */
  stderr?: OutputTarget;
  /** stdin, stdout, stderr, and what the command gets as descriptors 3 and up; instead of the three keys. */
  stdio?: [stdin?: StdinSource, stdout?: OutputTarget, stderr?: OutputTarget, ...more: ExtraTarget[]];
  /**
   * A terminal of its own, as stdin, stdout and stderr, and a session that it controls; with `stdin`, `stdout`, `stderr`,
   * `stdio` or `maxBuffer` beside it a TypeError. `{}` is one with all the defaults. Default: none.
   */
  terminal?: TerminalOptions | false;
  /** Called at the end; with an error if it was not started, or its end is not known. */
  onExit?:
    | ((
        subprocess: Subprocess,
        exitCode: number | null,
        signalCode: string | null,
        error: SecludeError | undefined,
      ) => void)
    | false;
}

/** Where stdin of `spawnSync` comes from; "pipe": nobody can write meanwhile, so it is empty. */
export type SyncStdinSource =
  | "pipe"
  | "inherit"
  | "ignore"
  | false
  | null
  | undefined
  | number
  | FileSource
  | URL
  | Bytes
  | BunFile;

/** How to run a process to its end. */
export interface SpawnSyncOptions extends Common {
  /** Default: "ignore". */
  stdin?: SyncStdinSource;
  /** Default: "pipe". */
  stdout?: OutputTarget;
  /** Default: "pipe". */
  stderr?: OutputTarget;
  /** stdin, stdout, stderr, and what the command gets as descriptors 3 and up; instead of the three keys. */
  stdio?: [stdin?: SyncStdinSource, stdout?: OutputTarget, stderr?: OutputTarget, ...more: Exclude<ExtraTarget, "pipe">[]];
}

/** A command and its arguments: a path inside, or a name for the `PATH` of its environment. */
export type Cmd = readonly [command: string, ...args: string[]] | readonly string[];

/** The command's stdin. Writes go one after the other; a promise is done when the pipe has taken all of its bytes. */
export interface Stdin {
  /** The number of bytes; EPIPE if the command has closed its end. */
  write(chunk: string | Bytes): Promise<number>;
  /** Done when everything that was written before is. */
  flush(): Promise<void>;
  /** The command reads the end after this. */
  end(chunk?: string | Bytes): Promise<void>;
}

/** A process. As long as it runs it keeps the event loop alive, and its handle in memory. */
export interface Subprocess extends AsyncDisposable {
  /** The pid as this process sees it; `undefined` until it runs. */
  readonly pid: number | undefined;
  /** The pidfd, pidfd_open(2), as long as it runs. It is the handle's own: copy it, do not close it. */
  readonly pidfd: number | undefined;
  /** If stdin is "pipe". */
  readonly stdin: Stdin | null;
  /**
   * If stdout is "pipe". What the command writes is read as it comes and kept in memory until you read it; `maxBuffer`
   * bounds that.
   */
  readonly stdout: ReadableStream<Uint8Array> | null;
  /** If stderr is "pipe". */
  readonly stderr: ReadableStream<Uint8Array> | null;
  /**
   * The other ends of what is "pipe" from descriptor 3 on: unix sockets, from the first look on yours, also to close. Until then they
   * are the handle's, also after its end, and are closed with it; `null` if the command was not started.
   */
  readonly stdio: (number | null)[];
  /** If there is a `terminal`; stdin, stdout and stderr are `null` then. */
  readonly terminal: Terminal | undefined;
  /** Its pid, when set-up has succeeded and the command runs; rejected with a SecludeError if it was not started. */
  readonly spawned: Promise<number>;
  /** Its exit code, or 128 plus the signal that ended it; rejected with a SecludeError if it was not started. */
  readonly exited: Promise<number>;
  /** How it ended, why, what it has used, and what proves that nothing of it runs; rejected as `exited`. */
  readonly report: Promise<Report>;
  /** `null` until it has exited, or if a signal ended it. */
  readonly exitCode: number | null;
  /** Such as "SIGKILL"; `null` unless a signal ended it. */
  readonly signalCode: string | null;
  /** Whether a signal was sent to it from here: by you, or for `timeout`, `signal`, `maxBuffer` or `container.deadline`. */
  readonly killed: boolean;
  /** Whether it has ended by `timeout` or `container.deadline`; `report.cause` is "deadline" for that one. */
  readonly exitedDueToTimeout: boolean;
  /** Whether it has by `maxBuffer`. */
  readonly exitedDueToMaxBuffer: boolean;
  /** Whether it has by `maxMemory`. */
  readonly exitedDueToMaxMemory: boolean;
  /** Whether SIGKILL was sent to it, `killGrace` after a signal that it took no notice of. */
  readonly killEscalated: boolean;
  /**
   * Sends a signal to the command, and answers whether it was there to get it; 0 only asks. Default: `killSignal`; without
   * it SIGTERM, or SIGKILL where the command is PID 1 without an init. The kernel drops what PID 1 has no handler for: what
   * would end another one then ends it `killGrace` later, by SIGKILL. Of an init's command "SIGSTOP" and "SIGCONT" stop and continue
   * all of the process group, where it leads one: without a session of its own it is stopped alone. "SIGKILL" also ends the waiting for whoever
   * reads what an ended command has written.
   */
  kill(signal?: Signal | 0): boolean;
  /**
   * Kills everything in the container: in its cgroup, and in its pid namespace. Without either (`container.cgroup`, a limit,
   * `namespace.pid`) it kills the command alone, and what that has started goes on. With a signal each of them is sent that; where /proc is of
   * another pid namespace than this process they can be found in the cgroup alone, and without one that is an error.
   */
  killTree(signal?: Signal): Promise<void>;
  /** What it uses now and has used so far; needs `container.cgroup` or a limit. */
  stats(): Promise<Stats>;
  /** What its filter of system calls has refused so far, as `report.denials` has it at the end. It waits for nobody. */
  denials(): Report["denials"];
  /**
   * Bytes in memory now and at most so far: of the container's cgroup, with page cache, or else of the command alone;
   * `undefined` unless it runs. It reads a file, and waits for nobody.
   */
  memoryUsage(): { rss: number; maxRSS: number } | undefined;
  /** Stops every process of the container; done when all have stopped; needs `container.cgroup` or a limit. */
  pause(): Promise<void>;
  /** Lets them go on. */
  resume(): Promise<void>;
  /** Keeps the event loop alive until its end, again. */
  ref(): void;
  /** Lets the event loop end before it. */
  unref(): void;
  /** `undefined` until its end. */
  resourceUsage(): ResourceUsage | undefined;
  /** SIGTERM if the command takes it, then, after `killGrace` at most, `killTree()`; and waits for its end. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** What it has used, as far as it is counted. */
export interface ResourceUsage {
  /** Microseconds: of the container with a cgroup, else of the process and the descendants that it waited for. */
  cpuTime: { user: number; system: number; total: number };
  /** The container's memory peak, bytes, with page cache; `undefined` without a cgroup. */
  maxRSS: number | undefined;
}

/** What there is after the end. */
export interface SyncSubprocess {
  /** `undefined` if `timeout` was over before it ran. */
  readonly pid: number | undefined;
  /** If stdout was "pipe", and it ran. */
  readonly stdout: Buffer | null;
  /** If stderr was "pipe", and it ran. */
  readonly stderr: Buffer | null;
  readonly exitCode: number | null;
  readonly signalCode: string | null;
  /** Whether it exited with 0. */
  readonly success: boolean;
  /** Whether it has ended by `timeout`, which holds for the start as well, or `container.deadline`; `report.cause` is "deadline" for that one. */
  readonly exitedDueToTimeout: boolean;
  /** Whether it has by `maxBuffer`. */
  readonly exitedDueToMaxBuffer: boolean;
  /** Whether it has by `maxMemory`. */
  readonly exitedDueToMaxMemory: boolean;
  /** Whether SIGKILL was sent to it, `killGrace` after a signal that it took no notice of. */
  readonly killEscalated: boolean;
  readonly resourceUsage: ResourceUsage;
  /** `null` if `timeout` was over before it ran. */
  readonly report: Report | null;
}

/** The counters of a container's cgroup; `null` is not counted here. Times in microseconds. */
export interface Stats {
  memoryBytes: number | null;
  memoryPeakBytes: number | null;
  cpuUserUs: number | null;
  cpuSystemUs: number | null;
  cpuThrottledUs: number | null;
  periodsThrottled: number | null;
  pids: number | null;
  pidsPeak: number | null;
  ioReadBytes: number | null;
  ioWriteBytes: number | null;
  /** Time lost to waiting (cgroup v2). */
  pressure: { cpu: Pressure | null; memory: Pressure | null; io: Pressure | null };
}

/** Pressure stall information. `avg10`: percent of the last 10 s. */
export interface Pressure {
  some: { avg10: number; totalUs: number };
  full: { avg10: number; totalUs: number } | null;
}

/** Why a container was not started, or why its end is not known. */
export class SecludeError extends Error {
  /** The symbol of the error number, such as "ENOENT"; without one "ERR_SECLUDE_" and the kind. */
  readonly code: string;
  readonly kind: "invalid" | "not-found" | "not-executable" | "refused" | "lost" | "deadline" | "cancelled";
  /** The negated error number, as in Node.js. */
  readonly errno?: number;
  /** The system call that was refused. */
  readonly syscall?: string;
  /** The step that failed, such as "mount" or "exec". */
  readonly step: string;
  /** Which half of the start failed: compiling the request, this process, or the new one. */
  readonly side: "plan" | "parent" | "child";
  /** What the step was about to do. */
  readonly action: string;
  /** The path that was refused. */
  readonly path?: string;
  /** The key of the options that it is about, or whose step failed, such as "container.fs[0].to". */
  readonly field?: string;
  /** What to do about it. */
  readonly hint?: string;
  /** The same as data; empty where no option and nothing of the host is known to help. */
  readonly remedies: Remedy[];
  /** The limit that it is about. */
  readonly limit?: string;
  /** What could not be undone; empty when the host is as it was. */
  readonly leftBehind: string[];
}

/**
 * One thing that would make a start go on: an option to set, to `value` if that is one; an option to leave out; the same for the container that the caller
 * is in; or something of the host's.
 */
export type Remedy = { set: string; value?: unknown } | { leave: string } | { outer: Remedy } | { host: string };

/** What this host can do. */
export interface Examination {
  sandbox_works: boolean;
  findings: Finding[];
}

export interface Finding {
  feature: string;
  /** "works-with": in another way than the newest kernels have, which the evidence tells. */
  verdict: "works" | "works-with" | "does-not";
  /** What was tried and what the kernel answered. */
  evidence: string;
  /** What would make it work. */
  remedy?: string;
}

/** What would be done. */
export interface Plan {
  /** The way of cloning. */
  clone: "vm" | "copy" | "legacy";
  /** Why that way. */
  reason: string;
  actions: Action[];
  /** The same to read. */
  text: string;
}

export interface Action {
  moment: "prepare" | "clone" | "attend" | "child";
  step: string;
  action: string;
  about?: string;
}

/**
 * Starts a process. It returns at once, while set-up goes on elsewhere. Options that cannot be meant throw a TypeError or
 * RangeError with the key's path, and `remedies` where something is known to help; a set-up that fails rejects `spawned`, `exited` and `report` with a SecludeError.
 */
export function spawn(options: SpawnOptions & { cmd: Cmd }): Subprocess;
export function spawn(cmd: Cmd, options?: SpawnOptions): Subprocess;

/** Runs a process to its end, and blocks until then. A set-up that fails throws the SecludeError. */
export function spawnSync(options: SpawnSyncOptions & { cmd: Cmd }): SyncSubprocess;
export function spawnSync(cmd: Cmd, options?: SpawnSyncOptions): SyncSubprocess;

/** What this host can do, found by doing it; as `seclude doctor --json`. */
export function doctor(): Promise<Examination>;

/** What `spawn` would do, by whom and in which order; as `seclude explain --json`. Nothing is started. */
export function explain(options: SpawnOptions & { cmd: Cmd }): Plan;
export function explain(cmd: Cmd, options?: SpawnOptions): Plan;

