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

/** Those that have to be there in one of several spellings, of which one is to be given. */
type Spelled<Names extends string, T> = {
  [Name in Names]: { [Key in Name]: T } & { [Other in Exclude<Names, Name>]?: never };
}[Names];

/** Which keys a container has in another form than a request. */
type Reformed =
  | "command" | "root" | "network" | "dns" | "hosts" | "cgroup" | "mounts" | "limits" | "namespaces" | "rlimits" | "prefer" | "terminal";

/**
 * What the process is born in: the sandbox, as changed by what is said here; `preset: "bare"` begins from nothing. It is a request, as
 * every door of seclude's has it, in camel case (docs/request.md), with shorter forms of what is asked for most. An unknown key, a value of the
 * wrong type or out of range, or one that cannot be meant beside another throws a TypeError or RangeError with the key's path; `false` means
 * off. Each key may be in snake case as well.
 */
export interface Container extends Omit<ContainerRequest, Reformed> {
  /** A terminal is asked for by the option of that name, which gives it out. */
  terminal?: false;
  /** New, shared or existing namespaces, and whose ids a user namespace has. */
  namespace?: NamespaceKeys | false;
  /** The same as `namespace`. */
  namespaces?: NamespaceKeys | false;
  /** As root: be root of the host inside as well; no boundary for what nobody trusts. The same as `user: { map: "host-root" }`. */
  hostRoot?: boolean;
  /** The same as `hostRoot`. */
  host_root?: boolean;
  /**
   * The command itself is PID 1, without an init: it reaps what is orphaned, signals that it has no handler for do nothing to it, and it dies
   * with this process only as long as it does not take that back. So is `namespace: { pid: true }`. A new pid namespace comes with it.
   */
  asPid1?: boolean;
  /** The same as `asPid1`. */
  as_pid1?: boolean;
  /**
   * What the process sees as `/`: a directory of the host, which then can be written, or more about it. A new mount namespace comes with it.
   * `false`: the tree that the preset has, writable: of the sandbox's that is a directory in memory.
   */
  root?: string | RootOptions | false;
  /** What is mounted or put into the tree, in this order; a later one may lie in an earlier one. A new mount namespace comes with it. */
  fs?: FsEntry[] | false;
  /** The same as `fs`, or as a request has them. */
  mounts?: (Mount | FsEntry)[] | false;
  /** What the container may use of the machine, in a cgroup of its own. A limit that cannot be set is an error, unless `prefer` names it. */
  limit?: Limit | false;
  /** The same as `limit`. */
  limits?: Limit | false;
  /**
   * A cgroup of its own, with `true` also without limits: for `stats()`, `pause()`, `resume()`, the memory peak in the report, and `killTree()`
   * without a pid namespace.
   */
  cgroup?: boolean | Cgroup;
  /**
   * A cgroup that exists, to start in: absolute in the hierarchy, such as /ci/job, or a descriptor of its directory, which stays yours. Nothing
   * is set, counted, killed or removed there. Not together with `limit` and `cgroup`.
   */
  joinCgroup?: string | number | false;
  /** The same as `joinCgroup`. */
  join_cgroup?: string | number | false;
  /** What the start may go on without where the host does not have it; the report says whether it was achieved. */
  prefer?: Feature[] | false;
  /**
   * What it is connected by. `true`, `"loopback"` or `"none"`: its own loopback interface, up, and nothing else; `false` or `"host"`: the
   * host's network. The same as `namespace.network`.
   */
  network?: NetworkMode | NetworkOptions;
  /** The same as `network`. */
  net?: NetworkMode | NetworkOptions;
  /**
   * Its name servers, in a /etc/resolv.conf of its own; `"host"`: the host's (the default with veth and pasta; of a network of names it is
   * an address of its own); `false` or `"unchanged"`: the
   * root's file is left as it is.
   */
  dns?: Dns | false;
  /** Lines of a /etc/hosts of its own: names and their addresses. */
  hosts?: Record<string, string> | HostEntry[] | false;
  /**
   * The command's user id inside. With a new user namespace and no map of your own: as root the ids inside are those outside, as an ordinary
   * user your own id is this one.
   */
  uid?: number | bigint | false;
  /** The command's group id inside. */
  gid?: number | bigint | false;
  /** The command's supplementary groups inside. */
  groups?: (number | bigint)[] | false;
  /** The capabilities that the command may have, by name, such as `NET_ADMIN`; `false` or `[]`: none. */
  capabilities?: string[] | "all" | false;
  /** Capabilities that stay over exec for a command that is not uid 0. */
  ambientCapabilities?: string[] | "all" | false;
  /** The same as `ambientCapabilities`. */
  ambient_capabilities?: string[] | "all" | false;
  /** Whether an exec may not gain privileges (setuid bits, file capabilities). Default: true. */
  noNewPrivileges?: boolean;
  /** The same as `noNewPrivileges`. */
  no_new_privileges?: boolean;
  /** The same as `noNewPrivileges`. */
  noNewPrivs?: boolean;
  /** Resource limits by name, setrlimit(2), such as `{ NOFILE: 256 }`, in the resource's own unit. */
  rlimits?: Record<string, Rlimit | false> | false;
  /** The same as `rlimits`. */
  rlimit?: Record<string, Rlimit | false> | false;
}

/** For each kind: `true` or `"new"` a new namespace, `false` or `"inherit"` this process's own, `{ join }` or a path an existing one. */
export type NamespaceKeys = {
  [Kind in "pid" | "mount" | "mnt" | "uts" | "ipc" | "cgroup"]?: boolean | Namespace | NamespaceOptions;
} & {
  /** `true`: the ids of the preset; `"root"`: yours are 0 inside; `"identity"`: they are the same; `"subids"`: those of /etc/subuid from 1 on. */
  user?: boolean | "root" | "subids" | IdMap | Namespace | UserNamespaceOptions;
  /** Offsets of the monotonic and the boot-time clock. */
  time?: boolean | Namespace | TimeNamespaceOptions;
} & { [Kind in "network" | "net"]?: Namespace | NetworkMode | NetworkOptions };

/** An existing namespace. */
export interface NamespaceOptions {
  /** The one to enter, such as /proc/PID/ns/net. */
  join: string;
}

