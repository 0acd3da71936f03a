"""The nouns of a container, as dataclasses and as the types of dicts.

Made by generate_types.py from docs/request.schema.json: change that, not this.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Dict, List, Literal, Optional, TypedDict, Union

#: What a request begins from.
Preset = Literal["sandbox", "host", "bare"]
#: A path, a name or an argument: any bytes but NUL; those that are no UTF-8 as hexadecimal digits.
Text = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
#: Permissions: octal digits in a string, such as "755", or a number.
Mode = Union[str, int]
#: A number of seconds, or a string with us, ms, s, m, h or d, such as "500ms".
Duration = Union[float, str]
#: How the process is made.
Clone = Literal["auto", "vm", "copy", "legacy"]
#: "host", those of the host; "unchanged", the root's file is left as it is; or a list of addresses.
Dns = Union[Literal["host", "unchanged"], List[Union[str, IPv4Address, IPv6Address]]]
#: "new"; "inherit", the caller's; or the absolute path of one to enter.
Namespace = str
#: The ids of a new user namespace, user_namespaces(7).
Map = Literal["sandbox", "caller-as-root", "caller-as", "identity", "extents", "sub-ids", "host-root"]
#: A number of bytes, or a string with K, M, G or T (powers of 1024), such as "256M".
Size = Union[int, str]
#: "default", the sandbox's own; "none"; or an object as OCI's linux.seccomp and Docker's profiles are.
Profile = Union[Literal["default", "none"], Dict[str, Any]]
#: The bytes of a file; those that are no UTF-8 as hexadecimal digits.
Content = Union[str, bytes]
#: What a ruleset of landlock keeps among the processes that it holds for.
LandlockScope = Literal["abstract-unix-socket", "signal"]
#: A resource limit in the resource's own unit: one for both, or soft and hard.
Rlimit = Union[int, Literal["unlimited"], Dict[str, Any]]
#: What kind of device.
DeviceKind = Literal["char", "block"]
#: What connects a container.
NetworkKind = Literal["veth", "pasta", "names"]
#: Whether a connection to a name has to begin with TLS that asks for that name.
Sni = Literal["off", "require"]
#: The kinds of mounts.
MountKind = Literal["bind", "tmpfs", "overlay", "proc", "sysfs", "cgroup", "mqueue", "devpts", "dev", "file", "directory", "symlink", "mask", "read-only-path"]


@dataclass
class Cgroup:
    """The control group that the container gets: one of its own, gone at its end with all that is in it; or one that
    exists.
    """

    #: The cgroup to make it in, absolute in the hierarchy, such as `"/ci/builds"`. Default: `/seclude` for root, the
    #: delegated cgroup that the caller is in for an ordinary user.
    parent: Optional[Text] = None
    #: Start in this one, which exists, absolute in the hierarchy; nothing is set, counted, killed or removed there.
    #: Contradicts everything else of a cgroup, and limits.
    join: Optional[Text] = None
    #: The calling process may be moved to a cgroup of its own below the parent where that must have no processes (v2).
    #: Default: false.
    move_caller: Optional[bool] = None
    #: Count memory, CPU time, processes and block I/O also where they are not limited. Default: false.
    count_all: Optional[bool] = None
    #: Delegate a cgroup below the limited one to the container's root (v2), who can make 1,000 in it, 32 deep. Default:
    #: false.
    delegate: Optional[bool] = None
    #: Ask systemd over D-Bus for a delegated scope to make it in (v2). Default: false.
    scope: Optional[bool] = None
    #: In every hierarchy of the host, also where nothing is limited. Default: false.
    everywhere: Optional[bool] = None


class CgroupDict(TypedDict, total=False):
    """The same as a dict. The control group that the container gets: one of its own, gone at its end with all that is
    in it; or one that exists.
    """

    parent: Optional[Text]
    join: Optional[Text]
    move_caller: Optional[bool]
    count_all: Optional[bool]
    delegate: Optional[bool]
    scope: Optional[bool]
    everywhere: Optional[bool]


@dataclass
class Device:
    """A device, or several, that may be used."""

    #: Character or block device.
    type: DeviceKind
    #: The major number. Default: any.
    major: Optional[int] = None
    #: The minor number. Default: any.
    minor: Optional[int] = None
    #: What may be done: some of `r` (read), `w` (write), `m` (make a node). Default: all three.
    access: Optional[str] = None


class DeviceDict(TypedDict, total=False):
    """The same as a dict. A device, or several, that may be used."""

    type: DeviceKind
    major: Optional[int]
    minor: Optional[int]
    access: Optional[str]


@dataclass
class Extent:
    """Ids in a row."""

    #: The first inside.
    inside: int
    #: The first outside.
    outside: int
    #: How many.
    count: int


class ExtentDict(TypedDict, total=False):
    """The same as a dict. Ids in a row."""

    inside: int
    outside: int
    count: int


@dataclass
class HostEntry:
    """A line of its /etc/hosts, hosts(5)."""

    #: The name.
    name: str
    #: Its address, IPv4 or IPv6.
    address: Union[str, IPv4Address, IPv6Address]


class HostEntryDict(TypedDict, total=False):
    """The same as a dict. A line of its /etc/hosts, hosts(5)."""

    name: str
    address: Union[str, IPv4Address, IPv6Address]


@dataclass
class Hugetlb:
    """Huge pages of one size."""

    #: The size of a page in bytes, such as `"2M"`.
    page_size: Size
    #: The limit in bytes, 0 for none; the kernel rounds down to a page.
    max: Size


class HugetlbDict(TypedDict, total=False):
    """The same as a dict. Huge pages of one size."""

    page_size: Size
    max: Size


@dataclass
class IoMax:
    """The bandwidth of one whole block device (not a partition)."""

    #: The device's major number.
    major: int
    #: The device's minor number.
    minor: int
    #: Bytes read a second, 1 to 2^62.
    rbps: Optional[Size] = None
    #: Bytes written a second, 1 to 2^62.
    wbps: Optional[Size] = None
    #: Reads a second, 1 to 4294967294.
    riops: Optional[int] = None
    #: Writes a second, 1 to 4294967294.
    wiops: Optional[int] = None


class IoMaxDict(TypedDict, total=False):
    """The same as a dict. The bandwidth of one whole block device (not a partition)."""

    major: int
    minor: int
    rbps: Optional[Size]
    wbps: Optional[Size]
    riops: Optional[int]
    wiops: Optional[int]


@dataclass
class Landlock:
    """A ruleset of landlock(7), besides whatever else confines the command: what no rule allows is refused to it and
    to all that it starts. Linux 5.13; each part says what it needs. A rule is of the file or directory that is
    there at the start, not of its name.
    """

    #: Files, and directories with all that is below, that it may read: absolute paths inside the container. If there is
    #: one of `ro`, `rw` or `exec`, everything else is closed. Linux 6.10.
    ro: Optional[List[Text]] = None
    #: The same to read and to write: files and directories can be made, cut, moved and removed there, but no device
    #: nodes. A device that is named itself also has its ioctls; a unix socket below can be connected to, where that is
    #: held back elsewhere (Linux 7.1).
    rw: Optional[List[Text]] = None
    #: The same to read and to execute. With any of these rules the command itself, its interpreter and its ELF loader
    #: have to be below one of `exec`.
    exec: Optional[List[Text]] = None
    #: The ports that it may connect to by TCP, 0 to 65535; `[]` is none. Default: all. Linux 6.7; from 7.2 on it holds
    #: for UDP as well.
    connect: Optional[List[int]] = None
    #: The ports that it may bind to by TCP; 0 is one that the kernel chooses, `[]` is none. Default: all. Linux 6.7;
    #: from 7.2 on it holds for UDP as well.
    bind: Optional[List[int]] = None
    #: What it can reach of its own processes alone. Linux 6.12.
    scopes: Optional[List[LandlockScope]] = None


class LandlockDict(TypedDict, total=False):
    """The same as a dict. A ruleset of landlock(7), besides whatever else confines the command: what no rule allows is
    refused to it and to all that it starts. Linux 5.13; each part says what it needs. A rule is of the file or
    directory that is there at the start, not of its name.
    """

    ro: Optional[List[Text]]
    rw: Optional[List[Text]]
    exec: Optional[List[Text]]
    connect: Optional[List[int]]
    bind: Optional[List[int]]
    scopes: Optional[List[LandlockScope]]


@dataclass
class Limits:
    """The limits of the container's cgroup, cgroups(7). What is not said is not limited; one that cannot be set is an
    error, unless `prefer` names it.
    """

    #: Memory in bytes; above it, processes inside are killed (out of memory). From one page to 2^62.
    memory_max: Optional[Size] = None
    #: Memory in bytes above which processes inside are slowed and made to give memory back. Needs cgroup v2.
    memory_high: Optional[Size] = None
    #: Memory in bytes that is taken from others first. Needs cgroup v2.
    memory_low: Optional[Size] = None
    #: Swap in bytes, 0 for none. On cgroup v1 it needs `memory_max`.
    memory_swap_max: Optional[Size] = None
    #: Running out of memory kills everything inside, not one process. Needs cgroup v2, Linux 4.19. Default: false.
    memory_oom_group: Optional[bool] = None
    #: CPU time as a number of CPUs: 0.5 is 50 ms in each period of 100 ms. From 0.01 to the number of CPUs online.
    cpu_max: Optional[float] = None
    #: The share of CPU time when there is not enough: 1 to 10000. Default: 100, as everybody's.
    cpu_weight: Optional[int] = None
    #: The CPUs to run on, such as `"0-3,8"`.
    cpuset_cpus: Optional[str] = None
    #: The memory nodes to allocate from, such as `"0"`.
    cpuset_mems: Optional[str] = None
    #: Processes and threads, 1 to 4194304; one more fails with EAGAIN.
    pids_max: Optional[int] = None
    #: Bandwidth of block devices.
    io_max: Optional[List[Union[IoMax, IoMaxDict]]] = None
    #: The share of block I/O: 1 to 10000. Default: 100.
    io_weight: Optional[int] = None
    #: Huge pages.
    hugetlb: Optional[List[Union[Hugetlb, HugetlbDict]]] = None
    #: The devices that may be used, all others being refused; an empty list refuses all. Needs CAP_BPF on cgroup v2.
    devices: Optional[List[Union[Device, DeviceDict]]] = None


class LimitsDict(TypedDict, total=False):
    """The same as a dict. The limits of the container's cgroup, cgroups(7). What is not said is not limited; one that
    cannot be set is an error, unless `prefer` names it.
    """

    memory_max: Optional[Size]
    memory_high: Optional[Size]
    memory_low: Optional[Size]
    memory_swap_max: Optional[Size]
    memory_oom_group: Optional[bool]
    cpu_max: Optional[float]
    cpu_weight: Optional[int]
    cpuset_cpus: Optional[str]
    cpuset_mems: Optional[str]
    pids_max: Optional[int]
    io_max: Optional[List[Union[IoMax, IoMaxDict]]]
    io_weight: Optional[int]
    hugetlb: Optional[List[Union[Hugetlb, HugetlbDict]]]
    devices: Optional[List[Union[Device, DeviceDict]]]


@dataclass
class Mount:
    """One thing in the container's tree; it needs a new mount namespace."""

    #: What it is.
    type: MountKind
    #: Where: an absolute path inside the root, without `..`. What is missing of it is made where the root can be
    #: written.
    target: Text
    #: Of a bind: the file or directory of the host.
    source: Optional[Text] = None
    #: Of a symlink: where it leads to.
    to: Optional[Text] = None
    #: Of a bind: also what is mounted below the source. Default: true.
    recursive: Optional[bool] = None
    #: Of a bind, tmpfs, overlay, proc, sysfs, cgroup or file: writes fail with EROFS. Default: false, of a sysfs true.
    read_only: Optional[bool] = None
    #: Of a bind or tmpfs: set-id bits and file capabilities do nothing. Default: of a tmpfs true.
    nosuid: Optional[bool] = None
    #: Of a bind or tmpfs: device nodes do nothing. Default: of a tmpfs true.
    nodev: Optional[bool] = None
    #: Of a bind or tmpfs: nothing can be executed. Default: false.
    noexec: Optional[bool] = None
    #: Of a tmpfs: its size in bytes. Default: half of the machine's memory.
    size: Optional[Size] = None
    #: Of a tmpfs, file or directory: permissions, such as `"755"` (octal) or the number 493. Default: 1777, 644 and
    #: 755.
    mode: Optional[Mode] = None
    #: Of an overlay: the directories that lie over one another, the first wins over the next.
    lowers: Optional[List[Text]] = None
    #: Of an overlay: where writes go, and stay.
    upper: Optional[Text] = None
    #: Of an overlay: an empty directory of the same file system as `upper`, for the kernel's use.
    work: Optional[Text] = None
    #: Of an overlay: writes go to memory and are gone at the end. Default: false.
    ephemeral: Optional[bool] = None
    #: Of a file: its bytes.
    content: Optional[Content] = None
    #: Of a mask or read-only-path: nothing happens if nothing is there. Default: false.
    if_present: Optional[bool] = None


