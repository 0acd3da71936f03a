/// <reference types="node" />
// Made by `npm run types` from types/process.d.ts, the addon's tables of keys and docs/report.schema.json.

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
   * The working directory inside. A relative path is below this process's own, and not for a container with a `root` of its
   * own. Default: this process's own, if the container has the host's tree, else `/`.
   */
  cwd?: string | URL | false;
  /** The whole environment; `false`: none. Default: `process.env`. */
  env?: Record<string, string | number | bigint | undefined> | false;
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
  /** Stops it, as `timeout` does; in `spawnSync` nothing can abort meanwhile. One that is aborted already throws its reason. */
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
  /** What kind of terminal it is: the command's `TERM`, unless `env` has one. Default: "xterm-256color". */
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
  /** The other ends of what is "pipe" from descriptor 3 on: unix sockets, from the first look on yours, also to close. */
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
   * would end another one then ends it `killGrace` later, by SIGKILL.
   */
  kill(signal?: Signal | 0): boolean;
  /**
   * Kills everything in the container: in its cgroup, and in its pid namespace. Without either (`container.cgroup`, a limit,
   * `namespace.pid`) it kills the command alone, and what that has started goes on. With a signal each of them is sent that.
   */
  killTree(signal?: Signal): Promise<void>;
  /** What it uses now and has used so far; needs `container.cgroup` or a limit. */
  stats(): Promise<Stats>;
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
  readonly pid: number;
  /** If stdout was "pipe". */
  readonly stdout: Buffer | null;
  /** If stderr was "pipe". */
  readonly stderr: Buffer | null;
  readonly exitCode: number | null;
  readonly signalCode: string | null;
  /** Whether it exited with 0. */
  readonly success: boolean;
  /** Whether it has ended by `timeout` or `container.deadline`; `report.cause` is "deadline" for that one. */
  readonly exitedDueToTimeout: boolean;
  /** Whether it has by `maxBuffer`. */
  readonly exitedDueToMaxBuffer: boolean;
  /** Whether it has by `maxMemory`. */
  readonly exitedDueToMaxMemory: boolean;
  /** Whether SIGKILL was sent to it, `killGrace` after a signal that it took no notice of. */
  readonly killEscalated: boolean;
  readonly resourceUsage: ResourceUsage;
  readonly report: Report;
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
  /** What to do about it. */
  readonly hint?: string;
  /** The limit that it is about. */
  readonly limit?: string;
  /** What could not be undone; empty when the host is as it was. */
  readonly leftBehind: string[];
}

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
 * RangeError with the key's path; a set-up that fails rejects `spawned`, `exited` and `report` with a SecludeError.
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

type Spelled<Names extends string, T> = {
  [Name in Names]: { [Key in Name]: T } & { [Other in Exclude<Names, Name>]?: never };
}[Names];

