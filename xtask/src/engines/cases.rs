//! What is tried. In a script `$E` is the engine, `$C` says where the cgroup is, `$N` is the engine with a runtime that is not there.

use super::Which;

/// One thing that somebody does with an engine.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) script: &'static str,
    pub(super) code: i32,
    /// Somewhere in what it says.
    pub(super) says: &'static str,
    /// Whether the runtime is called for it.
    pub(super) calls: bool,
    pub(super) only: Option<Which>,
    /// A program that not every machine has.
    pub(super) needs: Option<&'static str>,
    /// It takes a cgroup, which an ordinary user has none of here, or a device of the host's root.
    pub(super) of_root: bool,
}

impl Case {
    /// ctr has words of its own, and an ordinary user's podman is one.
    pub(super) fn is_for(&self, engine: Which) -> bool {
        let is_users = engine == Which::PodmanRootless;
        let engine = if is_users { Which::Podman } else { engine };
        let is_meant = self.only.map_or(engine != Which::Containerd, |only| only == engine);
        (is_meant && !(is_users && self.of_root)) || (is_users && self.only == Some(Which::PodmanRootless))
    }
}

const fn case(name: &'static str, script: &'static str, says: &'static str) -> Case {
    Case { name, script, code: 0, says, calls: true, only: None, needs: None, of_root: false }
}

const fn ends(name: &'static str, script: &'static str, code: i32, says: &'static str) -> Case {
    Case { code, ..case(name, script, says) }
}

const fn of_root(case: Case) -> Case {
    Case { of_root: true, ..case }
}

const fn podman(case: Case) -> Case {
    Case { only: Some(Which::Podman), ..case }
}

const fn docker(case: Case) -> Case {
    Case { only: Some(Which::Docker), ..case }
}

const fn containerd(case: Case) -> Case {
    Case { only: Some(Which::Containerd), ..case }
}

