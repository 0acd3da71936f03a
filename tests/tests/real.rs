//! Real programs in a real Debian root: as root, as an ordinary user, and with subordinate ids.

use std::fs;
use std::path::Path;

use seclude_tests::{Scratch, debian_root, is_root, outside, seclude, seclude_command, stdout_of};

/// Ways to run in the root: whoever runs the tests as its only user, and with subordinate ids.
fn modes() -> Vec<&'static [&'static str]> {
    let subids = seclude(&["run", "--map-subids", "true"]).status.success();
    if !subids {
        assert!(!is_root(), "root finds ids that nobody has");
        eprintln!("without --map-subids: this user has no range in /etc/subuid and /etc/subgid");
        return vec![&[]];
    }
    vec![&[], &["--map-subids"]]
}

/// What a shell script says in the Debian root; it must succeed.
fn in_debian(flags: &[&[&str]], script: &str) -> String {
    let root = debian_root();
    let mut arguments =
        vec!["run", "--root", root.to_str().unwrap(), "--clear-env", "--env", "PATH=/usr/local/bin:/usr/bin:/bin"];
    arguments.extend(flags.iter().flat_map(|flags| flags.iter()));
    arguments.extend(["--", "/bin/bash", "-euc", script]);
    stdout_of(&seclude_command(&arguments).output().unwrap())
}

fn checksum(file: &Path) -> String {
    outside(&format!("sha256sum < {}", file.display()))
}

#[test]
fn apt_and_dpkg_answer_from_the_root_that_they_are_in() {
    let status = fs::read_to_string(debian_root().join("var/lib/dpkg/status")).unwrap();
    let installed = status.lines().filter(|line| *line == "Status: install ok installed").count();
    assert!(installed > 80, "{installed}");
    let here = outside("dpkg -l 2>/dev/null | grep -c ^ii || true");
    assert_ne!(here, installed.to_string(), "the host has other packages");
    for mode in modes() {
        assert!(in_debian(&[mode], "apt-get --version").starts_with("apt 2"), "{mode:?}");
        assert_eq!(in_debian(&[mode], "dpkg -l | grep -c ^ii"), installed.to_string(), "{mode:?}");
        let refused = in_debian(&[mode], "dpkg --configure -a 2>&1 || echo status $?");
        assert!(refused.contains("status 2") && refused.contains("/var/lib/dpkg"), "{mode:?}, read-only: {refused}");
    }
}

const SUM: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(void) {
    int sum = 0;
    for (int i = 1; i <= 100; i++) sum += i;
    printf("sum %d as %d\n", sum, (int)getuid());
    return sum % 100;
}"#;

#[test]
fn a_c_program_is_compiled_and_run() {
    let source = format!("--file=/tmp/sum.c={SUM}");
    for mode in modes() {
        for init in [&[][..], &["--init"]] {
            let script = "cd /tmp; gcc -O1 -o sum sum.c; ./sum || echo code $?";
            assert_eq!(in_debian(&[mode, init, &[&source]], script), "sum 5050 as 0\ncode 50", "{mode:?} {init:?}");
        }
    }
    if is_root() {
        // Installed where programs are, in a layer that is gone at the end.
        let script = "gcc -o /usr/local/bin/sum-of-the-test /tmp/sum.c; sum-of-the-test || echo code $?";
        let said = in_debian(&[&["--overlay", &source]], script);
        assert_eq!(said, "sum 5050 as 0\ncode 50");
        assert!(!debian_root().join("usr/local/bin/sum-of-the-test").exists());
    }
}

/// Forks 200 children that fork another each and end; tells what is left of the 200 orphans.
const ORPHANS: &str = "import os, sys, time\n\
    children = []\n\
    for _ in range(200):\n    \
        child = os.fork()\n    \
        if child == 0:\n        \
            os.fork()\n        \
            os._exit(0)\n    \
        children.append(child)\n\
    for child in children: os.waitpid(child, 0)\n\
    def state(pid):\n    \
        try: return open(f'/proc/{pid}/stat').read().rsplit(')', 1)[1].split()[0]\n    \
        except OSError: return None\n\
    def others():\n    \
        pids = [pid for pid in os.listdir('/proc') if pid.isdigit() and int(pid) not in (1, os.getpid())]\n    \
        return [state for state in map(state, pids) if state]\n\
    until = time.monotonic() + 60\n\
    while any(state != 'Z' for state in others()) or (os.getpid() != 1 and others()):\n    \
        if time.monotonic() > until: break\n    \
        time.sleep(0.001)\n\
    print(len(others()), 'left')\n\
    sys.exit(42)";

