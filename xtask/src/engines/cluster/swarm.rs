//! Docker's Swarm, whose nodes have our runtime as their default.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::Cluster;
use super::case::{Case, Prepare, case};
use super::nodes::{NODES, Nodes};

pub(super) struct Swarm;

impl Cluster for Swarm {
    fn prepare(&self, nodes: &Nodes) -> Result<()> {
        let settings = json!({
            "runtimes": { "seclude": { "path": "/share/runtime" } },
            "default-runtime": "seclude",
            "default-ulimits": { "nofile": { "Name": "nofile", "Hard": 20000, "Soft": 20000 } },
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
        });
        Ok(fs::write(nodes.share().join("daemon.json"), settings.to_string())?)
    }

    fn start(&self, nodes: &Nodes, number: u32) -> Result<()> {
        // What a node that was killed has left of its daemon.
        nodes.must(number, 10, "rm -rf /var/run/docker*")?;
        nodes.daemon(number, "dockerd", "dockerd --config-file /share/daemon.json")?;
        let is_up = || Ok(nodes.shell(number, 10, "docker version")?.0 == 0);
        nodes.soon(Duration::from_secs(60), &format!("dockerd of node {number}"), is_up)?;
        nodes.must(number, 30, "docker image inspect bb:1 || docker import /share/image.tar bb:1")?;
        let address = format!("--advertise-addr 10.77.0.{number} --listen-addr 10.77.0.{number}:2377");
        let join = match number {
            1 => format!("docker swarm init {address} && docker swarm join-token -q worker > /share/token"),
            _ => format!("docker swarm join {address} --token $(cat /share/token) 10.77.0.1:2377"),
        };
        let is_in = "docker info --format '{{.Swarm.LocalNodeState}}' | grep -qx active";
        nodes.must(number, 60, &format!("{is_in} || {{ {join}; }}")).map(drop)
    }

    fn ready(&self, nodes: &Nodes) -> Result<String> {
        let ready = || {
            let (_, said) = nodes.shell(1, 20, "docker node ls --format '{{.Status}}'")?;
            Ok(said.lines().filter(|line| *line == "Ready").count() == NODES.len())
        };
        nodes.soon(Duration::from_secs(60), "three ready nodes", ready)?;
        fs::write(nodes.share().join("of.sh"), OF)?;
        let version = nodes.must(1, 20, "docker version --format '{{.Server.Version}}'")?;
        Ok(format!("Swarm of Docker {}", version.trim()))
    }

    fn cases(&self) -> Vec<&'static Case> {
        CASES.iter().collect()
    }
}

/// `tasks SERVICE`: where its tasks run; `until_tasks SERVICE N`; `$S`: how services are made that no registry is asked for.
const OF: &str = r#"
S="docker service create --quiet --detach=false --no-resolve-image"
tasks() { docker service ps "$1" --filter desired-state=running --format '{{.CurrentState}} {{.Node}}' | sed -n 's/^Running.* //p' | sort; }
until_tasks() { until [ "$(tasks "$1" | wc -l)" = "$2" ]; do sleep 0.2; done; }
one() { docker ps -q --filter "label=com.docker.swarm.service.name=$1" | head -1; }
"#;