/** What the process is born in: the sandbox, as changed by what is said here; `preset: "bare"` begins from nothing. An unknown key, a value of the wrong type or out of range, or one that cannot be meant beside another throws a TypeError or RangeError with the key's path; `false` means off. */
export interface Container {
  /** What the other keys change. `"sandbox"` (the default, also of `container: true`): all namespaces new but time; as root 65,536 ids that nobody on the host has, else yourself as root; the host's tree read-only with a fresh /proc, /dev and /tmp; a loopback interface and no other; a tiny init as PID 1; no capabilities, no user namespaces below it; a session and a session keyring of its own. `"bare"`: nothing but what the other keys ask for. */
  preset?: "sandbox" | "bare";
  /** As root: be root of the host inside as well, uid 0 to every unix socket and file of root's that is to be seen. No boundary for what nobody trusts. */
  hostRoot?: boolean;
  /** The same as `hostRoot`. */
  host_root?: boolean;
  /** Lets the command make user namespaces, as nested containers do; /proc then has no masks. In `bare` it may in any case. */
  nested?: boolean;
  /** The command itself is PID 1, without an init: it reaps what is orphaned, signals that it has no handler for do nothing to it, and it dies with this process only as long as it does not take that back. So is `namespace: { pid: true }`. */
  asPid1?: boolean;
  /** The same as `asPid1`. */
  as_pid1?: boolean;
  /** New, shared or existing namespaces. */
  namespace?: Namespaces | false;
  /** The same as `namespace`. */
  namespaces?: Namespaces | false;
  /** What the process sees as `/`: a directory of the host, or an overlay. A new mount namespace comes with it. `false`: the host's tree, writable, also in the sandbox. */
  root?: string | RootOptions | false;
  /** Mounts, files, directories, symlinks and masks, made in this order; a later one may lie in an earlier one. A new mount namespace comes with them. */
  fs?: FsEntry[] | false;
  /** The same as `fs`. */
  mounts?: FsEntry[] | false;
  /** What the container may use of the machine, in a cgroup of its own. A limit that cannot be set is an error, unless `prefer` names it. */
  limit?: Limit | false;
  /** The same as `limit`. */
  limits?: Limit | false;
  /** A cgroup of its own, also without limits: for `stats()`, `pause()`, `resume()`, the memory peak in the report, and `killTree()` without a pid namespace. */
  cgroup?: boolean | CgroupOptions;
  /** A cgroup that exists, to start in: absolute in the hierarchy, such as /ci/job, in each hierarchy that has it, or a descriptor of its directory, which stays yours. Nothing is set, counted, killed or removed there. Not together with `limit` and `cgroup`. */
  joinCgroup?: string | number | false;
  /** The same as `joinCgroup`. */
  join_cgroup?: string | number | false;
  /** What the start may go on without where the host does not have it; the report says whether it was achieved. */
  prefer?: Feature[] | false;
  /** What it is connected by. `true`, `"loopback"` or `"none"`: its own loopback interface, up, and nothing else; `false` or `"host"`: the host's network. The same as `namespace.network`. */
  network?: boolean | "loopback" | "none" | "host" | "veth" | "pasta" | NetworkOptions;
  /** The same as `network`. */
  net?: boolean | "loopback" | "none" | "host" | "veth" | "pasta" | NetworkOptions;
  /** Its name servers, in a /etc/resolv.conf of its own; `"host"`: the host's (the default with veth and pasta); `false`: the root's file is left as it is. */
  dns?: string[] | "host" | false;
  /** Lines of a /etc/hosts of its own: names and their addresses. */
  hosts?: Record<string, string> | false;
  /** The command's user id inside. With a new user namespace and no map of your own: as root the ids inside are those outside, as an ordinary user your own id is this one. */
  uid?: number | bigint | false;
  /** The command's group id inside. */
  gid?: number | bigint | false;
  /** The command's supplementary groups inside. */
  groups?: (number | bigint)[] | false;
  /** The capabilities that the command may have, by name, such as `NET_ADMIN` or `CAP_NET_ADMIN`; `false` or `[]`: none. */
  capabilities?: string[] | "all" | false;
  /** Capabilities that stay over exec for a command that is not uid 0. */
  ambientCapabilities?: string[] | "all" | false;
  /** The same as `ambientCapabilities`. */
  ambient_capabilities?: string[] | "all" | false;
  /** Whether an exec may not gain privileges (setuid bits, file capabilities). Default: true. */
  noNewPrivileges?: boolean;
  /** The same as `noNewPrivileges`. */
  noNewPrivs?: boolean;
  /** The same as `noNewPrivileges`. */
  no_new_privileges?: boolean;
  /** Resource limits by name, setrlimit(2), such as `{ NOFILE: 256 }`, in the resource's own unit. */
  rlimits?: Record<string, number | bigint | "unlimited" | Rlimit | false> | false;
  /** The same as `rlimits`. */
  rlimit?: Record<string, number | bigint | "unlimited" | Rlimit | false> | false;
  /** The host name inside, up to 64 bytes. A new UTS namespace comes with it. */
  hostname?: string | false;
  /** The NIS domain name inside, up to 64 bytes. A new UTS namespace comes with it. */
  domainname?: string | false;
  /** Runs the command below a tiny init as PID 1, which reaps orphans and forwards signals. A new pid namespace comes with it. In the sandbox there is one; `false`: as `asPid1`. */
  init?: boolean;
  /** Milliseconds from its start after which it is killed, as by `killTree()`; the report's cause is then "deadline", and `killed` and `exitedDueToTimeout` are true. Default: none. */
  deadline?: number | false;
  /** Whether it is killed when this process ends, however that ends. Default: true. `false` also leaves it running when its worker thread ends. */
  dieWithParent?: boolean;
  /** The same as `dieWithParent`. */
  die_with_parent?: boolean;
  /** A session of its own without a terminal: no keyboard signals. Default: in the sandbox alone. */
  newSession?: boolean;
  /** The same as `newSession`. */
  new_session?: boolean;
  /** The file mode creation mask, such as `0o022`. */
  umask?: number | bigint | false;
  /** How eager the kernel is to kill it when memory runs out, -1000 to 1000. */
  oomScoreAdj?: number | bigint | false;
  /** The same as `oomScoreAdj`. */
  oom_score_adj?: number | bigint | false;
  /** How the process is made: clone3(2) in the caller's memory (`vm`), with a copy of it (`copy`), or clone(2). Default: `auto`; the report says which way was taken and why. */
  clone?: "auto" | "vm" | "copy" | "legacy" | false;
  /** Measures the child's time in each step of its set-up for the report. */
  timed?: boolean;
}