/** The ids of a new user namespace, user_namespaces(7), or an existing one. */
export interface UserNamespaceOptions extends Partial<NamespaceOptions> {
  /** Extents of user ids. Without it: your own uid is 0. */
  uidMap?: IdExtent[] | false;
  /** The same as `uidMap`. */
  uid_map?: IdExtent[] | false;
  /** Extents of group ids. Without it: your own gid is 0. */
  gidMap?: IdExtent[] | false;
  /** The same as `gidMap`. */
  gid_map?: IdExtent[] | false;
  /** This process's uid and gid are these inside, and no others exist there. */
  callerAs?: CallerAs | false;
  /** The same as `callerAs`. */
  caller_as?: CallerAs | false;
}

/** A uid and a gid inside. */
export interface CallerAs {
  /** The uid inside. */
  uid: number | bigint;
  /** The gid inside. */
  gid: number | bigint;
}

/** Consecutive ids: one line of /proc/PID/uid_map; the first inside, the first outside, and how many. Default: 1. */
export type IdExtent = Spelled<"insideId" | "inside_id" | "inside", number | bigint> &
  Spelled<"outsideId" | "outside_id" | "outside", number | bigint> & { [Count in "length" | "count"]?: number | bigint };

/** What the clocks of a new time namespace are ahead of the host's (negative: behind), milliseconds; or an existing one. */
export interface TimeNamespaceOptions extends TimeOffsets, Partial<NamespaceOptions> {}

/** What a container is connected by, in a word. */
export type NetworkMode = boolean | "loopback" | "none" | "host" | "veth" | "pasta" | "names";

/** What the container is connected by. */
export interface NetworkOptions extends Partial<Omit<Network, "type" | "publish">>, Partial<NamespaceOptions> {
  /** `loopback` or `none`: its own interface that is up, and no other; `host`: the host's network; the others as a request has them:
   * `{ mode: "names", allow: ["github.com:443"] }` reaches those names, and nothing else. */
  mode?: Exclude<NetworkMode, boolean>;
  /** The same as `mode`. */
  type?: Exclude<NetworkMode, boolean>;
  /** The same as `address`. */
  ip?: string | false;
  /** The same as `ipv6`. */
  ip6?: string | false;
  /** Ports of the host that lead to the container, such as "8080:80", "5353:53/udp", a range, or a number for the same port on both sides. */
  publish?: (string | number | bigint)[] | false;
  /** The same as `publish`. */
  ports?: (string | number | bigint)[] | false;
}

/** What the process sees as `/`. */
export interface RootOptions extends Root {
  /** The same as `readOnly`. */
  readonly?: boolean;
  /** `true`: writes go to memory and are gone at the end; an object: more directories below the path, and where writes go. */
  overlay?: boolean | OverlayOptions;
  /** The same as `overlay`. */
  overlayfs?: boolean | OverlayOptions;
}

/** Several directories as one. Without an upper directory, and not `ephemeral`, it is read-only, and needs two lower ones. */
export type OverlayOptions = Partial<Spelled<"lowerDirs" | "lower_dirs", string[]>> & {
  [Where in "upperDir" | "upper_dir" | "workDir" | "work_dir"]?: string | false;
} & { [Switch in "ephemeral" | ReadOnly]?: boolean };

type ReadOnly = "readonly" | "readOnly" | "read_only";

/** One thing in the container's tree: its type, where it will be inside, and more under the name of the type. */
export type FsEntry = Spelled<"to" | "target", string> &
  (
    | FsOf<"overlayfs" | "overlay", OverlayOptions & Spelled<"lowerDirs" | "lower_dirs", string[]>, true>
    | FsOf<"tmpfs", Pick<Mount, "size" | "mode" | Flags> & ReadOnlyOption>
    | (FsOf<"bind", Pick<Mount, "recursive" | Flags> & ReadOnlyOption> & Spelled<"from" | "source", string>)
    | FsOf<"file", Pick<Mount, "mode"> & { content: Content } & ReadOnlyOption, true>
    | FsOf<"directory" | "dir", Pick<Mount, "mode">>
    | (FsOf<"symlink", never> & Spelled<"from" | "source", string>)
    | FsOf<"proc" | "sysfs" | "cgroup", ReadOnlyOption>
    | FsOf<"mqueue" | "devpts" | "dev", never>
    | FsOf<"mask" | "readonly" | "readOnly", Pick<Mount, "ifPresent" | "if_present">>
  );

type Flags = "nosuid" | "nodev" | "noexec";
type ReadOnlyOption = { [Name in ReadOnly]?: boolean };
/** An entry of each of these types, which comes from nowhere unless somebody says so. */
type FsOf<Types extends string, Options, Required extends boolean = false> = {
  [Type in Types]: { type: Type } & (Types extends "bind" | "symlink" ? unknown : { from?: never; source?: never }) &
    (Required extends true
      ? { options: Spelled<Types, Options> }
      : { options?: { [Name in Types]?: Options | false } | false });
}[Types];

/** What `prefer` can name; `rlimit` is all of them. */
export type Feature =
  | "memory" | "memory-high" | "memory-low" | "memory-swap" | "memory-oom-group" | "cpus" | "cpu-weight" | "cpuset-cpus" | "cpuset-mems"
  | "pids" | "io-max" | "io-weight" | "hugetlb" | "device-allow" | "landlock" | "net" | "oom-score-adj" | "rlimit" | "map-subids" | "time";

/** What the container may use of the machine, all its processes together, cgroups(7). */
export interface Limit extends Omit<Limits, "ioMax" | "io_max" | "devices"> {
  /** The same as `memoryMax`. */
  ram?: Size | false;
  /** The same as `memoryMax`. */
  memory?: Size | false;
  /** The same as `memorySwapMax`: swap alone, not the sum with memory. */
  memorySwap?: Size | false;
  /** The same as `memorySwapMax`. */
  memory_swap?: Size | false;
  /** The same as `memorySwapMax`. */
  swap?: Size | false;
  /** CPU time in percent of one CPU: 50 is half a CPU, 150 one and a half. From 1 to 100 for each CPU. */
  cpu?: number | false;
  /** The same as `cpuMax`: a number of CPUs. */
  cpus?: number | false;
  /** The same as `pidsMax`. */
  pids?: number | bigint | false;
  /** Bandwidth of block devices, of which `device` is the path, such as "/dev/vda", or the number, such as "8:0". */
  ioMax?: (IoMax | IoLimit)[] | false;
  /** The same as `ioMax`. */
  io_max?: (IoMax | IoLimit)[] | false;
  /**
   * The devices that may be used, all others being refused: paths such as "/dev/null:rw", or numbers such as "c 136:*:rw" (`*` is any); r read,
   * w write, m mknod, without them all three.
   */
  devices?: (string | Device)[] | false;
}

