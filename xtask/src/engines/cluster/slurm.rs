//! Slurm, with oci.conf: jobs and their steps in containers.

use std::fs;
use std::time::Duration;

use anyhow::Result;

use super::Cluster;
use super::case::{Case, case};
use super::nodes::{NODES, Nodes};

pub(super) struct Slurm;

impl Cluster for Slurm {
    fn prepare(&self, nodes: &Nodes) -> Result<()> {
        let share = nodes.share();
        fs::write(share.join("slurm.sh"), include_str!("slurm.sh"))?;
        let script = "head -c 1024 /dev/urandom > /share/munge.key
            mkdir /share/bundle && cp -a /share/tree /share/bundle/rootfs && cd /share/bundle && /share/seclude-oci spec
            jq '.process.terminal = false | .root.readonly = false' config.json > new && mv new config.json";
        nodes.must(1, 20, script).map(drop)
    }

    fn start(&self, nodes: &Nodes, number: u32) -> Result<()> {
        nodes
            .must(
                number,
                30,
                &format!("ulimit -n 20000; sh /share/slurm.sh {number} > /share/logs/slurm{number}.log 2>&1"),
            )
            .map(drop)
    }

    fn ready(&self, nodes: &Nodes) -> Result<String> {
        let idle = || Ok(nodes.shell(1, 20, "sinfo -h -N -t idle")?.1.lines().count() == NODES.len());
        nodes.soon(Duration::from_secs(60), "three idle nodes", idle)?;
        let version = nodes.must(1, 20, "sinfo --version")?;
        Ok(version.trim().replacen("slurm-wlm", "Slurm", 1))
    }

    fn cases(&self) -> Vec<&'static Case> {
        CASES.iter().collect()
    }
}

/// What is left of containers on all nodes, if it stays.
const LEFT: &str = r#"
cat > /share/left.sh << 'END'
ls /run/seclude-oci-root
find /sys/fs/cgroup -type d -path "*seclude-oci*" -name "node*"
for file in /proc/[0-9]*/cmdline; do tr "\0" " " < $file 2>/dev/null | grep "^seclude-init"; done
true
END
for round in 1 2 3 4 5 6 7 8 9 10; do
    left=$(for node in 1 2 3; do srun -w node$node sh /share/left.sh; done)
    test -z "$left" && echo nothing && exit 0
    sleep 1
done
echo "$left"; exit 1"#;

const CASES: &[Case] = &[
    case("srun without a container: of the node's own Debian", "srun -N3 cat /etc/os-release | grep -c ^ID=debian", "3").alone(),
    case(
        "srun --container on three nodes",
        "srun -N3 --container /share/bundle sh -c 'test ! -e /etc/os-release && echo $(hostname) is $$' | sort | uniq -c",
        "3 seclude is 1\n",
    )
    .calls("run"),
    case("srun's exit code", "srun --container /share/bundle sh -c 'exit 7'", "").ends(7).calls("run"),
    case(
        "a command that is not there",
        "srun --container /share/bundle nosuch; test $? -ne 0 && echo refused",
        "nosuch",
    )
    .calls("run"),
    case("srun's standard input", "echo carried | srun --container /share/bundle tr a-z A-Z", "CARRIED").calls("run"),
    case(
        "sbatch --container, and its exit code",
        "printf '#!/bin/sh\\ntest -e /etc/os-release || echo uid $(id -u); exit 3\\n' > /share/job.sh
        sbatch -W --container /share/bundle -o /share/sbatch.out /share/job.sh; echo code $?; cat /share/sbatch.out",
        "code 3\nuid 0",
    )
    .calls("run"),
    case(
        "scancel",
        "printf '#!/bin/sh\\necho up; sleep 1000\\n' > /share/job.sh
        job=$(sbatch --parsable --container /share/bundle -o /share/cancel.out /share/job.sh)
        until grep -q up /share/cancel.out 2>/dev/null; do sleep 0.1; done
        scancel $job
        until scontrol show job $job | grep -q 'JobState=CANCELLED'; do sleep 0.1; done
        until test -z \"$(squeue -h)\"; do sleep 0.1; done; echo cancelled",
        "cancelled",
    )
    .calls("kill"),
    case("nothing is left of it", LEFT, "nothing").looks(),
    case(
        "a time limit of a minute",
        "printf '#!/bin/sh\\nsleep 1000\\n' > /share/job.sh
        job=$(sbatch --parsable --time=1 --container /share/bundle -o /share/limit.out /share/job.sh)
        until scontrol show job $job | grep -o 'JobState=TIMEOUT'; do sleep 0.5; done; until test -z \"$(squeue -h)\"; do sleep 0.1; done; cat /share/limit.out",
        "JobState=TIMEOUT",
    )
    .calls("kill")
    .within(180),
    case(
        "an array of 100 jobs",
        "printf '#!/bin/sh\\ntest -e /etc/os-release || echo task $SLURM_ARRAY_TASK_ID\\n' > /share/job.sh
        mkdir /share/array; sbatch -W --array=1-100 --container /share/bundle -o /share/array/%a /share/job.sh
        cat /share/array/* | sort -u | grep -c ^task",
        "\n100\n",
    )
    .calls("run")
    .within(240),
    case("nothing is left of them", LEFT, "nothing").looks(),
];