/** For each kind: `true` a new namespace, `false` this process's own, `{ join }` an existing one. */
export interface Namespaces {
  /** Process ids: the command is PID 1 and sees its own /proc (a new mount namespace comes with it); all of it ends with the command. */
  pid?: boolean | NamespaceOptions;
  /** User and group ids. `true`: those of the preset (in `bare` as `"root"`); `"root"`: this process's uid and gid are 0 inside; `"identity"`: ids are the same inside; `"subids"`: those of /etc/subuid and /etc/subgid follow from 1. */
  user?: boolean | "root" | "identity" | "subids" | UserNamespaceOptions;
  /** Network devices, addresses and ports. `true`: loopback alone. */
  network?: boolean | "loopback" | "none" | "host" | "veth" | "pasta" | NetworkOptions;
  /** The same as `network`. */
  net?: boolean | "loopback" | "none" | "host" | "veth" | "pasta" | NetworkOptions;
  /** The mount table. It comes with `root`, `fs` and `pid`. */
  mount?: boolean | NamespaceOptions;
  /** The same as `mount`. */
  mnt?: boolean | NamespaceOptions;
  /** Host name and domain name. */
  uts?: boolean | NamespaceOptions;
  /** System V IPC and POSIX message queues. */
  ipc?: boolean | NamespaceOptions;
  /** The root of /proc/self/cgroup. */
  cgroup?: boolean | NamespaceOptions;
  /** Offsets of the monotonic and the boot-time clock. */
  time?: boolean | TimeNamespaceOptions;
}

/** An existing namespace. */
export interface NamespaceOptions {
  /** The existing namespace to enter, such as /proc/PID/ns/net. */
  join: string;
}

/** The ids of a new user namespace, user_namespaces(7), or an existing one. */
export interface UserNamespaceOptions {
  /** Extents of user ids. An ordinary user needs newuidmap(1) and ranges in /etc/subuid for more than its own id. Without it: your own uid is 0. */
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
  /** The existing namespace to enter, such as /proc/PID/ns/net. */
  join?: string | false;
}

/** A uid and a gid inside. */
export interface CallerAs {
  /** The uid inside. */
  uid: number | bigint;
  /** The gid inside. */
  gid: number | bigint;
}

interface IdExtentKeys {
  /** The first id inside. */
  insideId?: number | bigint;
  /** The same as `insideId`. */
  inside_id?: number | bigint;
  /** The first id outside. */
  outsideId?: number | bigint;
  /** The same as `outsideId`. */
  outside_id?: number | bigint;
  /** How many ids. Default: 1. */
  length?: number | bigint;
  /** The same as `length`. */
  count?: number | bigint;
}

/** Consecutive ids: one line of /proc/PID/uid_map. */
export type IdExtent = IdExtentKeys & Spelled<"insideId" | "inside_id", number | bigint> & Spelled<"outsideId" | "outside_id", number | bigint>;

