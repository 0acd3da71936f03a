//! What goes wrong, what is many, and what is left.

use super::super::case::{Case, Prepare, case};

/// Deletes the pods of `web` until each node has some: who looks for what moves needs it to have been there.
const SPREAD: &str = ". /share/lib.sh; kubectl delete pods -l app=web --wait=false > /dev/null; until_pods web 4
    until [ $(where | sort -u | wc -l) = 3 ]; do remove $(kubectl get pods -l app=web -o name | head -1); until_pods web 4; ready pods -l app=web; done; where | sort -u > /share/before; echo $(cat /share/before)";

pub(super) const CASES: &[Case] = &[
    case(
        "a command that is not there: the pod's event has our words",
        ". /share/lib.sh; pod nocommand << END
  containers: [{name: c, image: bb:1, command: [/nosuch]}]
END
        until_event nocommand 'process.args'; remove pod nocommand",
        "/nosuch",
    ),
    case(
        "a volume at a file's place: the event names the mount",
        ". /share/lib.sh; pod badmount << END
  containers: [{name: c, image: bb:1, command: [sleep, '1000'], volumeMounts: [{name: w, mountPath: /etc/passwd}]}]
  volumes: [{name: w, emptyDir: {}}]
END
        until_event badmount 'mounts\\['; remove pod badmount",
        "/etc/passwd",
    ),
    case(
        "a sysctl whose value the kernel refuses: the event names it",
        ". /share/lib.sh; pod badsysctl << END
  securityContext: {sysctls: [{name: net.ipv4.ip_local_port_range, value: 'nonsense'}]}
  containers: [{name: c, image: bb:1, command: [sleep, '1000']}]
END
        until_event badsysctl 'ip_local_port_range'; remove pod badsysctl",
        "linux.sysctl",
    ),
    case(
        "a RuntimeClass whose binary is not there",
        ". /share/lib.sh; pod nobinary << END
  runtimeClassName: missing
  containers: [{name: c, image: bb:1, command: [sleep, '1000']}]
END
        until_event nobinary 'FailedCreatePodSandBox'; phase nobinary; remove pod nobinary",
        "/share/nosuch",
    )
    .looks(),
    case(
        "a RuntimeClass whose handler containerd does not have",
        ". /share/lib.sh; pod nohandler << END
  runtimeClassName: unknown
  containers: [{name: c, image: bb:1, command: [sleep, '1000']}]
END
        until_event nohandler 'FailedCreatePodSandBox'; phase nohandler; remove pod nohandler",
        "no runtime for \"unknown\" is configured\nPending",
    )
    .looks(),
    case(
        "kubectl apply --dry-run=server of docs/cluster: taken, and with a wrong field refused",
        "kubectl apply --dry-run=server -f /share/docs
        for file in /share/docs/*.yaml; do sed 's/^kind: RuntimeClass/&\\nnonsense: 1/; s/^spec:/&\\n  nonsense: 1/' $file | kubectl apply --dry-run=server -f - 2>&1 | grep -c 'unknown field'; done",
        "(server dry run)\n1\n1\n1\n",
    )
    .looks(),
    case(
        "the DaemonSet of docs/cluster installs the binary on every node",
        ". /share/lib.sh; kubectl apply -f /share/docs/install.yaml; kubectl -n kube-system rollout status --timeout=60s daemonset/seclude-install
        kubectl -n kube-system get pods -o name | wc -l; remove -n kube-system daemonset seclude-install; cmp /share/seclude-oci /opt/seclude/bin/seclude-oci && /opt/seclude/bin/seclude-oci --version",
        "seclude-oci",
    ),
    case(
        "start of a pod, from kubectl to its process: p50 of 20, runc in turn",
        ". /share/lib.sh; up() { cut -d' ' -f1 /proc/uptime; }
        begin() {
            start=$(up)
            pod p$1-$2 << END
  runtimeClassName: $1
  nodeName: node1
  restartPolicy: Never
  containers: [{name: c, image: bb:1, command: [cat, /proc/uptime]}]
END
            until_phase p$1-$2 Succeeded; echo $start $(kubectl logs p$1-$2) >> /share/$1.times; of_runc p$1-$2; kubectl delete pod p$1-$2 --wait=false > /dev/null
        }
        for number in $(seq 20); do begin seclude $number; begin runc $number; done
        p50() { awk '{print int(($2 - $1) * 1000 + 0.5)}' /share/$1.times | sort -n | sed -n 10p; }
        echo seclude $(p50 seclude) ms, runc $(p50 runc) ms",
        " ms, runc ",
    )
    .within(280)
    .measures(),
    case(
        "kubelet and containerd killed and started again: pods run on",
        ". /share/lib.sh; until_nodes 3; one=$(kubectl get pods -l app=each --field-selector spec.nodeName=node1 -o name); 
        until begun=$(kubectl exec $one -- cut -d' ' -f22 /proc/1/stat 2>/dev/null); do sleep 0.3; done; daemon=$(cut -d' ' -f22 /proc/$(pgrep -xo containerd)/stat)
        test $begun -lt $daemon && echo it is older; kubectl get $one -o 'jsonpath={.status.containerStatuses[0].restartCount} restarts'; echo; remove $one; kubectl rollout status --timeout=60s daemonset/each",
        "it is older\n0 restarts",
    )
    .after(Prepare::Restart(1)),
    case("pods on all nodes, before any is lost", SPREAD, "node1 node2 node3").within(300),
    case(
        "a node killed: its pods run on the others",
        ". /share/lib.sh; until_nodes 2; where() { kubectl get pods -l app=web --field-selector status.phase=Running -o 'jsonpath={range .items[?(@.status.containerStatuses[0].ready==true)]}{.spec.nodeName}{\"\\n\"}{end}' | grep -v node3; }
        until [ $(where | wc -l) = 4 ]; do sleep 0.5; done; echo $(where | sort -u)",
        "node1 node2",
    )
    .after(Prepare::Kill(3)),
    case(
        "and started again: it has its pod of the DaemonSet",
        ". /share/lib.sh; until_nodes 3; kubectl rollout status --timeout=80s daemonset/each; until_pods web 4; ready pods -l app=each; kubectl get pods -l app=each --no-headers | grep -c Running",
        "3\n",
    )
    .after(Prepare::Start(3)),
    case("pods on all nodes again", SPREAD, "node1 node2 node3").within(300),
    case(
        "a node cut off: its pods run on the others",
        ". /share/lib.sh; until_nodes 2; where() { kubectl get pods -l app=web --field-selector status.phase=Running -o 'jsonpath={range .items[?(@.status.containerStatuses[0].ready==true)]}{.spec.nodeName}{\"\\n\"}{end}' | grep -v node2; }
        until [ $(where | wc -l) = 4 ]; do sleep 0.5; done; echo $(where | sort -u)",
        "node1 node3",
    )
    .after(Prepare::Cut(2)),
    case(
        "and back: what it ran is gone, and its pod of the DaemonSet runs",
        ". /share/lib.sh; until_nodes 3; until_pods web 4; kubectl rollout status --timeout=80s daemonset/each; until_pods each 3; echo all",
        "all",
    )
    .after(Prepare::Connect(2))
    .looks(),
    case(
        "30 pods on one node",
        ". /share/lib.sh; kubectl apply -f - << END
apiVersion: apps/v1
kind: Deployment
metadata: {name: thirty}
spec: {replicas: 30, selector: {matchLabels: {app: thirty}}, template: {metadata: {labels: {app: thirty}}, spec: {nodeName: node2, automountServiceAccountToken: false, terminationGracePeriodSeconds: 1, containers: [{name: c, image: bb:1, command: [sleep, '10000']}]}}}
END
        kubectl rollout status --timeout=120s deployment/thirty > /dev/null; kubectl get pods -l app=thirty -o wide --no-headers | grep -c 'Running.*node2'; kubectl delete deployment thirty; until_pods thirty 0",
        "30\n",
    )
    .within(200),
    case(
        "200 pods made and removed: the time of both",
        ". /share/lib.sh; begun=$(date +%s); kubectl apply -f - << END
apiVersion: apps/v1
kind: Deployment
metadata: {name: many}
spec: {replicas: 200, selector: {matchLabels: {app: many}}, template: {metadata: {labels: {app: many}}, spec: {automountServiceAccountToken: false, terminationGracePeriodSeconds: 1, containers: [{name: c, image: bb:1, command: [sleep, '10000']}]}}}
END
        kubectl rollout status --timeout=500s deployment/many > /dev/null; made=$(date +%s); kubectl get pods -l app=many --no-headers | grep -c ' Running ' | sed 's/$/ run/'
        kubectl delete deployment many; until_pods many 0; echo made in $((made - begun)) s, removed in $(($(date +%s) - made)) s",
        "200 run",
    )
    .within(900)
    .measures(),
    case(
        "all removed: nothing is left on any node",
        "test $(hostname) != node1 || kubectl delete deployment,daemonset,statefulset,job,cronjob,pod --all --wait=true --timeout=150s > /dev/null
        for round in $(seq 80); do
            left=$(find /run/containerd/runc/k8s.io /run/containerd/io.containerd.runtime.v2.task/k8s.io /run/netns /var/lib/kubelet/pods -mindepth 1 -maxdepth 1
                find /sys/fs/cgroup/*/kubepods -type d -name 'pod*' | grep -vFf /share/runc.uids; ls /sys/class/net | grep veth; ip -o link show type veth | grep -v eth0; grep -E 'kubelet/pods|k8s.io' /proc/mounts; pgrep -a containerd-shim; pgrep -a seclude-init)
            test -z \"$left\" && echo nothing && exit 0; sleep 0.5
        done 2>/dev/null; echo \"$left\"; exit 1",
        "nothing\nnothing\nnothing\n",
    )
    .everywhere()
    .calls("delete")
    .within(240),
];