/** The bandwidth of one block device. */
export interface IoLimit extends Omit<IoMax, "major" | "minor"> {
  /** A path such as "/dev/vda", or a number such as "8:0". */
  device: string;
}

/** What a process and its container are to be. */
export interface ContainerRequest {
  /** The version of this form: 1, which is also the default. */
  version?: number | bigint | false;
  /** What the request begins from: what is not said here is as the preset has it. Default: `"sandbox"`. */
  preset?: Preset | false;
  /** The program, by path or by its name in a directory of PATH inside, and its arguments. */
  command?: Array<Text> | false;
  /** What the command sees as its own name. Default: the program as given. */
  arg0?: Text | false;
  /** Begin with an empty environment. Default: false. */
  clearEnv?: boolean;
  /** The same as `clearEnv`. */
  clear_env?: boolean;
  /** Hand on the whole environment of the caller; in the sandbox but for HOME, which is a new one. Default: in the sandbox false: PATH, TERM, LANG, LC_*, TZ and NO_COLOR are; else true. */
  envAll?: boolean;
  /** The same as `envAll`. */
  env_all?: boolean;
  /** Variables of the caller's environment to hand on besides those, by name. */
  inheritEnv?: Array<Text> | false;
  /** The same as `inheritEnv`. */
  inherit_env?: Array<Text> | false;
  /** Environment variables to set. */
  env?: Record<string, Text> | false;
  /** Environment variables to remove. */
  envRemove?: Array<Text> | false;
  /** The same as `envRemove`. */
  env_remove?: Array<Text> | false;
  /** The working directory inside, absolute. Default: the caller's, if the container has the host's tree, else `/`. The sandbox shows it, read-only; if it is a home, above one or below something hidden in one, it is the sandbox's own, empty home instead. */
  workdir?: Text | false;
  /** The host name inside, 1 to 64 bytes without spaces, `#` and control characters; needs a new UTS namespace. sethostname(2). Default: the caller's. */
  hostname?: Text | false;
  /** The NIS domain name inside, at most 64 bytes; needs a new UTS namespace. setdomainname(2). Default: the caller's. */
  domainname?: Text | false;
  /** The file mode creation mask, umask(2), octal in a string such as `"022"`. Default: the caller's. */
  umask?: Mode | false;
  /** How eager the kernel is to kill it when memory runs out, -1000 to 1000, proc(5). Default: the caller's. */
  oomScoreAdj?: number | bigint | false;
  /** The same as `oomScoreAdj`. */
  oom_score_adj?: number | bigint | false;
  /** Run the command below a tiny init as PID 1; needs a new pid namespace. Default: in the sandbox true, else false. */
  init?: boolean;
  /** The command may make user namespaces of its own, and mount in them: nothing can then be read-only or masked inside what it may write, and of root's callers that is where others do not come. Default: in the sandbox false, else true. */
  nested?: boolean;
  /** A session of its own without a terminal, setsid(2). Default: in the sandbox true, else false. */
  newSession?: boolean;
  /** The same as `newSession`. */
  new_session?: boolean;
  /** A session keyring of its own, keyrings(7). Default: in the sandbox true, else false. */
  newKeyring?: boolean;
  /** The same as `newKeyring`. */
  new_keyring?: boolean;
  /** It is killed when the spawning process ends. Default: true. */
  dieWithParent?: boolean;
  /** The same as `dieWithParent`. */
  die_with_parent?: boolean;
  /** It is killed this long after its start was asked for. Default: never. */
  deadline?: Duration | false;
  /** Go on without these where the host does not have them: names of limits such as `"memory"`, or `"net"`, `"map-subids"`, `"rlimit"`, `"oom-score-adj"`, `"time"`, `"landlock"` (as much of it as the kernel has). The report says what was left out. Default: none, everything is required. */
  prefer?: Array<string> | false;
  /** How to clone. Default: `"auto"`. */
  clone?: CloneWay | false;
  /** Measure the time of each step for the report. Default: false. */
  timed?: boolean;
  /** Name servers in its /etc/resolv.conf, resolv.conf(5). Default: the host's with a network, else unchanged. A network of names answers itself: beside that all but `"unchanged"` is an error. */
  dns?: Dns | false;
  /** The sandbox without any namespace, for hosts that give none: what landlock, the filter of system calls, ids, capabilities and limits confine without one. The host's files are where they are, and closed but for its programs, `ro`, `rw` and an empty home and temporary directory; no TCP port can be reached unless `landlock` has it. Of the host's root no file's mode, owner or times can be changed, also of its own (EPERM): landlock has no rule for that, and root owns what everybody runs. As another `user` they can. The report says what is not isolated. Linux 6.12. Default: false. */
  noNamespaces?: boolean;
  /** The same as `noNamespaces`. */
  no_namespaces?: boolean;
  /** Its namespaces. */
  namespaces?: Namespaces | false;
  /** Offsets of its clocks. */
  timeOffsets?: TimeOffsets | false;
  /** The same as `timeOffsets`. */
  time_offsets?: TimeOffsets | false;
  /** Its ids. */
  user?: User | false;
  /** Files and directories of the host to show by the same path, read-only; relative ones begin where the caller is (or the file with this request). */
  ro?: Array<Text> | false;
  /** The same, writable. New set-user-ID programs cannot be made there; one of others that is there already can be given another content (by a shared mapping, mmap(2)), so no directory with such is to be named. */
  rw?: Array<Text> | false;
  /** A home, or what is above one, may be among `ro` and `rw`. Default: false, an error. */
  wholeHome?: boolean;
  /** The same as `wholeHome`. */
  whole_home?: boolean;
  /** How much the sandbox's own directories hold together (/tmp, /var/tmp, /run, the home), in memory; more is ENOSPC. /dev/shm holds as much by itself. Default: 1 GiB. */
  maxTmp?: Size | false;
  /** The same as `maxTmp`. */
  max_tmp?: Size | false;
  /** What it sees as `/`. Default: in the sandbox the host's programs and their configuration, in `"host"` all of the host's tree, both read-only. */
  root?: Root | false;
  /** What it may do. */
  rights?: Rights | false;
  /** Which system calls it may make. */
  seccomp?: Seccomp | false;
  /** What it may reach of the container's files, of ports, sockets and processes, by landlock. Default: without a rule of its own. */
  landlock?: Landlock | false;
  /** Resource limits by name, setrlimit(2), such as `NOFILE`. Default: the caller's. */
  rlimits?: Record<string, Rlimit> | false;
  /** What it may use of the machine. */
  limits?: Limits | false;
  /** Its cgroup. Default: one of its own if there are limits, else none. */
  cgroup?: Cgroup | false;
  /** A pseudoterminal of its own. Default: none. */
  terminal?: TerminalSize | false;
  /** How it is connected. Default: a loopback alone. */
  network?: Network | false;
  /** Lines of its /etc/hosts, which is then one of its own. Of a network of names: where an allowed name leads, in the place of what the host says; that line is not in the file. */
  hosts?: Array<HostEntry> | false;
  /** What is mounted or put into its tree, one by one in this order, after what the preset has. */
  mounts?: Array<Mount> | false;
}