class MountDict(TypedDict, total=False):
    """The same as a dict. One thing in the container's tree; it needs a new mount namespace."""

    type: MountKind
    target: Text
    source: Optional[Text]
    to: Optional[Text]
    recursive: Optional[bool]
    read_only: Optional[bool]
    nosuid: Optional[bool]
    nodev: Optional[bool]
    noexec: Optional[bool]
    size: Optional[Size]
    mode: Optional[Mode]
    lowers: Optional[List[Text]]
    upper: Optional[Text]
    work: Optional[Text]
    ephemeral: Optional[bool]
    content: Optional[Content]
    if_present: Optional[bool]


@dataclass
class Namespaces:
    """Where the process's namespace of each kind comes from, namespaces(7); what is not said is as the preset has it.
    """

    #: User and group ids, capabilities; user_namespaces(7). Linux 3.8.
    user: Optional[Namespace] = None
    #: Process ids, and the end of all with the first; pid_namespaces(7).
    pid: Optional[Namespace] = None
    #: The mount table; mount_namespaces(7).
    mount: Optional[Namespace] = None
    #: Network devices, addresses, ports, routes; network_namespaces(7).
    net: Optional[Namespace] = None
    #: Host name and domain name; uts_namespaces(7).
    uts: Optional[Namespace] = None
    #: System V IPC and POSIX message queues; ipc_namespaces(7).
    ipc: Optional[Namespace] = None
    #: The root of /proc/self/cgroup; cgroup_namespaces(7). Linux 4.6.
    cgroup: Optional[Namespace] = None
    #: Offsets of the monotonic and boot-time clocks; time_namespaces(7). Linux 5.6.
    time: Optional[Namespace] = None


