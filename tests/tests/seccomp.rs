//! The filter of system calls: what the preset's refuses, how it is changed, and profiles that others wrote.

use std::collections::BTreeMap;
use std::fs;

use seclude::{Command, Preset, Seccomp, Stdio};
use seclude_seccomp::Architecture;
use seclude_tests::{Scratch, inside, is_root, outside, python, refused, seclude, stdout_of, try_inside};

/// Calls that the preset refuses, each with arguments with which the kernel answers something else by itself: x86-64's numbers,
/// which stand for the calls of the same names elsewhere.
const REFUSED: &[(&str, u32, &str, i32)] = &[
    ("unshare", 272, "0x20000", EPERM),
    ("unshare of nothing new", 272, "0x400", EPERM),
    ("setns", 308, "-1, 0", EPERM),
    ("clone with new namespaces", 56, "0x20000000 | 17, 0, 0, 0, 0", EPERM),
    ("clone3", 435, "0, 0", ENOSYS),
    ("mount", 165, "0, 0, 0, 0, 0", EPERM),
    ("umount2", 166, "0, 0", EPERM),
    ("pivot_root", 155, "0, 0", EPERM),
    ("fsopen", 430, "0, 0", EPERM),
    ("open_tree", 428, "-1, 0, 0", EPERM),
    ("move_mount", 429, "-1, 0, -1, 0, 0", EPERM),
    ("mount_setattr", 442, "-1, 0, 0, 0, 0", EPERM),
    ("keyctl", 250, "0, -3, 0", EPERM),
    ("add_key", 248, "0, 0, 0, 0, 0", EPERM),
    ("request_key", 249, "0, 0, 0, 0", EPERM),
    ("bpf", 321, "0, 0, 0", EPERM),
    ("perf_event_open", 298, "0, 0, 0, -1, 0", EPERM),
    ("userfaultfd", 323, "0xffff", EPERM),
    ("io_uring_setup", 425, "1, 0", ENOSYS),
    ("ptrace", 101, "0, 0, 0, 0", EPERM),
    ("process_vm_readv", 310, "1, 0, 0, 0, 0, 0", EPERM),
    ("pidfd_getfd", 438, "-1, 0, 0", EPERM),
    ("kcmp", 312, "1, 1, 99, 0, 0", EPERM),
    ("open_by_handle_at", 304, "-1, 0, 0", EPERM),
    ("kexec_load", 246, "0, 0, 0, 0", EPERM),
    ("init_module", 175, "0, 0, 0", EPERM),
    ("finit_module", 313, "-1, 0, 0", EPERM),
    ("delete_module", 176, "0, 0", EPERM),
    ("quotactl", 179, "0, 0, 0, 0", EPERM),
    ("personality without random addresses", 135, "0x40000", EPERM),
    ("socket of packets", 41, "17, 3, 0", EAFNOSUPPORT),
    ("socket of vsock", 41, "40, 1, 0", EAFNOSUPPORT),
    ("socket of the kernel's ciphers", 41, "38, 5, 0", EAFNOSUPPORT),
    ("socket with a family that is one in its lower half alone", 41, "(1 << 32) | 38, 5, 0", EAFNOSUPPORT),
    ("netlink but for routes", 41, "16, 3, 12", EAFNOSUPPORT),
    ("socket of SCTP", 41, "2, 1, 132", EPROTONOSUPPORT),
    ("socket of SCTP by its type", 41, "10, 5 | 0x80000, 0", EPROTONOSUPPORT),
    ("socket of DCCP", 41, "2, 6, 33", EPROTONOSUPPORT),
    ("socket of L2TP", 41, "10, 2, 115", EPROTONOSUPPORT),
    ("socket of SMC", 41, "2, 1, 256", EPROTONOSUPPORT),
    ("socket of UDP-Lite", 41, "2, 2 | 0x800, 136", EPROTONOSUPPORT),
    ("socket of packets by its type", 41, "2, 10, 768", EPROTONOSUPPORT),
    ("socket with a type that is plain in its lower half alone", 41, "2, (1 << 32) | 6, 33", EPROTONOSUPPORT),
    ("a key typed into the terminal", 16, "0, 0x5412, b'x'", EPERM),
    ("the same with high bits", 16, "0, (1 << 32) | 0x5412, b'x'", EPERM),
    ("the console's selection", 16, "0, 0x541c, b'x'", EPERM),
];

