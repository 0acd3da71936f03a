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