class NamespacesDict(TypedDict, total=False):
    """The same as a dict. Where the process's namespace of each kind comes from, namespaces(7); what is not said is as
    the preset has it.
    """

    user: Optional[Namespace]
    pid: Optional[Namespace]
    mount: Optional[Namespace]
    net: Optional[Namespace]
    uts: Optional[Namespace]
    ipc: Optional[Namespace]
    cgroup: Optional[Namespace]
    time: Optional[Namespace]


@dataclass
class Network:
    """How a container is connected; a new net namespace comes with it. Without one it has a loopback alone, or what
    `namespaces.net` says.
    """

    #: What connects it.
    type: NetworkKind
    #: Of a veth: a bridge that somebody else made. Default: one of ours, `seclude0`.
    bridge: Optional[str] = None
    #: Of a veth: no bridge, a link between host and container alone. Default: false.
    point_to_point: Optional[bool] = None
    #: Of a veth: the subnet of its address, such as `"10.20.0.0/24"`. Default: one that no route of the host leads to.
    subnet: Optional[str] = None
    #: Of a veth: its address. Default: a free one.
    address: Optional[Union[str, IPv4Address, IPv6Address]] = None
    #: Of a veth: an IPv6 address as well, of this subnet, or `"auto"`. Default: none.
    ipv6: Optional[str] = None
    #: Of a veth: the hardware address of its end. Default: one that goes with its address.
    mac: Optional[str] = None
    #: Of a veth: the MTU in bytes, 68 to 65535, with IPv6 at least 1280. Default: 1500.
    mtu: Optional[int] = None
    #: Of a veth: the name of its end inside. Default: `eth0`.
    interface: Optional[str] = None
    #: Of a veth: it reaches what the host reaches. Default: true.
    nat: Optional[bool] = None
    #: Of a veth or pasta: it reaches the host's own services, link-local addresses and those of a cloud's metadata.
    #: Default: false, for which pasta needs the kernel's nf_tables.
    host_access: Optional[bool] = None
    #: Of a veth: net.ipv4.ip_forward may be switched on until the last container has ended. Default: false.
    ip_forward: Optional[bool] = None
    #: Of a veth: it and the other containers of its bridge that have this reach one another. Default: false.
    peers: Optional[bool] = None
    #: Ports of the host that lead to the container, such as `"8080:80"`, `"127.0.0.1:53:53/udp"` or a range
    #: `"8000-8010:8000-8010"`. With names TCP alone, to the container's 127.0.0.1, 128 connections at once: others wait
    #: until one ends.
    publish: Optional[List[str]] = None
    #: Of names: what is reached, each a name and its TCP ports, such as `"github.com"` (port 443),
    #: `"github.com:22,443"`, `"example.org:8000-8010"` or `"*.example.org"`, the names below it; `udp/` before a port
    #: is UDP, `"ntp.example.org:udp/123"`. Everything else is refused at once. Default: nothing.
    allow: Optional[List[str]] = None
    #: Of names: the same, where the name may lead to private addresses (RFC 1918, 100.64.0.0/10, fc00::/7), but not to
    #: the host's own. Default: nothing.
    allow_private: Optional[List[str]] = None
    #: Of names: TCP ports of the host's own 127.0.0.1, reached as `host.internal` with the same port. Default: none.
    allow_loopback: Optional[List[int]] = None
    #: Of names: whether each connection has to begin with TLS that asks for its name (SNI). Default: `"off"`.
    sni: Optional[Sni] = None
    #: Of names: what is said besides of all that is refused, such as whom to ask; one line of at most 200 characters.
    #: Default: nothing.
    refusal: Optional[str] = None
    #: Of a veth: at most so many bits a second in each direction, 8000 or more. Default: no limit.
    rate: Optional[int] = None
    #: Of a veth: added to every packet to the container, up to a minute. Needs the kernel's sch_netem. Default: none.
    latency: Optional[Duration] = None