/// Calls that ordinary programs make.
const ALLOWED: &[(&str, u32, &str)] = &[
    ("getpid", 39, ""),
    ("clone of a process", 56, "17, 0, 0, 0, 0"),
    ("personality as it is", 135, "0xffffffff"),
    ("socket of unix", 41, "1, 1, 0"),
    ("socket of IPv4", 41, "2, 1, 0"),
    ("socket of IPv6", 41, "10, 1 | 0x80000, 0"),
    ("socket of TCP by name", 41, "2, 1 | 0x80800, 6"),
    ("socket of UDP by name", 41, "10, 2, 17"),
    ("netlink of routes", 41, "16, 3, 0"),
    ("memfd_create", 319, "b'x', 0"),
    ("prctl", 157, "3, 0, 0, 0, 0"),
    ("pidfd_open", 434, "os.getpid(), 0"),
    ("close_range", 436, "100, 200, 0"),
    ("landlock's version", 444, "0, 0, 1"),
];

const EPERM: i32 = 1;
const ESRCH: i32 = 3;
const ENOSYS: i32 = 38;
const EPROTONOSUPPORT: i32 = 93;
const EAFNOSUPPORT: i32 = 97;

/// The number that the call has on this machine; one of another kind is left alone.
fn here(number: u32) -> u32 {
    Architecture::X86_64.name_of(number).map_or(number, |name| Architecture::NATIVE.number_of(name).expect(name))
}

/// What each call answers inside: 0 or an error number.
fn answers(flags: &[&str], calls: impl Iterator<Item = (&'static str, u32, &'static str)>) -> BTreeMap<String, i32> {
    let mut program = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n\
        def call(name, *given):\n    ctypes.set_errno(0)\n    own = os.getpid()\n\
        \x20   answer = libc.syscall(*[ctypes.c_long(one) if isinstance(one, int) else one for one in given])\n\
        \x20   if os.getpid() != own: os._exit(0)\n\
        \x20   print(name, ctypes.get_errno() if answer < 0 else 0, sep='=', flush=True)\n"
        .to_owned();
    for (name, number, arguments) in calls {
        program.push_str(&format!("call({name:?}, {}, {arguments})\n", here(number)));
    }
    let said = python(flags, &program);
    said.lines()
        .map(|line| line.rsplit_once('=').map(|(name, errno)| (name.to_owned(), errno.parse().unwrap())).unwrap())
        .collect()
}