/** What the clocks of a new time namespace are ahead of the host's (negative: behind), or an existing one. */
export interface TimeNamespaceOptions {
  /** CLOCK_MONOTONIC, milliseconds. */
  monotonic?: number | false;
  /** CLOCK_BOOTTIME, milliseconds. */
  boottime?: number | false;
  /** The existing namespace to enter, such as /proc/PID/ns/net. */
  join?: string | false;
}

/** What the container is connected by. */
export interface NetworkOptions {
  /** `loopback` or `none`: its own interface that is up, and no other; `host`: the host's network; `veth`: a link to a bridge of the host, as root; `pasta`: through the program pasta(1), as anybody. */
  mode?: "loopback" | "none" | "host" | "veth" | "pasta";
  /** The same as `mode`. */
  type?: "loopback" | "none" | "host" | "veth" | "pasta";
  /** The existing namespace to enter, such as /run/netns/NAME, instead of a mode. */
  join?: string | false;
  /** Attaches it to this bridge, which exists, instead of one that seclude makes (veth). */
  bridge?: string | false;
  /** A link between host and container alone, without a bridge (veth). */
  pointToPoint?: boolean;
  /** The same as `pointToPoint`. */
  point_to_point?: boolean;
  /** The subnet of its address, such as 10.20.0.0/24 (veth). Default: one that no route of the host leads to. */
  subnet?: string | false;
  /** Its IPv4 address (veth). Default: a free one. */
  ip?: string | false;
  /** The same as `ip`. */
  address?: string | false;
  /** An IPv6 address as well: of this subnet, or "auto" (veth). */
  ip6?: string | false;
  /** The same as `ip6`. */
  ipv6?: string | false;
  /** Its hardware address (veth). */
  mac?: string | false;
  /** The largest packet, bytes, 68 to 65535 (veth). Default: 1500. */
  mtu?: number | bigint | false;
  /** The name of its interface inside (veth). Default: eth0. */
  interface?: string | false;
  /** Whether it reaches what the host reaches; `false`: the host alone, by rule (veth). Default: true. */
  nat?: boolean;
  /** Whether the host's own services are open to it, and with NAT link-local addresses and those of a cloud's metadata; otherwise they refuse it (veth). Default: false, without NAT the host's own services are open. */
  hostAccess?: boolean;
  /** The same as `hostAccess`. */
  host_access?: boolean;
  /** Lets net.ipv4.ip_forward be switched on, if it is off, until the last container has ended (veth). Default: false; then it is an error where it is off and needed. */
  ipForward?: boolean;
  /** The same as `ipForward`. */
  ip_forward?: boolean;
  /** Whether it and the other containers of its bridge that have this reach one another, also by their host names (veth). Default: false. */
  peers?: boolean;
  /** Ports of the host that lead to the container: "8080:80", "127.0.0.1:5353:53/udp", a range "8000-8010:8000-8010", or a number for the same port on both sides (veth, pasta). */
  publish?: (string | number | bigint)[] | false;
  /** The same as `publish`. */
  ports?: (string | number | bigint)[] | false;
  /** At most so many bits a second in each direction, 8000 or more (veth). */
  rate?: number | bigint | false;
  /** Added to every packet to it, milliseconds, up to a minute (veth). */
  latency?: number | false;
}

/** What the process sees as `/`. */
export interface RootOptions {
  /** A directory of the host. Without it: the host's own tree. */
  path?: string | false;
  /** Writes fail with EROFS. Targets of mounts must exist in it then. */
  readonly?: boolean;
  /** The same as `readonly`. */
  readOnly?: boolean;
  /** `true`: writes go to memory and are gone at the end; an object: to its upper directory, or more directories below the path. */
  overlay?: boolean | OverlayOptions;
  /** The same as `overlay`. */
  overlayfs?: boolean | OverlayOptions;
}