class NetworkDict(TypedDict, total=False):
    """The same as a dict. How a container is connected; a new net namespace comes with it. Without one it has a
    loopback alone, or what `namespaces.net` says.
    """

    type: NetworkKind
    bridge: Optional[str]
    point_to_point: Optional[bool]
    subnet: Optional[str]
    address: Optional[Union[str, IPv4Address, IPv6Address]]
    ipv6: Optional[str]
    mac: Optional[str]
    mtu: Optional[int]
    interface: Optional[str]
    nat: Optional[bool]
    host_access: Optional[bool]
    ip_forward: Optional[bool]
    peers: Optional[bool]
    publish: Optional[List[str]]
    allow: Optional[List[str]]
    allow_private: Optional[List[str]]
    allow_loopback: Optional[List[int]]
    sni: Optional[Sni]
    refusal: Optional[str]
    rate: Optional[int]
    latency: Optional[Duration]


@dataclass
class Rights:
    """What the command may do."""

    #: The capabilities that the command may have, capabilities(7), such as `["NET_ADMIN"]`; `"ALL"` is all. Default: in
    #: the sandbox none, else the caller's.
    capabilities: Optional[List[str]] = None
    #: Those of them that stay over exec for a command that is not uid 0.
    ambient: Optional[List[str]] = None
    #: An exec may not gain privileges (set-id bits, file capabilities). Default: true.
    no_new_privileges: Optional[bool] = None