/** What a request begins from. */
export type Preset = "sandbox" | "host" | "bare";

/** A path, a name or an argument: any bytes but NUL; those that are no UTF-8 as bytes or hexadecimal digits. */
export type Text = string | Bytes | { hex: string };

/** Permissions: octal digits in a string, such as "755", or a number. */
export type Mode = string | number | bigint;

/** A number of milliseconds, or a string with us, ms, s, m or h, such as "10s". */
export type Duration = number | string;

/** How the process is made. */
export type CloneWay = "auto" | "vm" | "copy" | "legacy";

/** "host", those of the host; "unchanged", the root's file is left as it is; or a list of addresses. */
export type Dns = "host" | "unchanged" | Array<string>;

/** Where the process's namespace of each kind comes from, namespaces(7); what is not said is as the preset has it. */
export interface Namespaces {
  /** User and group ids, capabilities; user_namespaces(7). Linux 3.8. */
  user?: Namespace | false;
  /** Process ids, and the end of all with the first; pid_namespaces(7). */
  pid?: Namespace | false;
  /** The mount table; mount_namespaces(7). */
  mount?: Namespace | false;
  /** Network devices, addresses, ports, routes; network_namespaces(7). */
  net?: Namespace | false;
  /** Host name and domain name; uts_namespaces(7). */
  uts?: Namespace | false;
  /** System V IPC and POSIX message queues; ipc_namespaces(7). */
  ipc?: Namespace | false;
  /** The root of /proc/self/cgroup; cgroup_namespaces(7). Linux 4.6. */
  cgroup?: Namespace | false;
  /** Offsets of the monotonic and boot-time clocks; time_namespaces(7). Linux 5.6. */
  time?: Namespace | false;
}

/** "new"; "inherit", the caller's; or the absolute path of one to enter. */
export type Namespace = "new" | "inherit" | `/${string}`;

/** What CLOCK_MONOTONIC and CLOCK_BOOTTIME are ahead of the host's (negative: behind); needs a new time namespace. Linux 5.6. */
export interface TimeOffsets {
  /** Of CLOCK_MONOTONIC. Default: 0. */
  monotonic?: Duration | false;
  /** Of CLOCK_BOOTTIME. Default: 0. */
  boottime?: Duration | false;
}

/** The ids of the process, and the map of its user namespace. */
export interface User {
  /** Which ids the new user namespace has. Default: in the sandbox `"sandbox"`, else `"caller-as-root"`. */
  map?: IdMap | false;
  /** With the map `"caller-as"`: what the caller's uid is inside. */
  callerUid?: number | bigint | false;
  /** The same as `callerUid`. */
  caller_uid?: number | bigint | false;
  /** With the map `"caller-as"`: what the caller's gid is inside. */
  callerGid?: number | bigint | false;
  /** The same as `callerGid`. */
  caller_gid?: number | bigint | false;
  /** With the map `"extents"`: user ids, at most 340 extents. An unprivileged caller needs newuidmap(1) and ranges of /etc/subuid for anything but its own id. */
  uidMap?: Array<Extent> | false;
  /** The same as `uidMap`. */
  uid_map?: Array<Extent> | false;
  /** With the map `"extents"`: group ids. */
  gidMap?: Array<Extent> | false;
  /** The same as `gidMap`. */
  gid_map?: Array<Extent> | false;
  /** The command's user id inside, real, effective and saved. Default: in a new user namespace 0, else the caller's. */
  uid?: number | bigint | false;
  /** The command's group id inside. Default: in a new user namespace 0, else the caller's. */
  gid?: number | bigint | false;
  /** The command's supplementary groups inside. Without it a change of uid or gid empties them where the kernel lets it. */
  groups?: Array<number | bigint> | false;
}

/** The ids of a new user namespace, user_namespaces(7). */
export type IdMap = "sandbox" | "caller-as-root" | "caller-as" | "identity" | "extents" | "sub-ids" | "host-root";

/** Ids in a row. */
export interface Extent {
  /** The first inside. */
  inside: number | bigint;
  /** The first outside. */
  outside: number | bigint;
  /** How many. */
  count: number | bigint;
}

/** A number of bytes, or a string with K, M, G or T (powers of 1024), such as "256M". */
export type Size = number | bigint | string;

/** The root of the container; it needs a new mount namespace. Without `path` and `lowers` it is what the preset shows of the host: in the sandbox its programs and their configuration, else all of its tree. */
export interface Root {
  /** The directory of the host that becomes `/`, with what is mounted below it. */
  path?: Text | false;
  /** Several directories as one, overlayfs: the first wins over the next. Users may mount overlays from Linux 5.11 on. */
  lowers?: Array<Text> | false;
  /** Where writes go, and stay; it belongs to `lowers` or `path`. */
  upper?: Text | false;
  /** An empty directory of the same file system as `upper`, for the kernel's use. */
  work?: Text | false;
  /** Writes go to memory and are gone at the end. Of the host's own tree these are read-only: single files next to mount points, views of the kernel, and what it takes for no layer, which the report names. Default: false. */
  ephemeral?: boolean;
  /** Nothing can be written to it (EROFS). Default: in the sandbox true, unless writes go to an upper or to memory. */
  readOnly?: boolean;
  /** The same as `readOnly`. */
  read_only?: boolean;
}