#[test]
fn the_preset_refuses_what_containers_were_left_by_and_nothing_that_programs_need() {
    let calls = || REFUSED.iter().map(|(name, number, arguments, _)| (*name, *number, *arguments));
    let with = answers(&[], calls());
    let without = answers(&["--seccomp", "none"], calls());
    let mut told_apart = 0;
    for (name, .., errno) in REFUSED {
        assert_eq!(with[*name], *errno, "{name}");
        told_apart += usize::from(without[*name] != *errno);
    }
    // The others are refused by the kernel as well, as the sandbox has no capabilities.
    assert!(told_apart >= 18, "{told_apart} of {}: {without:?}", REFUSED.len());
    for (name, errno) in answers(&[], ALLOWED.iter().copied()) {
        assert_eq!(errno, 0, "{name}");
    }
    // Nobody who asked for nothing has a filter.
    assert_eq!(
        inside(&["--preset", "bare"], "grep ^Seccomp: /proc/self/status"),
        outside("grep ^Seccomp: /proc/self/status")
    );
    assert_eq!(inside(&[], "grep ^Seccomp: /proc/self/status"), "Seccomp:\t2");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn other_kinds_of_calls_are_not_a_way_around_it() {
    // x32 has numbers of its own; i386's come by another entry, which an emulator or `int 0x80` takes.
    let calls = [("x32", 0x4000_0000 | 39, ""), ("x32 of unshare", 0x4000_0000 | 272, "0x20000")];
    for (name, errno) in answers(&[], calls.into_iter()) {
        assert_eq!(errno, ENOSYS, "{name}");
    }
    // mov eax, 20 (getpid of i386); int 0x80; ret
    let foreign = "import ctypes, mmap\n\
        code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)\n\
        code.write(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\x48\\x98\\xc3')\n\
        call = ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(code)))\n\
        print(call())";
    assert_eq!(python(&[], foreign), format!("-{ENOSYS}"));
    let without: i64 = python(&["--seccomp", "none"], foreign).parse().unwrap();
    // A kernel without i386 says the same.
    assert!(without > 0 || without == -i64::from(ENOSYS), "{without}");
}

#[test]
fn calls_are_allowed_and_refused_by_name_on_top_of_a_profile() {
    let ptrace = [("ptrace", 101, "0, 0, 0, 0")];
    let mkdir = "mkdir /tmp/x 2>&1; echo $?";
    let of = |flags: &[&str]| answers(flags, ptrace.into_iter())["ptrace"];
    assert_eq!((of(&[]), of(&["--allow-syscall", "ptrace"])), (EPERM, 0));
    assert_eq!(of(&["--seccomp", "none", "--deny-syscall", "ptrace=EXDEV"]), 18);
    // What is refused by name is refused whatever else is said.
    assert_eq!(of(&["--allow-syscall", "ptrace", "--deny-syscall", "ptrace=7"]), 7);
    assert_eq!(inside(&[], mkdir), "0");
    let said = inside(&["--deny-syscall", "mkdir=EXDEV"], mkdir);
    assert!(said.contains("cross-device") && said.ends_with('1'), "{said}");
    // A group, which a mount needs one of.
    let tree = [("fsopen", 430, "0, 0")];
    let group = answers(&["--allow-syscall", "@mount"], tree.into_iter())["fsopen"];
    assert_eq!(answers(&[], tree.into_iter())["fsopen"], EPERM);
    assert_eq!(group, 1, "the kernel's own answer without CAP_SYS_ADMIN");
    assert_eq!(answers(&["--allow-syscall", "@mount", "--cap-add", "SYS_ADMIN"], tree.into_iter())["fsopen"], 14);
}

#[test]
fn of_the_internet_protocols_there_are_those_that_programs_use_and_the_rest_by_name() {
    let calls = [
        ("lite", 41, "2, 2, 136"),
        ("packets", 41, "2, 10, 768"),
        ("bridge", 16, "0, 0x8940, 0"),
        ("vlan", 16, "0, 0x8983, 0"),
    ];
    let of = |flags: &[&str]| answers(flags, calls.into_iter());
    let plain = of(&[]);
    assert_eq!(
        (plain["lite"], plain["packets"], plain["bridge"], plain["vlan"]),
        (EPROTONOSUPPORT, EPROTONOSUPPORT, EPERM, EPERM)
    );
    assert_eq!(of(&["--nested"])["lite"], EPROTONOSUPPORT);
    // What has the kernel load them is nobody's who may not change links.
    assert_ne!(of(&["--cap-add", "NET_ADMIN"])["bridge"], EPERM);
    let allowed = of(&["--allow-syscall", "socket"]);
    let without = of(&["--seccomp", "none"]);
    assert_eq!((allowed["lite"], allowed["packets"]), (without["lite"], without["packets"]), "the kernel's own answer");
    // Errors over the loopback, as the user's groups may (ping_group_range, icmp(7)), and raw ones with the capability.
    let ping = "import socket\ns = socket.socket(2, KIND, 1); s.settimeout(5)\n\
        s.sendto(bytes([8, 0, 0xf7, 0xfd, 0, 1, 0, 1]), ('127.0.0.1', 0)); print(len(s.recv(100)) > 7)";
    assert_eq!(python(&["--cap-add", "NET_RAW"], &ping.replace("KIND", "3")), "True");
    let dgram = "import socket\ntry: socket.socket(2, 2, 1); print(0)\nexcept OSError as error: print(error.errno)";
    assert_eq!(python(&[], dgram), python(&["--seccomp", "none"], dgram), "the kernel's own answer");
    assert_eq!(
        python(&[], "import socket\nprint(socket.getaddrinfo('localhost', 80, 0, socket.SOCK_STREAM)[0][4][1])"),
        "80"
    );
}

#[test]
fn nested_containers_and_capabilities_bring_the_calls_along_that_they_are_for() {
    let unshare = [("unshare", 272, "0x10000000")];
    assert_eq!(answers(&["--nested"], unshare.into_iter())["unshare"], 0);
    assert_eq!(answers(&[], unshare.into_iter())["unshare"], EPERM);
    let mount = "mount -t tmpfs none /tmp && stat -f -c %T /tmp";
    assert_eq!(inside(&["--cap-add", "SYS_ADMIN"], mount), "tmpfs");
    assert!(!try_inside(&[], mount).status.success());
    let trace = [("ptrace", 101, "16, 999999, 0, 0")];
    let of = |flags: &[&str]| answers(flags, trace.into_iter())["ptrace"];
    assert_eq!((of(&[]), of(&["--cap-add", "SYS_PTRACE"])), (EPERM, ESRCH));
}

#[test]
fn profiles_of_others_are_taken_from_a_file_or_a_spec() {
    let own = Scratch::new("profiles");
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 18},
        {"names": ["socket"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}]}"#;
    let file = own.file("profile.json", profile);
    let file = file.display().to_string();
    let said = inside(&["--seccomp", &file], "mkdir /tmp/x 2>&1 || echo refused");
    assert!(said.contains("cross-device") && said.contains("refused"), "{said}");
    let socket = |flags: &[&str], family: &'static str| answers(flags, [("socket", 41, family)].into_iter())["socket"];
    assert_eq!((socket(&["--seccomp", &file], "2, 1, 0"), socket(&["--seccomp", &file], "10, 1, 0")), (EPERM, 0));
    let spec = own.file("spec.toml", "seccomp.file = \"profile.json\"\n");
    assert_eq!(socket(&["--spec", &spec.display().to_string()], "2, 1, 0"), EPERM);
    let spec = own.file("spec.json", &format!("{{\"seccomp\": {{\"profile\": {profile}}}}}"));
    let spec = spec.display().to_string();
    assert_eq!(socket(&["--spec", &spec], "2, 1, 0"), EPERM);
    assert_eq!(socket(&["--spec", &spec, "--seccomp", "default"], "2, 1, 0"), 0);
    // A finished program: everything is allowed but getppid (110), which answers 99.
    let step = |code: u16, jump: [u8; 2], k: u32| [&code.to_ne_bytes()[..], &jump, &k.to_ne_bytes()].concat();
    let program = [
        step(0x20, [0, 0], 0),
        step(0x15, [0, 1], 110),
        step(0x06, [0, 0], 0x5_0000 | 99),
        step(0x06, [0, 0], 0x7fff_0000),
    ];
    let bpf = own.join("program.bpf");
    fs::write(&bpf, program.concat()).unwrap();
    let bpf = bpf.display().to_string();
    let parent = |flags: &[&str]| answers(flags, [("getppid", 110, "")].into_iter())["getppid"];
    assert_eq!((parent(&[]), parent(&["--seccomp", &bpf])), (0, 99));
}