class RightsDict(TypedDict, total=False):
    """The same as a dict. What the command may do."""

    capabilities: Optional[List[str]]
    ambient: Optional[List[str]]
    no_new_privileges: Optional[bool]


@dataclass
class Root:
    """The root of the container; it needs a new mount namespace. Without `path` and `lowers` it is what the preset
    shows of the host: in the sandbox its programs and their configuration, else all of its tree.
    """

    #: The directory of the host that becomes `/`, with what is mounted below it.
    path: Optional[Text] = None
    #: Several directories as one, overlayfs: the first wins over the next. Users may mount overlays from Linux 5.11 on.
    lowers: Optional[List[Text]] = None
    #: Where writes go, and stay; it belongs to `lowers` or `path`.
    upper: Optional[Text] = None
    #: An empty directory of the same file system as `upper`, for the kernel's use.
    work: Optional[Text] = None
    #: Writes go to memory and are gone at the end. Of the host's own tree these are read-only: single files next to
    #: mount points, views of the kernel, and what it takes for no layer, which the report names. Default: false.
    ephemeral: Optional[bool] = None
    #: Nothing can be written to it (EROFS). Default: in the sandbox true, unless writes go to an upper or to memory.
    read_only: Optional[bool] = None


class RootDict(TypedDict, total=False):
    """The same as a dict. The root of the container; it needs a new mount namespace. Without `path` and `lowers` it is
    what the preset shows of the host: in the sandbox its programs and their configuration, else all of its tree.
    """

    path: Optional[Text]
    lowers: Optional[List[Text]]
    upper: Optional[Text]
    work: Optional[Text]
    ephemeral: Optional[bool]
    read_only: Optional[bool]


