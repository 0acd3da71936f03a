//! Kubernetes: a control plane on the first node, and containerd with our runtime as its default, beside runc, on all.

mod build;
mod cases;
mod faults;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::super::image;
use super::Cluster;
use super::case::Case;
use super::nodes::{NODES, Nodes};
use crate::progress::Progress;
use crate::workspace::{root, run};

pub(super) struct Kubernetes {
    programs: PathBuf,
}

impl Kubernetes {
    pub(super) fn new(progress: &mut Progress) -> Result<Kubernetes> {
        let debian = crate::rootfs::node()?;
        Ok(Kubernetes { programs: build::programs(&debian, progress)? })
    }
}

/// Of the control plane; the admin's and the kubelets' names are in the tokens.
const CONTROL: [(&str, &str); 3] = [
    (
        "etcd",
        "etcd --data-dir /run/etcd --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 --initial-cluster default=http://127.0.0.1:2380",
    ),
    (
        "kube-apiserver",
        "kube-apiserver --etcd-servers=http://127.0.0.1:2379 --service-cluster-ip-range=10.96.0.0/16 --token-auth-file=/share/tokens.csv --authorization-mode=Node,RBAC --cert-dir=/run/pki --service-account-key-file=/share/sa.key --service-account-signing-key-file=/share/sa.key --service-account-issuer=https://cluster --advertise-address=10.77.0.1 --allow-privileged=true --disable-admission-plugins=ServiceAccount --kubelet-preferred-address-types=InternalIP --default-not-ready-toleration-seconds=3 --default-unreachable-toleration-seconds=3",
    ),
    (
        "kube-controller-manager",
        "kube-controller-manager --leader-elect=false --node-eviction-rate=10 --kubeconfig=/share/kubeconfig --service-account-private-key-file=/share/sa.key --node-monitor-period=1s --node-monitor-grace-period=10s --kube-api-qps=100 --kube-api-burst=200 --concurrent-gc-syncs=5 --terminated-pod-gc-threshold=1000",
    ),
];

const SCHEDULER: &str =
    "kube-scheduler --leader-elect=false --kubeconfig=/share/kubeconfig --kube-api-qps=100 --kube-api-burst=200";

const KUBECONFIG: &str = "apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: \"https://10.77.0.1:6443\", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: admin-token}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
";

const CLASSES: &str = "kubectl apply -f - << END
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: runc}
handler: runc
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: missing}
handler: missing
---
apiVersion: node.k8s.io/v1
kind: RuntimeClass
metadata: {name: unknown}
handler: unknown
END
kubectl apply -f /share/docs/runtimeclass.yaml";

impl Cluster for Kubernetes {
    fn prepare(&self, nodes: &Nodes) -> Result<()> {
        let share = nodes.share();
        fs::create_dir(share.join("bin"))?;
        for program in build::PROGRAMS {
            // As many nodes as there are have one copy.
            let copy = share.join("bin").join(program);
            fs::copy(self.programs.join(program), &copy)?;
            fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
        }
        run(std::process::Command::new("cp").arg("-r").arg(root().join("docs/cluster")).arg(share.join("docs")))?;
        image::archive(&share.join("tree"), "docker.io/library/bb:1", &[], &share.join("bb.tar"))?;
        let pause = ["/bin/sh", "-c", "trap exit TERM; while :; do sleep 3600 & wait; done"];
        image::archive(&share.join("tree"), "docker.io/library/pause:1", &pause, &share.join("pause.tar"))?;
        let tree = share.join("tree");
        fs::copy(share.join("seclude-oci"), tree.join("seclude-oci"))?;
        image::archive(&tree, "docker.io/library/seclude-install:1", &[], &share.join("installer.tar"))?;
        fs::remove_file(tree.join("seclude-oci"))?;
        fs::write(share.join("node.sh"), include_str!("node.sh"))?;
        fs::write(share.join("lib.sh"), include_str!("lib.sh"))?;
        fs::write(share.join("kubeconfig"), KUBECONFIG)?;
        let mut tokens = "admin-token,admin,admin,system:masters\n".to_owned();
        for number in NODES {
            tokens.push_str(&format!("kubelet{number}-token,system:node:node{number},n{number},system:nodes\n"));
        }
        fs::write(share.join("tokens.csv"), tokens)?;
        nodes.must(1, 20, "openssl genrsa -out /share/sa.key 2048").map(drop)
    }

    fn start(&self, nodes: &Nodes, number: u32) -> Result<()> {
        nodes.must(number, 20, &format!("sh /share/node.sh {number}"))?;
        start_containerd(nodes, number)?;
        nodes.must(
            number,
            60,
            "for image in bb pause installer; do ctr -n k8s.io image import /share/$image.tar; done",
        )?;
        if number == 1 {
            for (name, words) in CONTROL {
                nodes.daemon(1, name, words)?;
            }
            nodes.daemon(1, "kube-scheduler", SCHEDULER)?;
            let ready = || Ok(nodes.shell(1, 10, "kubectl get --raw /readyz")?.0 == 0);
            nodes.soon(Duration::from_secs(120), "the control plane", ready)?;
        }
        start_kubelet(nodes, number)
    }

    fn ready(&self, nodes: &Nodes) -> Result<String> {
        nodes.must(1, 90, ". /share/lib.sh; until_nodes 3")?;
        nodes.must(1, 20, CLASSES)?;
        let containerd = nodes.must(1, 20, "containerd --version")?;
        let containerd = containerd.split(' ').nth(2).unwrap_or_default().trim_end_matches("~ds1").to_owned();
        let version = nodes.must(1, 20, "kubelet --version")?;
        Ok(format!("{} with containerd {containerd}", version.trim()))
    }

    fn cases(&self) -> Vec<&'static Case> {
        cases::CASES.iter().chain(faults::CASES).collect()
    }

    fn restart(&self, nodes: &Nodes, number: u32) -> Result<()> {
        nodes.must(number, 10, "pkill -KILL -x kubelet; pkill -KILL -x containerd; sleep 0.5")?;
        start_containerd(nodes, number)?;
        start_kubelet(nodes, number)
    }
}

fn start_containerd(nodes: &Nodes, number: u32) -> Result<()> {
    nodes.daemon(number, "containerd", "containerd")?;
    let is_up = || Ok(nodes.shell(number, 10, "ctr version")?.0 == 0);
    nodes.soon(Duration::from_secs(30), &format!("containerd of node {number}"), is_up)
}

fn start_kubelet(nodes: &Nodes, number: u32) -> Result<()> {
    nodes.daemon(
        number,
        "kubelet",
        &format!(
            "kubelet --config=/etc/kubernetes/kubelet.yaml --kubeconfig=/etc/kubernetes/kubelet.conf --container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock --hostname-override=node{number} --node-ip=10.77.0.{number}"
        ),
    )
}