/** Several directories as one. Without an upper directory, and not `ephemeral`, it is read-only, and needs two lower ones. */
export interface OverlayOptions {
  /** Directories of the host; the first wins over the next. */
  lowerDirs?: string[] | false;
  /** The same as `lowerDirs`. */
  lower_dirs?: string[] | false;
  /** Where writes go, to stay. */
  upperDir?: string | false;
  /** The same as `upperDir`. */
  upper_dir?: string | false;
  /** An empty directory of the same file system as the upper, for the kernel's use. */
  workDir?: string | false;
  /** The same as `workDir`. */
  work_dir?: string | false;
  /** Writes go to memory and are gone at the end. Before Linux 6.6, in a user namespace, a directory that was removed cannot be made again (EIO). */
  ephemeral?: boolean;
  /** Writes fail with EROFS. */
  readonly?: boolean;
  /** The same as `readonly`. */
  readOnly?: boolean;
}

interface FsEntryPlaceKeys {
  /** What it is. `dev`: a minimal /dev; `mask`: hides what is there; `readonly`: makes what is there read-only; `cgroup`: the container's own cgroup (v2). */
  type: unknown;
  /** Where it will be: an absolute path inside. Missing directories are created where the root can be written, and never outside of it. */
  to?: string;
  /** The same as `to`. */
  target?: string;
  /** bind: the file or directory of the host; symlink: where it leads to. */
  from?: string;
  /** The same as `from`. */
  source?: string;
  /** More, under the name of the type. */
  options?: unknown;
}

/** What every entry of `fs` has. */
export type FsEntryPlace = FsEntryPlaceKeys & Spelled<"to" | "target", string>;

/** One thing in the container's tree. */
export type FsEntry = FsEntryPlace & (
  | ({ type: "overlayfs" | "overlay"; options: Spelled<"overlayfs" | "overlay", OverlayEntryOptions>; from?: never; source?: never })
  | ({ type: "tmpfs"; options?: { tmpfs?: TmpfsOptions | false } | false; from?: never; source?: never })
  | ({ type: "bind"; options?: { bind?: BindOptions | false } | false } & Spelled<"from" | "source", string>)
  | ({ type: "proc"; options?: { proc?: ViewOptions | false } | false; from?: never; source?: never })
  | ({ type: "sysfs"; options?: { sysfs?: ViewOptions | false } | false; from?: never; source?: never })
  | ({ type: "cgroup"; options?: { cgroup?: ViewOptions | false } | false; from?: never; source?: never })
  | ({ type: "mqueue"; options?: Record<string, never> | false; from?: never; source?: never })
  | ({ type: "devpts"; options?: Record<string, never> | false; from?: never; source?: never })
  | ({ type: "dev"; options?: Record<string, never> | false; from?: never; source?: never })
  | ({ type: "file"; options: Spelled<"file", FileOptions>; from?: never; source?: never })
  | ({ type: "directory" | "dir"; options?: { directory?: DirectoryOptions | false; dir?: DirectoryOptions | false } | false; from?: never; source?: never })
  | ({ type: "symlink"; options?: Record<string, never> | false } & Spelled<"from" | "source", string>)
  | ({ type: "mask"; options?: { mask?: IfPresentOptions | false } | false; from?: never; source?: never })
  | ({ type: "readonly" | "readOnly"; options?: { readonly?: IfPresentOptions | false; readOnly?: IfPresentOptions | false } | false; from?: never; source?: never })
);

interface OverlayEntryOptionsKeys {
  /** Directories of the host; the first wins over the next. */
  lowerDirs?: string[];
  /** The same as `lowerDirs`. */
  lower_dirs?: string[];
  /** Where writes go, to stay. */
  upperDir?: string | false;
  /** The same as `upperDir`. */
  upper_dir?: string | false;
  /** An empty directory of the same file system as the upper, for the kernel's use. */
  workDir?: string | false;
  /** The same as `workDir`. */
  work_dir?: string | false;
  /** Writes go to memory and are gone at the end. Before Linux 6.6, in a user namespace, a directory that was removed cannot be made again (EIO). */
  ephemeral?: boolean;
  /** Writes fail with EROFS. */
  readonly?: boolean;
  /** The same as `readonly`. */
  readOnly?: boolean;
}

/** Several directories as one. Without an upper directory, and not `ephemeral`, it is read-only, and needs two lower ones. */
export type OverlayEntryOptions = OverlayEntryOptionsKeys & Spelled<"lowerDirs" | "lower_dirs", string[]>;