@dataclass
class Seccomp:
    """The filter of system calls, seccomp(2): a profile, and what is changed of it."""

    #: `"default"`: what ordinary programs need, and nothing that containers have been left by; `"none"`: no filter but
    #: for what no mount can hold back; or an object, the `linux.seccomp` of an OCI configuration or a profile of
    #: Docker's or Podman's. Default: in the sandbox `"default"`, else `"none"`.
    profile: Optional[Profile] = None
    #: A file of the host with such an object, or with a finished program, instead of `profile`.
    file: Optional[Text] = None
    #: A finished program of classic BPF, `struct sock_filter[]` as the kernel reads it, at most 4096 instructions,
    #: instead of `profile`.
    bpf: Optional[Content] = None
    #: Flags of seccomp(2) for a finished program, in `bpf` or `file`: `"SECCOMP_FILTER_FLAG_LOG"` (what it refuses is
    #: written to the kernel's log), `"SECCOMP_FILTER_FLAG_SPEC_ALLOW"`; a profile has its own.
    flags: Optional[List[str]] = None
    #: Calls that are allowed whatever the profile says, such as `"ptrace"`, or a group such as `"@mount"`.
    allow: Optional[List[str]] = None
    #: Calls that are refused whatever the profile says: `"NAME"` with EPERM, or `"NAME=ERRNO"`.
    deny: Optional[List[str]] = None
    #: List what is refused with an error number (not with ENOSYS, an older kernel's answer): the report has it. Takes
    #: the one listener that a process can have, seccomp_unotify(2). Default: true; Linux 5.0.
    denials: Optional[bool] = None


class SeccompDict(TypedDict, total=False):
    """The same as a dict. The filter of system calls, seccomp(2): a profile, and what is changed of it."""

    profile: Optional[Profile]
    file: Optional[Text]
    bpf: Optional[Content]
    flags: Optional[List[str]]
    allow: Optional[List[str]]
    deny: Optional[List[str]]
    denials: Optional[bool]


@dataclass
class Terminal:
    """A pseudoterminal as stdin, stdout and stderr, and a session that it controls."""

    #: Its height in characters. Default: 24.
    rows: Optional[int] = None
    #: Its width in characters. Default: 80.
    columns: Optional[int] = None


class TerminalDict(TypedDict, total=False):
    """The same as a dict. A pseudoterminal as stdin, stdout and stderr, and a session that it controls."""

    rows: Optional[int]
    columns: Optional[int]


@dataclass
class TimeOffsets:
    """What CLOCK_MONOTONIC and CLOCK_BOOTTIME are ahead of the host's (negative: behind); needs a new time namespace.
    Linux 5.6.
    """

    #: Of CLOCK_MONOTONIC. Default: 0.
    monotonic: Optional[Duration] = None
    #: Of CLOCK_BOOTTIME. Default: 0.
    boottime: Optional[Duration] = None


class TimeOffsetsDict(TypedDict, total=False):
    """The same as a dict. What CLOCK_MONOTONIC and CLOCK_BOOTTIME are ahead of the host's (negative: behind); needs a
    new time namespace. Linux 5.6.
    """

    monotonic: Optional[Duration]
    boottime: Optional[Duration]


@dataclass
class User:
    """The ids of the process, and the map of its user namespace."""

    #: Which ids the new user namespace has. Default: in the sandbox `"sandbox"`, else `"caller-as-root"`.
    map: Optional[Map] = None
    #: With the map `"caller-as"`: what the caller's uid is inside.
    caller_uid: Optional[int] = None
    #: With the map `"caller-as"`: what the caller's gid is inside.
    caller_gid: Optional[int] = None
    #: With the map `"extents"`: user ids, at most 340 extents. An unprivileged caller needs newuidmap(1) and ranges of
    #: /etc/subuid for anything but its own id.
    uid_map: Optional[List[Union[Extent, ExtentDict]]] = None
    #: With the map `"extents"`: group ids.
    gid_map: Optional[List[Union[Extent, ExtentDict]]] = None
    #: The command's user id inside, real, effective and saved. Default: in a new user namespace 0, else the caller's.
    uid: Optional[int] = None
    #: The command's group id inside. Default: in a new user namespace 0, else the caller's.
    gid: Optional[int] = None
    #: The command's supplementary groups inside. Without it a change of uid or gid empties them where the kernel lets
    #: it.
    groups: Optional[List[int]] = None


class UserDict(TypedDict, total=False):
    """The same as a dict. The ids of the process, and the map of its user namespace."""

    map: Optional[Map]
    caller_uid: Optional[int]
    caller_gid: Optional[int]
    uid_map: Optional[List[Union[Extent, ExtentDict]]]
    gid_map: Optional[List[Union[Extent, ExtentDict]]]
    uid: Optional[int]
    gid: Optional[int]
    groups: Optional[List[int]]