/** What the command may do. */
export interface Rights {
  /** The capabilities that the command may have, capabilities(7), such as `["NET_ADMIN"]`; `"ALL"` is all. Default: in the sandbox none, else the caller's. */
  capabilities?: Array<string> | false;
  /** Those of them that stay over exec for a command that is not uid 0. */
  ambient?: Array<string> | false;
  /** An exec may not gain privileges (set-id bits, file capabilities). Default: true. */
  noNewPrivileges?: boolean;
  /** The same as `noNewPrivileges`. */
  no_new_privileges?: boolean;
}

/** The filter of system calls, seccomp(2): a profile, and what is changed of it. */
export interface Seccomp {
  /** `"default"`: what ordinary programs need, and nothing that containers have been left by; `"none"`: no filter but for what no mount can hold back; or an object, the `linux.seccomp` of an OCI configuration or a profile of Docker's or Podman's. Default: in the sandbox `"default"`, else `"none"`. */
  profile?: Profile | false;
  /** A file of the host with such an object, or with a finished program, instead of `profile`. */
  file?: Text | false;
  /** A finished program of classic BPF, `struct sock_filter[]` as the kernel reads it, at most 4096 instructions, instead of `profile`. */
  bpf?: Content | false;
  /** Flags of seccomp(2) for a finished program, in `bpf` or `file`: `"SECCOMP_FILTER_FLAG_LOG"` (what it refuses is written to the kernel's log), `"SECCOMP_FILTER_FLAG_SPEC_ALLOW"`; a profile has its own. */
  flags?: Array<string> | false;
  /** Calls that are allowed whatever the profile says, such as `"ptrace"`, or a group such as `"@mount"`. */
  allow?: Array<string> | false;
  /** Calls that are refused whatever the profile says: `"NAME"` with EPERM, or `"NAME=ERRNO"`. */
  deny?: Array<string> | false;
  /** List what is refused with an error number (not with ENOSYS, an older kernel's answer): the report has it. Takes the one listener that a process can have, seccomp_unotify(2). Default: true; Linux 5.0. */
  denials?: boolean;
}

/** "default", the sandbox's own; "none"; or an object as OCI's linux.seccomp and Docker's profiles are. */
export type Profile = "default" | "none" | Record<string, unknown>;

/** The bytes of a file. */
export type Content = string | Bytes | { hex: string };

/** A ruleset of landlock(7), besides whatever else confines the command: what no rule allows is refused to it and to all that it starts. Linux 5.13; each part says what it needs. A rule is of the file or directory that is there at the start, not of its name. */
export interface Landlock {
  /** Files, and directories with all that is below, that it may read: absolute paths inside the container. If there is one of `ro`, `rw` or `exec`, everything else is closed. Linux 6.10. */
  ro?: Array<Text> | false;
  /** The same to read and to write: files and directories can be made, cut, moved and removed there, but no device nodes. A device that is named itself also has its ioctls; a unix socket below can be connected to, where that is held back elsewhere (Linux 7.1). */
  rw?: Array<Text> | false;
  /** The same to read and to execute. With any of these rules the command itself, its interpreter and its ELF loader have to be below one of `exec`. */
  exec?: Array<Text> | false;
  /** The ports that it may connect to by TCP, 0 to 65535; `[]` is none. Default: all. Linux 6.7; from 7.2 on it holds for UDP as well. */
  connect?: Array<number | bigint> | false;
  /** The ports that it may bind to by TCP; 0 is one that the kernel chooses, `[]` is none. Default: all. Linux 6.7; from 7.2 on it holds for UDP as well. */
  bind?: Array<number | bigint> | false;
  /** What it can reach of its own processes alone. Linux 6.12. */
  scopes?: Array<LandlockScope> | false;
}

/** What a ruleset of landlock keeps among the processes that it holds for. */
export type LandlockScope = "abstract-unix-socket" | "signal";

/** A resource limit in the resource's own unit: one for both, or soft and hard. */
export type Rlimit = number | bigint | "unlimited" | { soft: number | bigint | "unlimited"; hard?: number | bigint | "unlimited"; };

/** The limits of the container's cgroup, cgroups(7). What is not said is not limited; one that cannot be set is an error, unless `prefer` names it. */
export interface Limits {
  /** Memory in bytes; above it, processes inside are killed (out of memory). From one page to 2^62. */
  memoryMax?: Size | false;
  /** The same as `memoryMax`. */
  memory_max?: Size | false;
  /** Memory in bytes above which processes inside are slowed and made to give memory back. Needs cgroup v2. */
  memoryHigh?: Size | false;
  /** The same as `memoryHigh`. */
  memory_high?: Size | false;
  /** Memory in bytes that is taken from others first. Needs cgroup v2. */
  memoryLow?: Size | false;
  /** The same as `memoryLow`. */
  memory_low?: Size | false;
  /** Swap in bytes, 0 for none. On cgroup v1 it needs `memory_max`. */
  memorySwapMax?: Size | false;
  /** The same as `memorySwapMax`. */
  memory_swap_max?: Size | false;
  /** Running out of memory kills everything inside, not one process. Needs cgroup v2, Linux 4.19. Default: false. */
  memoryOomGroup?: boolean;
  /** The same as `memoryOomGroup`. */
  memory_oom_group?: boolean;
  /** CPU time as a number of CPUs: 0.5 is 50 ms in each period of 100 ms. From 0.01 to the number of CPUs online. */
  cpuMax?: number | false;
  /** The same as `cpuMax`. */
  cpu_max?: number | false;
  /** The share of CPU time when there is not enough: 1 to 10000. Default: 100, as everybody's. */
  cpuWeight?: number | bigint | false;
  /** The same as `cpuWeight`. */
  cpu_weight?: number | bigint | false;
  /** The CPUs to run on, such as `"0-3,8"`. */
  cpusetCpus?: string | false;
  /** The same as `cpusetCpus`. */
  cpuset_cpus?: string | false;
  /** The memory nodes to allocate from, such as `"0"`. */
  cpusetMems?: string | false;
  /** The same as `cpusetMems`. */
  cpuset_mems?: string | false;
  /** Processes and threads, 1 to 4194304; one more fails with EAGAIN. */
  pidsMax?: number | bigint | false;
  /** The same as `pidsMax`. */
  pids_max?: number | bigint | false;
  /** Bandwidth of block devices. */
  ioMax?: Array<IoMax> | false;
  /** The same as `ioMax`. */
  io_max?: Array<IoMax> | false;
  /** The share of block I/O: 1 to 10000. Default: 100. */
  ioWeight?: number | bigint | false;
  /** The same as `ioWeight`. */
  io_weight?: number | bigint | false;
  /** Huge pages. */
  hugetlb?: Array<Hugetlb> | false;
  /** The devices that may be used, all others being refused; an empty list refuses all. Needs CAP_BPF on cgroup v2. */
  devices?: Array<Device> | false;
}