#[test]
fn what_cannot_be_meant_is_one_line_with_its_flag() {
    let own = Scratch::new("bad-profiles");
    let file = |name: &str, content: &str| own.file(name, content).display().to_string();
    let short = own.join("short.bpf");
    fs::write(&short, b"12345\xff").unwrap();
    let short = short.display().to_string();
    let nowhere = own.join("jump.bpf");
    fs::write(&nowhere, [&0x05u16.to_ne_bytes()[..], &[0, 0], &9u32.to_ne_bytes()].concat()).unwrap();
    let nowhere = nowhere.display().to_string();
    let large = own.join("large.bpf");
    fs::write(&large, [0x06u8, 0, 0, 0, 0, 0, 0xff, 0x7f].repeat(4097)).unwrap();
    let large = large.display().to_string();
    let missing = own.join("missing").display().to_string();
    let directory = own.path().display().to_string();
    let action = file("action.json", r#"{"defaultAction": "SCMP_ACT_SING"}"#);
    let argument = file(
        "argument.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 7, "value": 1, "op": "SCMP_CMP_EQ"}]}]}"#,
    );
    let exec = file(
        "exec.json",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["execve"], "action": "SCMP_ACT_ERRNO"}]}"#,
    );
    let other = file("other.txt", "hello\nworld, here is no profile\n");
    for (flags, flag, words) in [
        (&["--allow-syscall", "ptrcae"][..], "--allow-syscall", "ptrace"),
        (&["--deny-syscall", "mkdri"], "--deny-syscall", "mkdir"),
        (&["--deny-syscall", "mkdir=EWHAT"], "--deny-syscall", "EWHAT"),
        (&["--deny-syscall", "mkdir=5000"], "--deny-syscall", "5000"),
        (&["--deny-syscall", "execve"], "--deny-syscall", "execve"),
        (&["--allow-syscall", "@nothing"], "--allow-syscall", "@nothing"),
        (&["--seccomp", &short], "--seccomp", "8"),
        (&["--seccomp", &nowhere], "--seccomp", "jump"),
        (&["--seccomp", &large], "--seccomp", "4096"),
        (&["--seccomp", &missing], "missing", "ENOENT"),
        (&["--seccomp", &directory], "--seccomp", "directory"),
        (&["--seccomp", &action], "--seccomp", "SCMP_ACT_SING"),
        (&["--seccomp", &argument], "--seccomp", "7"),
        (&["--seccomp", &exec], "--seccomp", "execve"),
        (&["--seccomp", &other], "--seccomp", "profile"),
    ] {
        let line = refused(125, &[&["run"], flags, &["true"]].concat());
        assert!(line.contains(flag) && line.contains(words), "{flags:?}: {line}");
    }
}