@dataclass
class Container:
    """What a process and its container are to be."""

    #: The version of this form: 1, which is also the default.
    version: Optional[int] = None
    #: What the request begins from: what is not said here is as the preset has it. Default: `"sandbox"`.
    preset: Optional[Preset] = None
    #: The program, by path or by its name in a directory of PATH inside, and its arguments.
    command: Optional[List[Text]] = None
    #: What the command sees as its own name. Default: the program as given.
    arg0: Optional[Text] = None
    #: Begin with an empty environment. Default: false.
    clear_env: Optional[bool] = None
    #: Hand on the whole environment of the caller; in the sandbox but for HOME, which is a new one. Default: in the
    #: sandbox false: PATH, TERM, LANG, LC_*, TZ and NO_COLOR are; else true.
    env_all: Optional[bool] = None
    #: Variables of the caller's environment to hand on besides those, by name.
    inherit_env: Optional[List[Text]] = None
    #: Environment variables to set.
    env: Optional[Dict[str, Text]] = None
    #: Environment variables to remove.
    env_remove: Optional[List[Text]] = None
    #: The working directory inside, absolute. Default: the caller's, if the container has the host's tree, else `/`.
    #: The sandbox shows it, read-only; if it is a home, above one or below something hidden in one, it is the sandbox's
    #: own, empty home instead.
    workdir: Optional[Text] = None
    #: The host name inside, 1 to 64 bytes without spaces, `#` and control characters; needs a new UTS namespace.
    #: sethostname(2). Default: the caller's.
    hostname: Optional[Text] = None
    #: The NIS domain name inside, at most 64 bytes; needs a new UTS namespace. setdomainname(2). Default: the caller's.
    domainname: Optional[Text] = None
    #: The file mode creation mask, umask(2), octal in a string such as `"022"`. Default: the caller's.
    umask: Optional[Mode] = None
    #: How eager the kernel is to kill it when memory runs out, -1000 to 1000, proc(5). Default: the caller's.
    oom_score_adj: Optional[int] = None
    #: Run the command below a tiny init as PID 1; needs a new pid namespace. Default: in the sandbox true, else false.
    init: Optional[bool] = None
    #: The command may make user namespaces of its own, and mount in them: nothing can then be read-only or masked
    #: inside what it may write, and of root's callers that is where others do not come. Default: in the sandbox false,
    #: else true.
    nested: Optional[bool] = None
    #: A session of its own without a terminal, setsid(2). Default: in the sandbox true, else false.
    new_session: Optional[bool] = None
    #: A session keyring of its own, keyrings(7). Default: in the sandbox true, else false.
    new_keyring: Optional[bool] = None
    #: It is killed when the spawning process ends. Default: true.
    die_with_parent: Optional[bool] = None
    #: It is killed this long after its start was asked for. Default: never.
    deadline: Optional[Duration] = None
    #: Go on without these where the host does not have them: names of limits such as `"memory"`, or `"net"`, `"map-
    #: subids"`, `"rlimit"`, `"oom-score-adj"`, `"time"`, `"landlock"` (as much of it as the kernel has). The report
    #: says what was left out. Default: none, everything is required.
    prefer: Optional[List[str]] = None
    #: How to clone. Default: `"auto"`.
    clone: Optional[Clone] = None
    #: Measure the time of each step for the report. Default: false.
    timed: Optional[bool] = None
    #: Name servers in its /etc/resolv.conf, resolv.conf(5). Default: the host's with a network, else unchanged. A
    #: network of names answers itself: beside that all but `"unchanged"` is an error.
    dns: Optional[Dns] = None
    #: The sandbox without any namespace, for hosts that give none: what landlock, the filter of system calls, ids,
    #: capabilities and limits confine without one. The host's files are where they are, and closed but for its
    #: programs, `ro`, `rw` and an empty home and temporary directory; no TCP port can be reached unless `landlock` has
    #: it. Of the host's root no file's mode, owner or times can be changed, also of its own (EPERM): landlock has no
    #: rule for that, and root owns what everybody runs. As another `user` they can. The report says what is not
    #: isolated. Linux 6.12. Default: false.
    no_namespaces: Optional[bool] = None
    #: Its namespaces.
    namespaces: Optional[Union[Namespaces, NamespacesDict]] = None
    #: Offsets of its clocks.
    time_offsets: Optional[Union[TimeOffsets, TimeOffsetsDict]] = None
    #: Its ids.
    user: Optional[Union[User, UserDict]] = None
    #: Files and directories of the host to show by the same path, read-only; relative ones begin where the caller is
    #: (or the file with this request).
    ro: Optional[List[Text]] = None
    #: The same, writable. New set-user-ID programs cannot be made there; one of others that is there already can be
    #: given another content (by a shared mapping, mmap(2)), so no directory with such is to be named.
    rw: Optional[List[Text]] = None
    #: A home, or what is above one, may be among `ro` and `rw`. Default: false, an error.
    whole_home: Optional[bool] = None
    #: How much the sandbox's own directories hold together (/tmp, /var/tmp, /run, the home), in memory; more is ENOSPC.
    #: /dev/shm holds as much by itself. Default: 1 GiB.
    max_tmp: Optional[Size] = None
    #: What it sees as `/`. Default: in the sandbox the host's programs and their configuration, in `"host"` all of the
    #: host's tree, both read-only.
    root: Optional[Union[Root, RootDict]] = None
    #: What it may do.
    rights: Optional[Union[Rights, RightsDict]] = None
    #: Which system calls it may make.
    seccomp: Optional[Union[Seccomp, SeccompDict]] = None
    #: What it may reach of the container's files, of ports, sockets and processes, by landlock. Default: without a rule
    #: of its own.
    landlock: Optional[Union[Landlock, LandlockDict]] = None
    #: Resource limits by name, setrlimit(2), such as `NOFILE`. Default: the caller's.
    rlimits: Optional[Dict[str, Rlimit]] = None
    #: What it may use of the machine.
    limits: Optional[Union[Limits, LimitsDict]] = None
    #: Its cgroup. Default: one of its own if there are limits, else none.
    cgroup: Optional[Union[Cgroup, CgroupDict]] = None
    #: A pseudoterminal of its own. Default: none.
    terminal: Optional[Union[Terminal, TerminalDict]] = None
    #: How it is connected. Default: a loopback alone.
    network: Optional[Union[Network, NetworkDict]] = None
    #: Lines of its /etc/hosts, which is then one of its own. Of a network of names: where an allowed name leads, in the
    #: place of what the host says; that line is not in the file.
    hosts: Optional[List[Union[HostEntry, HostEntryDict]]] = None
    #: What is mounted or put into its tree, one by one in this order, after what the preset has.
    mounts: Optional[List[Union[Mount, MountDict]]] = None