/** The bandwidth of one whole block device (not a partition). */
export interface IoMax {
  /** The device's major number. */
  major: number | bigint;
  /** The device's minor number. */
  minor: number | bigint;
  /** Bytes read a second, 1 to 2^62. */
  rbps?: Size | false;
  /** Bytes written a second, 1 to 2^62. */
  wbps?: Size | false;
  /** Reads a second, 1 to 4294967294. */
  riops?: number | bigint | false;
  /** Writes a second, 1 to 4294967294. */
  wiops?: number | bigint | false;
}

/** Huge pages of one size. */
export type Hugetlb = Spelled<"pageSize" | "page_size", Size> & {
  /** The limit in bytes, 0 for none; the kernel rounds down to a page. */
  max: Size;
};

/** A device, or several, that may be used. */
export interface Device {
  /** Character or block device. */
  type: DeviceKind;
  /** The major number. Default: any. */
  major?: number | bigint | false;
  /** The minor number. Default: any. */
  minor?: number | bigint | false;
  /** What may be done: some of `r` (read), `w` (write), `m` (make a node). Default: all three. */
  access?: string | false;
}

/** What kind of device. */
export type DeviceKind = "char" | "block";

/** The control group that the container gets: one of its own, gone at its end with all that is in it; or one that exists. */
export interface Cgroup {
  /** The cgroup to make it in, absolute in the hierarchy, such as `"/ci/builds"`. Default: `/seclude` for root, the delegated cgroup that the caller is in for an ordinary user. */
  parent?: Text | false;
  /** Start in this one, which exists, absolute in the hierarchy; nothing is set, counted, killed or removed there. Contradicts everything else of a cgroup, and limits. */
  join?: Text | false;
  /** The calling process may be moved to a cgroup of its own below the parent where that must have no processes (v2). Default: false. */
  moveCaller?: boolean;
  /** The same as `moveCaller`. */
  move_caller?: boolean;
  /** Count memory, CPU time, processes and block I/O also where they are not limited. Default: false. */
  countAll?: boolean;
  /** The same as `countAll`. */
  count_all?: boolean;
  /** Delegate a cgroup below the limited one to the container's root (v2), who can make 1,000 in it, 32 deep. Default: false. */
  delegate?: boolean;
  /** Ask systemd over D-Bus for a delegated scope to make it in (v2). Default: false. */
  scope?: boolean;
  /** In every hierarchy of the host, also where nothing is limited. Default: false. */
  everywhere?: boolean;
}

/** A pseudoterminal as stdin, stdout and stderr, and a session that it controls. */
export interface TerminalSize {
  /** Its height in characters. Default: 24. */
  rows?: number | bigint | false;
  /** Its width in characters. Default: 80. */
  columns?: number | bigint | false;
}

/** How a container is connected; a new net namespace comes with it. Without one it has a loopback alone, or what `namespaces.net` says. */
export interface Network {
  /** What connects it. */
  type: NetworkKind;
  /** Of a veth: a bridge that somebody else made. Default: one of ours, `seclude0`. */
  bridge?: string | false;
  /** Of a veth: no bridge, a link between host and container alone. Default: false. */
  pointToPoint?: boolean;
  /** The same as `pointToPoint`. */
  point_to_point?: boolean;
  /** Of a veth: the subnet of its address, such as `"10.20.0.0/24"`. Default: one that no route of the host leads to. */
  subnet?: string | false;
  /** Of a veth: its address. Default: a free one. */
  address?: string | false;
  /** Of a veth: an IPv6 address as well, of this subnet, or `"auto"`. Default: none. */
  ipv6?: string | false;
  /** Of a veth: the hardware address of its end. Default: one that goes with its address. */
  mac?: string | false;
  /** Of a veth: the MTU in bytes, 68 to 65535, with IPv6 at least 1280. Default: 1500. */
  mtu?: number | bigint | false;
  /** Of a veth: the name of its end inside. Default: `eth0`. */
  interface?: string | false;
  /** Of a veth: it reaches what the host reaches. Default: true. */
  nat?: boolean;
  /** Of a veth or pasta: it reaches the host's own services, link-local addresses and those of a cloud's metadata. Default: false, for which pasta needs the kernel's nf_tables. */
  hostAccess?: boolean;
  /** The same as `hostAccess`. */
  host_access?: boolean;
  /** Of a veth: net.ipv4.ip_forward may be switched on until the last container has ended. Default: false. */
  ipForward?: boolean;
  /** The same as `ipForward`. */
  ip_forward?: boolean;
  /** Of a veth: it and the other containers of its bridge that have this reach one another. Default: false. */
  peers?: boolean;
  /** Ports of the host that lead to the container, such as `"8080:80"`, `"127.0.0.1:53:53/udp"` or a range `"8000-8010:8000-8010"`. With names TCP alone, to the container's 127.0.0.1, 128 connections at once: others wait until one ends. */
  publish?: Array<string> | false;
  /** Of names: what is reached, each a name and its TCP ports, such as `"github.com"` (port 443), `"github.com:22,443"`, `"example.org:8000-8010"` or `"*.example.org"`, the names below it; `udp/` before a port is UDP, `"ntp.example.org:udp/123"`. Everything else is refused at once. Default: nothing. */
  allow?: Array<string> | false;
  /** Of names: the same, where the name may lead to private addresses (RFC 1918, 100.64.0.0/10, fc00::/7), but not to the host's own. Default: nothing. */
  allowPrivate?: Array<string> | false;
  /** The same as `allowPrivate`. */
  allow_private?: Array<string> | false;
  /** Of names: TCP ports of the host's own 127.0.0.1, reached as `host.internal` with the same port. Default: none. */
  allowLoopback?: Array<number | bigint> | false;
  /** The same as `allowLoopback`. */
  allow_loopback?: Array<number | bigint> | false;
  /** Of names: whether each connection has to begin with TLS that asks for its name (SNI). Default: `"off"`. */
  sni?: Sni | false;
  /** Of names: what is said besides of all that is refused, such as whom to ask; one line of at most 200 characters. Default: nothing. */
  refusal?: string | false;
  /** Of a veth: at most so many bits a second in each direction, 8000 or more. Default: no limit. */
  rate?: number | bigint | false;
  /** Of a veth: added to every packet to the container, up to a minute. Needs the kernel's sch_netem. Default: none. */
  latency?: Duration | false;
}