/// In this order: some need what those before have left.
pub(super) const CASES: &[Case] = &[
    Case { calls: false, ..ends("a runtime that is not there", "$N --rm $C bb:1 true; test $? -ne 0", 0, "") },
    case("run", "$E run --rm $C bb:1 sh -c 'echo uid $(id -u); hostname'", "uid 0"),
    ends("exit code", "$E run --rm $C bb:1 sh -c 'exit 3'", 3, ""),
    ends("a command that is not there", "$E run --rm $C bb:1 nosuch", 127, ""),
    ends("a command that is no program", "$E run --rm $C bb:1 /etc/passwd", 126, ""),
    case("-t", "$E run --rm -t $C bb:1 tty", "/dev/pts/0"),
    case("-it", "echo 'tty; exit 0' | script -qec \"$E run --rm -it $C bb:1 sh\" /dev/null", "/dev/pts/0"),
    case("--init", "$E run --rm --init $C bb:1 ps", "-init -- ps"),
    case(
        "--user",
        "$E run --rm --user 1000:1000 $C bb:1 sh -c 'id -u; grep CapEff /proc/self/status'",
        "CapEff:\t0000000000000000",
    ),
    case(
        "--cap-drop all",
        "$E run --rm --cap-drop all $C bb:1 grep CapEff /proc/self/status",
        "CapEff:\t0000000000000000",
    ),
    case("seccomp", "$E run --rm $C bb:1 grep Seccomp: /proc/self/status", "Seccomp:\t2"),
    case(
        "no-new-privileges",
        "$E run --rm --security-opt no-new-privileges $C bb:1 grep NoNewPrivs /proc/self/status",
        "NoNewPrivs:\t1",
    ),
    case(
        "--read-only",
        "$E run --rm --read-only --tmpfs /tmp $C bb:1 sh -c 'touch /x; touch /tmp/y && echo tmp'",
        "Read-only file system",
    ),
    of_root(case(
        "memory limit",
        "$E run --rm -m 48m --memory-swap 48m $C bb:1 sh -c 'dd if=/dev/zero of=/dev/null bs=200M count=1; echo code $?'",
        "code 137",
    )),
    of_root(case(
        "pids limit",
        "$E run --rm --pids-limit 5 $C bb:1 sh -c '(for i in 1 2 3 4 5 6 7 8; do sleep 1 & done); true' 2>&1",
        "can't fork",
    )),
    of_root(case(
        "cpu limit",
        "$E run --rm --cpus 0.5 $C bb:1 sh -c 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max' 2>/dev/null || true",
        "50000",
    )),
    case(
        "volume",
        "$E volume create v1 >/dev/null; $E run --rm -v v1:/v $C bb:1 sh -c 'echo kept > /v/f'; $E run --rm -v v1:/v:ro $C bb:1 sh -c 'cat /v/f; touch /v/x'; $E volume rm v1",
        "kept",
    ),
    case("--pid=host", "$E run --rm --pid=host $C bb:1 sh -c 'test -d /proc/$PPID && ls -d /proc/[0-9]* | wc -l'", ""),
    case("--net=none", "$E run --rm --net=none $C bb:1 ls /sys/class/net", "lo"),
    case("sysctl", "$E run --rm --sysctl net.ipv4.ip_forward=0 $C bb:1 cat /proc/sys/net/ipv4/ip_forward", "0"),
    of_root(case(
        "--device",
        "$E run --rm --device /dev/loop-control $C bb:1 sh -c ': < /dev/loop-control && ls -l /dev/loop-control'",
        "237",
    )),
    case(
        "detached",
        "$E run -d --name one $C bb:1 sh -c 'trap \"exit 0\" TERM; echo up; while :; do sleep 0.1; done'; sleep 0.5; $E logs one",
        "up",
    ),
    case("exec", "$E exec one sh -c 'echo in $(cat /proc/1/comm)'", "in sh"),
    ends("exec's exit code", "$E exec one sh -c 'exit 9'", 9, ""),
    podman(ends("exec of nothing", "$E exec one nosuch", 127, "")),
    docker(ends("exec of nothing", "$E exec one nosuch", 126, "")),
    case("exec -it", "echo 'tty; exit 0' | script -qec \"$E exec -it one sh\" /dev/null", "/dev/pts/"),
    Case { calls: false, ..podman(case("top", "$E top one", "sleep 0.1")) },
    docker(case("top", "$E top one", "sleep 0.1")),
    Case { calls: false, of_root: true, ..case("stats", "$E stats --no-stream one", "one") },
    of_root(case("pause", "$E pause one; $E inspect one --format 'is {{.State.Status}}'; $E unpause one", "is paused")),
    of_root(case(
        "update",
        "$E update --memory 100m --memory-swap 200m one; $E exec one sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max'",
        "104857600",
    )),
    case("cp", "echo carried > $D/file; $E cp $D/file one:/tmp/file; $E exec one cat /tmp/file", "carried"),
    case("stop", "$E stop -t 5 one; $E inspect one --format 'code {{.State.ExitCode}}'", "code 0"),
    case("start again", "$E start one; $E exec one true && echo runs; $E rm -f one", "runs"),
    case("kill", "$E run -d --name two $C bb:1 sleep 100; $E kill -s KILL two; $E wait two; $E rm -f two", "137"),
    case(
        "health check",
        "$E run -d --name health --health-cmd true --health-interval 1s $C bb:1 sleep 100; sleep 2; $E healthcheck run health 2>/dev/null; $E inspect health --format 'is {{.State.Health.Status}}'; $E rm -f health",
        "is healthy",
    ),
    case(
        "published port",
        "$E run -d --name web -p 127.0.0.1:18099:8080 $C bb:1 httpd -f -p 8080 -h /etc; sleep 0.5; wget -qO- http://127.0.0.1:18099/passwd; $E rm -f web",
        "root:x:0:0",
    ),
    case(
        "joined namespaces",
        "$E run -d --name kept $C bb:1 sleep 77; $E run --rm $C --pid container:kept --net container:kept bb:1 ps; $E rm -f kept",
        "sleep 77",
    ),
    Case {
        only: Some(Which::PodmanRootless),
        ..case("--userns=keep-id", "$E run --rm --userns=keep-id $C bb:1 id -u | grep -qx $U && echo mine", "mine")
    },
    of_root(podman(case(
        "user namespace",
        "$E run --rm $C --uidmap 0:100000:65536 --gidmap 0:100000:65536 bb:1 cat /proc/self/uid_map",
        "100000",
    ))),
    podman(case(
        "secret",
        "echo hidden | $E secret create s1 - >/dev/null; $E run --rm $C --secret s1 bb:1 cat /run/secrets/s1; $E secret rm s1",
        "hidden",
    )),
    podman(case(
        "build",
        "mkdir -p $D/build; printf 'FROM bb:1\\nRUN echo built > /built\\n' > $D/build/Containerfile; $E build -q -t bb:2 $D/build && $E run --rm $C bb:2 cat /built",
        "built",
    )),
    podman(case(
        "pod",
        "$E pod create --name p $C --infra-image bb:1 --infra-command 'sleep 1000' --share ipc,net,uts,pid >/dev/null; $E run -d --pod p bb:1 httpd -f -p 8080 -h /etc; sleep 0.3; $E run --rm --pod p bb:1 wget -qO- http://127.0.0.1:8080/passwd; $E pod rm -f -t 0 p",
        "root:x:0:0",
    )),
    of_root(podman(case(
        "kube play",
        "printf 'apiVersion: v1\\nkind: Pod\\nmetadata: {name: kp}\\nspec:\\n  containers:\\n  - {name: a, image: bb:1, command: [httpd, -f, -p, \"8081\", -h, /etc]}\\n  - {name: b, image: bb:1, command: [sleep, \"1000\"]}\\n  - {name: c, image: bb:1, command: [sleep, \"1000\"], resources: {limits: {memory: 64Mi}}}\\n' > $D/pod.yml; $E kube play $D/pod.yml >/dev/null; sleep 0.5; $E exec kp-b wget -qO- http://127.0.0.1:8081/passwd; $E kube down $D/pod.yml",
        "root:x:0:0",
    ))),
    Case {
        needs: Some("docker-compose"),
        ..docker(case(
            "compose",
            "mkdir -p $D/compose; printf 'version: \"3.8\"\nservices:\n  web: {image: \"bb:1\", command: httpd -f -p 8080 -h /etc, expose: [\"8080\"], healthcheck: {test: [CMD, id], interval: 1s}}\n  store: {image: \"bb:1\", command: \"sh -c \\\"echo kept > /v/f; sleep 1000\\\"\", volumes: [\"data:/v\"], mem_limit: 32m}\n  reader: {image: \"bb:1\", command: \"sh -c \\\"until cat /v/f; do sleep 0.1; done; sleep 1000\\\"\", volumes: [\"data:/v:ro\"], read_only: true, depends_on: [store]}\n  asks: {image: \"bb:1\", command: \"sh -c \\\"until wget -qO- http://web:8080/passwd; do sleep 0.2; done\\\"\", depends_on: [web], user: \"1000\"}\nvolumes: {data: {}}\n' > $D/compose/docker-compose.yml; cd $D/compose; export DOCKER_HOST=${E#* -H }; docker-compose up -d; docker-compose logs -f asks; docker-compose logs reader; docker-compose ps --services --filter status=running; docker-compose down -v -t 0",
            "root:x:0:0",
        ))
    },
    Case {
        calls: false,
        ..containerd(case(
            "a runtime that is not there",
            "$N --rm --snapshotter native docker.io/library/bb:1 c0 true && exit 1; true",
            "",
        ))
    },
    containerd(case("run", "$E run --rm $C c1 sh -c 'echo uid $(id -u)'", "uid 0")),
    containerd(ends("exit code", "$E run --rm $C c2 sh -c 'exit 3'", 3, "")),
    containerd(case(
        "a command that is not there",
        "$E run --rm $C c3 nosuch; test $? -ne 0",
        "no such file or directory",
    )),
    containerd(case("-t", "script -qec \"$E run --rm -t $C c4 tty\" /dev/null", "/dev/pts/0")),
    containerd(case("--read-only", "$E run --rm --read-only $C c5 touch /x; true", "Read-only file system")),
    containerd(case("detached", "$E run -d --memory-limit 67108864 $C one sleep 100; $E task ls", "RUNNING")),
    containerd(case("exec", "$E task exec --exec-id e1 one sh -c 'echo in $(cat /proc/1/comm)'", "in sleep")),
    containerd(ends("exec's exit code", "$E task exec --exec-id e2 one sh -c 'exit 9'", 9, "")),
    containerd(case("top", "$E task ps one", "PID")),
    Case { calls: false, ..containerd(case("stats", "$E task metrics one", "pids.current")) },
    containerd(case("pause", "$E task pause one; $E task ls; $E task resume one", "PAUSED")),
    containerd(case(
        "kill",
        "$E task kill -s KILL one; sleep 0.5; $E task delete one; $E container rm one; $E task ls",
        "TASK",
    )),
];