class ContainerDict(TypedDict, total=False):
    """The same as a dict. What a process and its container are to be."""

    version: Optional[int]
    preset: Optional[Preset]
    command: Optional[List[Text]]
    arg0: Optional[Text]
    clear_env: Optional[bool]
    env_all: Optional[bool]
    inherit_env: Optional[List[Text]]
    env: Optional[Dict[str, Text]]
    env_remove: Optional[List[Text]]
    workdir: Optional[Text]
    hostname: Optional[Text]
    domainname: Optional[Text]
    umask: Optional[Mode]
    oom_score_adj: Optional[int]
    init: Optional[bool]
    nested: Optional[bool]
    new_session: Optional[bool]
    new_keyring: Optional[bool]
    die_with_parent: Optional[bool]
    deadline: Optional[Duration]
    prefer: Optional[List[str]]
    clone: Optional[Clone]
    timed: Optional[bool]
    dns: Optional[Dns]
    no_namespaces: Optional[bool]
    namespaces: Optional[Union[Namespaces, NamespacesDict]]
    time_offsets: Optional[Union[TimeOffsets, TimeOffsetsDict]]
    user: Optional[Union[User, UserDict]]
    ro: Optional[List[Text]]
    rw: Optional[List[Text]]
    whole_home: Optional[bool]
    max_tmp: Optional[Size]
    root: Optional[Union[Root, RootDict]]
    rights: Optional[Union[Rights, RightsDict]]
    seccomp: Optional[Union[Seccomp, SeccompDict]]
    landlock: Optional[Union[Landlock, LandlockDict]]
    rlimits: Optional[Dict[str, Rlimit]]
    limits: Optional[Union[Limits, LimitsDict]]
    cgroup: Optional[Union[Cgroup, CgroupDict]]
    terminal: Optional[Union[Terminal, TerminalDict]]
    network: Optional[Union[Network, NetworkDict]]
    hosts: Optional[List[Union[HostEntry, HostEntryDict]]]
    mounts: Optional[List[Union[Mount, MountDict]]]