/** What connects a container. */
export type NetworkKind = "veth" | "pasta" | "names";

/** Whether a connection to a name has to begin with TLS that asks for that name. */
export type Sni = "off" | "require";

/** A line of its /etc/hosts, hosts(5). */
export interface HostEntry {
  /** The name. */
  name: string;
  /** Its address, IPv4 or IPv6. */
  address: string;
}

/** One thing in the container's tree; it needs a new mount namespace. */
export interface Mount {
  /** What it is. */
  type: MountKind;
  /** Where: an absolute path inside the root, without `..`. What is missing of it is made where the root can be written. */
  target: Text;
  /** Of a bind: the file or directory of the host. */
  source?: Text | false;
  /** Of a symlink: where it leads to. */
  to?: Text | false;
  /** Of a bind: also what is mounted below the source. Default: true. */
  recursive?: boolean;
  /** Of a bind, tmpfs, overlay, proc, sysfs, cgroup or file: writes fail with EROFS. Default: false, of a sysfs true. */
  readOnly?: boolean;
  /** The same as `readOnly`. */
  read_only?: boolean;
  /** Of a bind or tmpfs: set-id bits and file capabilities do nothing. Default: of a tmpfs true. */
  nosuid?: boolean;
  /** Of a bind or tmpfs: device nodes do nothing. Default: of a tmpfs true. */
  nodev?: boolean;
  /** Of a bind or tmpfs: nothing can be executed. Default: false. */
  noexec?: boolean;
  /** Of a tmpfs: its size in bytes. Default: half of the machine's memory. */
  size?: Size | false;
  /** Of a tmpfs, file or directory: permissions, such as `"755"` (octal) or the number 493. Default: 1777, 644 and 755. */
  mode?: Mode | false;
  /** Of an overlay: the directories that lie over one another, the first wins over the next. */
  lowers?: Array<Text> | false;
  /** Of an overlay: where writes go, and stay. */
  upper?: Text | false;
  /** Of an overlay: an empty directory of the same file system as `upper`, for the kernel's use. */
  work?: Text | false;
  /** Of an overlay: writes go to memory and are gone at the end. Default: false. */
  ephemeral?: boolean;
  /** Of a file: its bytes. */
  content?: Content | false;
  /** Of a mask or read-only-path: nothing happens if nothing is there. Default: false. */
  ifPresent?: boolean;
  /** The same as `ifPresent`. */
  if_present?: boolean;
}

/** The kinds of mounts. */
export type MountKind = "bind" | "tmpfs" | "overlay" | "proc" | "sysfs" | "cgroup" | "mqueue" | "devpts" | "dev" | "file" | "directory" | "symlink" | "mask" | "read-only-path";