const CASES: &[Case] = &[
    case(
        "a global service",
        ". /share/of.sh; $S --name all --mode global --network host bb:1 sleep 10000; echo $(tasks all)",
        "node1 node2 node3",
    ),
    case(
        "a replicated service with limits",
        ". /share/of.sh; $S --name web --replicas 4 --stop-grace-period 1s --limit-memory 64m --limit-pids 50 --env V=one bb:1 httpd -f -p 8080 -h /etc
        tasks web | wc -l; docker exec $(one web) sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max'",
        "4\n67108864\n50\n",
    ),
    case("scale", ". /share/of.sh; docker service scale --detach=true web=6; until_tasks web 6; docker service scale --detach=true web=3; until_tasks web 3; echo $(tasks web | uniq)", "node"),
    case(
        "a task that is killed is made again",
        ". /share/of.sh; until [ $(docker ps -q --filter label=com.docker.swarm.service.name=web | wc -l) = $(tasks web | grep -c node1) ]; do sleep 0.2; done; docker kill $(one web)
        until docker service ps web --no-trunc --format '{{.CurrentState}} {{.Error}}' | grep '^Failed.*(137)'; do sleep 0.2; done; until_tasks web 3; echo again",
        "again",
    ),
    case(
        "a rolling update",
        ". /share/of.sh; docker service update --quiet --detach=false --no-resolve-image --update-parallelism 1 --update-delay 0s --env-add V=two web
        docker exec $(one web) sh -c 'echo V is $V'; docker service inspect web --format '{{.UpdateStatus.State}}'",
        "V is two\ncompleted",
    ),
    case(
        "its rollback",
        ". /share/of.sh; docker service rollback --quiet --detach=false web; docker exec $(one web) sh -c 'echo V is $V'",
        "V is one",
    ),
    case(
        "a secret and a config",
        ". /share/of.sh; echo hidden | docker secret create s1 - ; echo open | docker config create c1 -
        $S --name kept --mode global --secret s1 --config source=c1,target=/c1 bb:1 sh -c 'grep . /run/secrets/s1 /c1; grep secrets /proc/mounts; exec sleep 10000'
        docker logs $(one kept)",
        "/run/secrets/s1:hidden\n/c1:open\ntmpfs /run/secrets/s1 tmpfs ro",
    ),
    case(
        "an overlay network (VXLAN), names of dnsrr",
        ". /share/of.sh; docker network create -d overlay ov
        $S --name far --mode global --network ov --endpoint-mode dnsrr --hostname '{{.Node.Hostname}}' bb:1 sh -c 'hostname > /tmp/index.html; exec httpd -f -p 8080 -h /tmp'
        until docker exec $(one far) nslookup far | grep -c '^Address.*10\\.' | grep -qx 3; do sleep 0.5; done
        docker exec $(one far) sh -c 'for to in $(nslookup far | sed -n \"s/^Address: *\\(10[0-9.]*\\).*/\\1/p\"); do wget -qO- http://$to:8080/; done' | sort",
        "node1\nnode2\nnode3\n",
    ),
    case(
        "a job, and its exit code",
        ". /share/of.sh; $S --detach=true --name job --mode replicated-job --restart-condition none bb:1 sh -c 'exit 5'
        until docker service ps job --no-trunc --format '{{.Error}}' | grep .; do sleep 0.2; done",
        "non-zero exit (5)",
    ),
    case(
        "a command that is not there",
        ". /share/of.sh; $S --detach=true --name none --mode replicated-job --restart-condition none bb:1 /nosuch
        until docker service ps none --no-trunc --format '{{.Error}}' | grep .; do sleep 0.2; done",
        "/nosuch",
    ),
    case(
        "a node cut off: its tasks run on the others",
        ". /share/of.sh; docker service scale --detach=true web=6
        until docker node ls --format '{{.Hostname}} {{.Status}}' | grep -qx 'node3 Down'; do sleep 0.5; done
        until_tasks web 6; echo $(tasks web | uniq)",
        "node1 node2\n",
    )
    .after(Prepare::Cut(3)),
    case(
        "and back: it has its tasks of global services",
        ". /share/of.sh; until docker node ls --format '{{.Hostname}} {{.Status}}' | grep -qx 'node3 Ready'; do sleep 0.5; done
        docker service update --quiet --detach=true --force web; until tasks web | grep -q node3; do sleep 0.5; done; until_tasks all 3; echo $(tasks all)",
        "node1 node2 node3",
    )
    .after(Prepare::Connect(3)),
    case(
        "a node killed: its tasks run on the others",
        ". /share/of.sh; until docker node ls --format '{{.Hostname}} {{.Status}}' | grep -qx 'node2 Down'; do sleep 0.5; done
        until_tasks web 6; tasks web | grep -c node2; tasks web | wc -l",
        "0\n6\n",
    )
    .after(Prepare::Kill(2)),
    case(
        "and started again",
        ". /share/of.sh; until docker node ls --format '{{.Hostname}} {{.Status}}' | grep -qx 'node2 Ready'; do sleep 0.5; done; until_tasks all 3; echo $(tasks all)",
        "node1 node2 node3",
    )
    .after(Prepare::Start(2)),
    case(
        "all services removed: nothing is left",
        "test $(hostname) != node1 || docker service rm $(docker service ls -q)
        for round in $(seq 100); do
            left=$(docker ps -q; find /run/docker/runtime-*/moby /sys/fs/cgroup/*/docker -mindepth 1 -type d 2>/dev/null)
            test -z \"$left\" && echo nothing && docker ps -a --format '{{.Names}} {{.Status}}' > /share/logs/ps.$(hostname) && exit 0; sleep 0.5
        done; echo \"$left\"; exit 1",
        "nothing\nnothing\nnothing\n",
    )
    .everywhere()
    .calls("delete"),
];