#[test]
fn a_filter_never_costs_the_promise_of_no_new_privileges() {
    // With privileges in the container's own user namespace it is installed by those.
    let status = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status";
    assert_eq!(inside(&["--no-new-privs=false"], status), "NoNewPrivs:\t0\nSeccomp:\t2");
    assert_eq!(inside(&[], status), "NoNewPrivs:\t1\nSeccomp:\t2");
    if !is_root() {
        // Without any it is an error.
        let line = refused(125, &["run", "--bare", "--seccomp", "default", "--no-new-privs=false", "true"]);
        assert!(line.contains("--no-new-privs"), "{line}");
        assert_eq!(inside(&["--bare", "--seccomp", "default"], status), "NoNewPrivs:\t1\nSeccomp:\t2");
    }
}

#[test]
fn the_plan_and_the_library_say_the_same() {
    let plan = stdout_of(&seclude(&["explain", "true"]));
    assert!(plan.contains("default profile"), "{plan}");
    let plan = stdout_of(&seclude(&["explain", "--deny-syscall", "mkdir=EACCES", "--allow-syscall", "@mount", "true"]));
    assert!(plan.contains("mkdir") && plan.contains("@mount"), "{plan}");
    let run = |seccomp: Seccomp| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "mkdir /tmp/x 2>/dev/null; echo $?"]).preset(Preset::Sandbox).seccomp(seccomp);
        String::from_utf8(command.stderr(Stdio::null()).output().unwrap().stdout).unwrap()
    };
    assert_eq!(run(Seccomp::standard()), "0\n");
    assert_eq!(run(Seccomp::standard().deny("mkdir")), "1\n");
    assert_eq!(run(Seccomp::none().deny_with("mkdir", 18)), "1\n");
}