/** How it ended; docs/report.schema.json. */
export interface Report {
  /** Why it ended. out-of-memory and pids-limit: it failed, and the cgroup had killed or refused a process. */
  cause: "exited" | "signaled" | "out-of-memory" | "pids-limit" | "deadline" | "killed";
  /** Its exit code, if it exited. */
  code: number | null;
  /** The signal that ended it, if one did. */
  signal: number | null;
  /** From the start of seclude to the end of everything, microseconds. */
  wall_us: number;
  /** From its exec until its end was seen. */
  run_us: number;
  /** From then until everything that was there for it was gone. */
  clean_up_us: number;
  /** What it has used; null is not counted here. Without a cgroup only the CPU times of the process and the descendants it waited for. */
  usage: {
    /** The most memory at a time, with page cache. v1, or v2 from Linux 5.19. */
    memory_peak_bytes: number | null;
    /** Processes killed for lack of memory. */
    oom_kills: number | null;
    /** CPU time in user mode, microseconds. */
    cpu_user_us: number | null;
    /** CPU time in the kernel, microseconds. */
    cpu_system_us: number | null;
    /** Time that it could have run but for its CPU quota, microseconds, added up over the CPUs. */
    cpu_throttled_us: number | null;
    /** The most processes and threads at a time. Linux 6.1. */
    pids_peak: number | null;
    /** Processes and threads that were not made because of the limit. */
    pids_refused: number | null;
    /** Bytes read from block devices. */
    io_read_bytes: number | null;
    /** Bytes written to block devices. */
    io_write_bytes: number | null;
    /** Where each number comes from: a file, or waitid. */
    sources: Record<string, string>;
  };
  tree: {
    /** Whether it is proven that nothing of it runs. */
    empty: boolean;
    /** cgroup-removed: the kernel removes empty ones only; pid-namespace-ended: it ends with its first process. */
    proof: "cgroup-removed" | "pid-namespace-ended" | "unknown";
  };
  /** What stays on the host of what was made for it, and why: mount points that are in use. */
  left_behind: Array<string>;
  /** System calls that its filter refused with an error number, but for ENOSYS, in the order in which they came first; at most 1,000, and 100 a second looked at one by one. */
  denials: Array<{
    /** Its name, or its number where it has none. */
    call: string;
    /** Whose calls it is one of, such as x86_64. */
    architecture: string;
    /** The arguments that decided, as the registers had them; empty: none did. */
    arguments: Array<{ index: number; value: number; }>;
    /** What it was answered; null where that has no name. */
    errno: string | null;
    /** By what: the profile does not allow it, refuses it, refuses it with such arguments, or no profile could allow it. */
    rule: "not-allowed" | "refused" | "arguments" | "always";
    /** The name of the process that made it, which it can choose; null where /proc did not tell. */
    program: string | null;
    /** Its pid inside the container. */
    pid: number | null;
    /** How often this process made it. */
    times: number;
    /** What would allow it, as data; empty: nothing does. */
    remedies: Array<{
      set?: string;
      value?: unknown;
      leave?: string;
      /** The same for the container that the caller is in. */
      outer?: Record<string, unknown>;
      host?: string;
    }>;
  }>;
  /** How many there were besides. */
  more_denials: number;
  /** What it has written to layers that are kept in memory, and that went with it; null without any. */
  discarded: null | {
    /** Files that were made, changed or removed. */
    files: number;
    /** There were more of them. */
    more: boolean;
  };
  /** What it reached, and what not, if it had a network of names. */
  reach: null | {
    /** The names that it connected to, or tried to. */
    reached: Array<{
      /** The name. */
      name: string;
      /** Connections that came about. */
      connections: number;
      /** Connections that did not. */
      failed: number;
      /** Bytes from the container. */
      sent: number;
      /** Bytes to it. */
      received: number;
    }>;
    /** What it was refused, in the order in which it came first; at most 1,000, and 16 of one name. Other ports of names and addresses, which the container's own kernel refuses, are among them unless deaf says otherwise; what went by UDP is not. */
    unreached: Array<{
      /** The name, as it was asked for; or the address, if that was connected to. */
      name: string;
      /** not-allowed; port: it is allowed on others; number: it is an address, and no name; address: it leads to one that is no public address; unresolved: the host knows none; too-many connections at once; taken: the container itself has its port; sni: its connection does not ask for it by TLS; unreachable: the host could connect to none of its addresses. */
      why: "not-allowed" | "port" | "number" | "address" | "unresolved" | "too-many" | "taken" | "sni" | "unreachable";
      /** The address that it leads to, if that is why. */
      address: string | null;
      /** What that is, such as private. */
      special: string | null;
      /** The ports that were to be reached, as a rule has them, if it is known which. */
      ports: string | null;
      /** The rules that the name has, if its port is why. */
      rules: string | null;
      /** The name that TLS asked for in its place, if that is why and there was one. */
      sni: string | null;
      /** What whoever reads of it is told besides: refusal of the network. */
      refusal: string | null;
      /** How often. */
      times: number;
      /** What would allow it, as data; empty: nothing does. */
      remedies: Array<{
        set?: string;
        value?: unknown;
        leave?: string;
        /** The same for the container that the caller is in. */
        outer?: Record<string, unknown>;
        host?: string;
      }>;
    }>;
    /** How many there were besides. */
    more_unreached: number;
    /** Whether what the container's own kernel refuses is not among them, as no raw socket was to be had that sees it. */
    deaf: boolean;
  };
  /** How it was made, and the time of each part in microseconds. */
  spawn: {
    /** The way of cloning. */
    clone: "vm" | "copy" | "legacy";
    /** Whether the child ran in the caller's memory until its exec. */
    shared_memory: boolean;
    /** Why that way. */
    clone_reason: string;
    /** How its root was made. kept: the copy of the host's tree that every new mount namespace has; pivoted: made in that copy, the rest left behind; entered: the namespace was made of it alone, Linux 7.0; null without a new mount namespace. */
    root: "kept" | "pivoted" | "entered" | null;
    /** The caller's directory, if the command began elsewhere: in the sandbox's new, empty home, or with the preset `host` in /; null if it began where the caller is, or where the request says. */
    moved_from: string | null;
    /** Where it began instead, inside; null with moved_from. */
    moved_to: string | null;
    /** What is shown of the host under the host's ids, because its file system or the kernel cannot map them: whoever owns it is nobody inside. Empty where the container's ids are the caller's. */
    plain: Array<string>;
    /** With ephemeral writes over the host's tree: what of it is read-only, as the kernel takes it for no layer of an overlay: a file system that ignores case, automounts, an overlay over another one. Single files next to mount points and views of the kernel are so anyway, and not listed. */
    read_only: Array<string>;
    /** With ephemeral writes over the host's tree: what of it was removed or replaced while it was copied, so that it is not there. */
    left_out: Array<string>;
    /** Why what its filter refuses is not listed, if that is so. */
    deaf: string | null;
    /** The ABI of landlock by which rules hold for it, if any do. */
    landlock_abi: number | null;
    /** What it shares with the host in a sandbox without namespaces (no_namespaces); else empty. */
    not_isolated: Array<{
      /** The stable name. */
      what: "files" | "names" | "metadata" | "watches" | "processes" | "signals" | "leftovers" | "process-count" | "network" | "tcp" | "listening" | "udp" | "unix-sockets" | "abstract-sockets" | "ipc" | "root";
      /** What that means, in a sentence. */
      why: string;
    }>;
    /** Its cgroup, if it has one. */
    cgroup: null | {
      /** The same in each hierarchy that it is in. */
      path: string;
      /** Whether it was made for the container, and goes with it; else it was there before. */
      own: boolean;
      /** born: CLONE_INTO_CGROUP; joined: by cgroup.procs while it waited at its barrier. */
      entered: "born" | "born-and-joined" | "joined";
    };
    /** What it is connected by, if it is. */
    network: null | {
      /** What it is connected by. */
      by: "veth" | "pasta" | "names";
      /** Its IPv4 address; null with pasta, which takes the host's, and with names, as all addresses are its own. */
      address: string | null;
      /** Its IPv6 address, if one was asked for. */
      address6: string | null;
      /** Where it sends what is not of its subnet. */
      gateway: string | null;
      /** Its subnet. */
      subnet: string | null;
      /** The bridge, if there is one. */
      bridge: string | null;
      /** The host's end of the veth pair. */
      link: string | null;
      /** What its /etc/resolv.conf names; empty where that is the root's. */
      name_servers: Array<string>;
      /** Name servers of the host that were left out, because they are on its loopback, or the host itself, which is closed. */
      name_servers_left_out: Array<string>;
    };
    /** What the caller could have done without, and whether it holds. */
    preferred: Array<{ feature: string; achieved: boolean; reason?: string; }>;
    /** Parent, until the clone. */
    prepare_us: number;
    /** The clone call itself. */
    clone_us: number;
    /** Parent, while the child waited at its barrier. */
    attend_us: number;
    /** Child, from its barrier to its exec. */
    set_up_us: number;
    /** The parent's time in each step before the clone. */
    prepare: Array<{ step: string; us: number; }>;
    /** The parent's time in each step at the barrier. */
    attend: Array<{ step: string; us: number; }>;
    /** The child's time in each step. */
    child: Array<{ step: string; us: number; }>;
  };
}