#[test]
fn two_hundred_orphans_are_reaped_by_the_init_and_stay_zombies_without() {
    let root = debian_root();
    for mode in modes() {
        let run = |more: &[&str]| {
            let head = ["run", "--root", root.to_str().unwrap()];
            let output = seclude(&[&head[..], mode, more, &["--", "python3", "-c", ORPHANS]].concat());
            assert_eq!(output.status.code(), Some(42), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        assert_eq!(run(&[]), "0 left", "{mode:?}");
        assert_eq!(run(&["--as-pid-1"]), "200 left", "{mode:?}: python is process one, and does not know it");
    }
}

#[test]
fn redis_serves_its_benchmark_over_loopback_and_a_socket() {
    let script = "cd /tmp; redis-server --port 7379 --unixsocket /tmp/redis.sock --save '' --appendonly no > log 2>&1 & server=$!\n\
        n=0; until [ \"$(redis-cli -p 7379 ping 2>/dev/null)\" = PONG ]; do \
            n=$((n+1)); [ $n -lt 2000 ] || { cat /tmp/log; exit 9; }; sleep 0.02; done\n\
        redis-benchmark -p 7379 -q -n 2000 -r 1000 -t set,get | tr '\\r' '\\n' | grep -c 'requests per second'\n\
        redis-benchmark -s /tmp/redis.sock -q -n 2000 -r 1000 -t set,get | tr '\\r' '\\n' | grep -c 'requests per second'\n\
        [ \"$(redis-cli -p 7379 dbsize)\" -gt 500 ] && echo filled\n\
        redis-cli -p 7379 info stats | grep -o 'rejected_connections:0'\n\
        redis-cli -p 7379 shutdown nosave; wait $server; echo ended $?";
    for mode in modes() {
        for init in [&[][..], &["--init"]] {
            let said = in_debian(&[mode, init], script);
            assert_eq!(said, "2\n2\nfilled\nrejected_connections:0\nended 0", "{mode:?} {init:?}");
        }
    }
    // Two at a time on one port: each container has a loopback interface of its own.
    let both = std::thread::scope(|scope| {
        let runs = [scope.spawn(|| in_debian(&[], script)), scope.spawn(|| in_debian(&[], script))];
        runs.map(|run| run.join().unwrap())
    });
    assert_eq!(both[0], both[1]);
}

#[test]
fn git_clones_a_repository_that_it_cannot_write() {
    let scratch = Scratch::new("git");
    let repository = scratch.directory("repository");
    let make = format!(
        "cd {} && git init -q . && for n in 1 2 3 4 5; do seq $n 500 > file$n; git add .; \
         git -c user.name=a -c user.email=b@c commit -qm change$n; done; git rev-parse HEAD",
        repository.display()
    );
    let head = outside(&make);
    let bind = format!("{}:/srv", repository.display());
    let clone = "export HOME=/tmp; git config --global --add safe.directory '*'; \
        git clone -q --no-hardlinks /srv /tmp/clone; cd /tmp/clone; git log --oneline | wc -l; git fsck --strict >&2; \
        echo more >> file1; git -c user.name=a -c user.email=b@c commit -qam more; git log --oneline | wc -l; \
        git push -q origin HEAD:refs/heads/pushed 2>/dev/null && echo pushed; git rev-parse HEAD~";
    let before = scratch.listing();
    for mode in modes() {
        assert_eq!(in_debian(&[mode, &["--ro-bind", &bind]], clone), format!("5\n6\n{head}"), "{mode:?}");
        assert_eq!(scratch.listing(), before, "{mode:?}");
    }
    assert_eq!(in_debian(&[&["--bind", &bind]], clone), format!("5\n6\npushed\n{head}"), "one that can be written is");
}

#[test]
fn sqlite_writes_to_a_layer_and_the_database_below_is_untouched() {
    let scratch = Scratch::new("sqlite");
    let lower = scratch.directory("lower");
    let bind = format!("{}:/mnt", lower.display());
    let make = "sqlite3 /mnt/data.db 'create table t(id integer primary key, v text); \
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000) insert into t select i, hex(randomblob(50)) from n; \
        select count(*) from t;'";
    assert_eq!(in_debian(&[&["--bind", &bind]], make), "5000");
    let database = lower.join("data.db");
    let before = (checksum(&database), scratch.listing());
    let load = "for n in $(seq 20); do \
            echo \"begin; insert into t(v) select hex(randomblob(100)) from t limit 500; update t set v = v || 'x' where id % 20 = $n; commit;\"; \
        done | sqlite3 /mnt/data.db; \
        sqlite3 /mnt/data.db 'delete from t where id % 2 = 0; vacuum; pragma integrity_check; select count(*) > 6000 from t;'; \
        sqlite3 /mnt/data.db 'pragma journal_mode = wal; insert into t(v) values(1);'; ls /mnt";
    let overlay = format!("lower={},ephemeral,to=/mnt", lower.display());
    // With root's subordinate ids the database would be nobody's.
    let modes = modes().into_iter().filter(|mode| !is_root() || mode.is_empty());
    for mode in modes {
        let said = in_debian(&[mode, &["--overlay-mount", &overlay]], load);
        assert_eq!(said, "ok\n1\nwal\ndata.db", "{mode:?}");
        assert_eq!((checksum(&database), scratch.listing()), before, "{mode:?}");
    }
    in_debian(&[&["--bind", &bind]], load);
    assert_ne!(checksum(&database), before.0, "without the layer the same load changes it");
}

#[test]
fn nothing_is_left_of_what_ran_in_the_root() {
    let mine = "ps -e -o args= | grep -c '[r]edis-server.*:7380\\|[s]leep 4321' || true";
    let before = (seclude_tests::Host::look(), outside(mine));
    in_debian(
        &[&["--init"]],
        "sleep 4321 & setsid sleep 4321 & redis-server --port 7380 > /dev/null 2>&1 & echo started",
    );
    assert_eq!(outside(mine), before.1);
    before.0.assert_back("as before");
}