/** An empty file system in memory; nosuid and nodev. */
export interface TmpfsOptions {
  /** Bytes, 1 or more; writing more fails with ENOSPC. Default: half of the machine's memory. */
  size?: number | bigint | false;
  /** Permissions, such as `0o755`. */
  mode?: number | bigint | false;
  /** Writes fail with EROFS. */
  readonly?: boolean;
  /** The same as `readonly`. */
  readOnly?: boolean;
  /** Setuid bits and file capabilities do nothing. */
  nosuid?: boolean;
  /** Device nodes do nothing. */
  nodev?: boolean;
  /** Nothing can be executed. */
  noexec?: boolean;
}

/** A file or directory of the host. Flags that the host has locked stay. */
export interface BindOptions {
  /** Writes fail with EROFS. */
  readonly?: boolean;
  /** The same as `readonly`. */
  readOnly?: boolean;
  /** With what is mounted below it. Default: true. */
  recursive?: boolean;
  /** Setuid bits and file capabilities do nothing. */
  nosuid?: boolean;
  /** Device nodes do nothing. */
  nodev?: boolean;
  /** Nothing can be executed. */
  noexec?: boolean;
}

/** A file that is kept in memory. */
export interface FileOptions {
  /** What is in it. */
  content: string | Bytes;
  /** Permissions, such as `0o755`. */
  mode?: number | bigint | false;
  /** Writes fail with EROFS. */
  readonly?: boolean;
  /** The same as `readonly`. */
  readOnly?: boolean;
}

/** A directory; one that exists stays as it is. */
export interface DirectoryOptions {
  /** Permissions, such as `0o755`. */
  mode?: number | bigint | false;
}

/** A view of the kernel's. */
export interface ViewOptions {
  /** Writes fail with EROFS. */
  readonly?: boolean;
  /** The same as `readonly`. */
  readOnly?: boolean;
}

/** What happens if nothing is there. */
export interface IfPresentOptions {
  /** Nothing happens if the path is missing. Default: it is an error. */
  ifPresent?: boolean;
  /** The same as `ifPresent`. */
  if_present?: boolean;
}

/** What `prefer` can name; `rlimit` is all of them. */
export type Feature = "memory" | "memory-high" | "memory-low" | "memory-swap" | "memory-oom-group" | "cpus" | "cpu-weight" | "cpuset-cpus" | "cpuset-mems" | "pids" | "io-max" | "io-weight" | "hugetlb" | "device-allow" | "net" | "oom-score-adj" | "rlimit" | "map-subids" | "time";

/** What the container may use of the machine, all its processes together, cgroups(7). */
export interface Limit {
  /** CPU time in percent of one CPU: 50 is half a CPU, 150 one and a half. From 1 to 100 for each CPU. */
  cpu?: number | false;
  /** The same as a number of CPUs: 0.5 is half a CPU. */
  cpus?: number | false;
  /** Memory, bytes, 4096 or more. Above it processes inside are killed, and the report's cause is "out-of-memory". */
  ram?: number | bigint | false;
  /** The same as `ram`. */
  memory?: number | bigint | false;
  /** Memory, bytes, above which processes inside are slowed down and made to give memory back (cgroup v2). */
  memoryHigh?: number | bigint | false;
  /** The same as `memoryHigh`. */
  memory_high?: number | bigint | false;
  /** Memory, bytes, that is taken from others first (cgroup v2). */
  memoryLow?: number | bigint | false;
  /** The same as `memoryLow`. */
  memory_low?: number | bigint | false;
  /** Swap, bytes, 0 for none; swap alone, not the sum with `ram`. */
  memorySwap?: number | bigint | false;
  /** The same as `memorySwap`. */
  swap?: number | bigint | false;
  /** The same as `memorySwap`. */
  memory_swap?: number | bigint | false;
  /** Running out of memory kills everything inside, not one process (cgroup v2). */
  memoryOomGroup?: boolean;
  /** The same as `memoryOomGroup`. */
  memory_oom_group?: boolean;
  /** The share of CPU time when there is not enough: 1 to 10000, 100 is everybody's. */
  cpuWeight?: number | bigint | false;
  /** The same as `cpuWeight`. */
  cpu_weight?: number | bigint | false;
  /** The CPUs to run on, such as "0-2,4". */
  cpusetCpus?: string | false;
  /** The same as `cpusetCpus`. */
  cpuset_cpus?: string | false;
  /** The memory nodes to allocate from. */
  cpusetMems?: string | false;
  /** The same as `cpusetMems`. */
  cpuset_mems?: string | false;
  /** Processes and threads, 1 to 4194304; one more fails with EAGAIN. */
  pids?: number | bigint | false;
  /** Bandwidth of block devices. */
  ioMax?: IoLimit[] | false;
  /** The same as `ioMax`. */
  io_max?: IoLimit[] | false;
  /** The share of block I/O: 1 to 10000, 100 is everybody's. */
  ioWeight?: number | bigint | false;
  /** The same as `ioWeight`. */
  io_weight?: number | bigint | false;
  /** Huge pages. */
  hugetlb?: HugetlbLimit[] | false;
  /** The devices that may be used, all others being refused: paths such as "/dev/null:rw", or numbers such as "c 136:*:rw" (`*` is any); r read, w write, m mknod, without them all three. */
  devices?: string[] | false;
}

/** The bandwidth of one block device. */
export interface IoLimit {
  /** A path such as "/dev/vda", or a number such as "8:0". */
  device: string;
  /** Bytes read a second. */
  rbps?: number | bigint | false;
  /** Bytes written a second. */
  wbps?: number | bigint | false;
  /** Reads a second. */
  riops?: number | bigint | false;
  /** Writes a second. */
  wiops?: number | bigint | false;
}

interface HugetlbLimitKeys {
  /** The size of a page, bytes. */
  pageSize?: number | bigint;
  /** The same as `pageSize`. */
  page_size?: number | bigint;
  /** The limit, bytes; 0 for none. */
  max: number | bigint;
}

/** Huge pages of one size. */
export type HugetlbLimit = HugetlbLimitKeys & Spelled<"pageSize" | "page_size", number | bigint>;

/** The container's cgroup: one of its own, gone at its end with all that is in it. */
export interface CgroupOptions {
  /** The cgroup to make it in, absolute in the hierarchy, such as /ci/builds. Default: /seclude as root, the delegated cgroup that you are in as an ordinary user. */
  parent?: string | false;
  /** Counts memory, CPU time, processes and block I/O also where they are not limited. */
  countAll?: boolean;
  /** The same as `countAll`. */
  count_all?: boolean;
  /** Delegates a cgroup of its own to the container's root (cgroup v2); with an fs entry `cgroup` it can make cgroups there. */
  delegate?: boolean;
  /** Lets *this process* be moved to a cgroup below its own, where the kernel's rule against processes in inner cgroups stands in the way (cgroup v2). It stays there. Default: false. */
  moveCaller?: boolean;
  /** The same as `moveCaller`. */
  move_caller?: boolean;
}

/** A resource limit, setrlimit(2). */
export interface Rlimit {
  /** What holds. */
  soft: number | bigint | "unlimited";
  /** Up to what the command may raise it. */
  hard: number | bigint | "unlimited";
}

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
    /** What is shown of the host under the host's ids, because its file system or the kernel cannot map them: whoever owns it is nobody inside. Empty where the container's ids are the caller's. */
    plain: Array<string>;
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
      by: "veth" | "pasta";
      /** Its IPv4 address; null with pasta, which takes the host's. */
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
    preferred: Array<{
      feature: string;
      achieved: boolean;
      reason?: string;
    }>;
    /** Parent, until the clone. */
    prepare_us: number;
    /** The clone call itself. */
    clone_us: number;
    /** Parent, while the child waited at its barrier. */
    attend_us: number;
    /** Child, from its barrier to its exec. */
    set_up_us: number;
    /** The parent's time in each step before the clone. */
    prepare: Array<{
      step: string;
      us: number;
    }>;
    /** The parent's time in each step at the barrier. */
    attend: Array<{
      step: string;
      us: number;
    }>;
    /** The child's time in each step. */
    child: Array<{
      step: string;
      us: number;
    }>;
  };
}
