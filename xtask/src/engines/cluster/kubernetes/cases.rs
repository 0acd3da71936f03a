//! What pods are made of.

use super::super::case::{Case, case};

/// Of runc's only what shows that both are in one cluster.
pub(super) const CASES: &[Case] = &[
    case(
        "RuntimeClass runc, in the same cluster",
        ". /share/lib.sh; once beside 'echo id $(id -u)' '' '  runtimeClassName: runc'",
        "id 0",
    )
    .alone(),
    case(
        "RuntimeClass seclude",
        ". /share/lib.sh; once classed 'grep -q sh /proc/1/comm && echo id $(id -u)' '' '  runtimeClassName: seclude'",
        "id 0",
    ),
    case("without a RuntimeClass: the node's default", ". /share/lib.sh; once plain 'echo id $(id -u)'", "id 0"),
    case(
        "Deployment: limits, readiness, liveness by exec",
        ". /share/lib.sh; kubectl apply -f - << END
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  strategy: {rollingUpdate: {maxUnavailable: 1}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      containers:
      - name: c
        image: bb:1
        env: [{name: V, value: one}]
        command: [sh, -c, 'hostname > /tmp/index.html; exec httpd -f -p 8080 -h /tmp']
        resources: {requests: {cpu: 20m, memory: 16Mi}, limits: {cpu: 200m, memory: 64Mi}}
        readinessProbe: {httpGet: {path: /index.html, port: 8080}, periodSeconds: 1}
        livenessProbe: {exec: {command: [cat, /tmp/index.html]}, periodSeconds: 2}
END
        kubectl rollout status --timeout=60s deployment/web
        kubectl exec deployment/web -- sh -c 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us'",
        "67108864\n20000\n",
    ),
    case(
        "pods reach each other across nodes",
        ". /share/lib.sh; from=$(kubectl get pods -l app=web -o name | head -1)
        for to in $(kubectl get pods -l app=web -o 'jsonpath={.items[*].status.podIP}'); do kubectl exec $from -- wget -qO- http://$to:8080/index.html; done | sort -u | grep -c ^web
        kubectl get pods -l app=web -o 'jsonpath={range .items[*]}{.spec.nodeName}{\"\\n\"}{end}' | sort -u | wc -l",
        "4\n3\n",
    )
    .calls("exec"),
    case(
        "a liveness probe that fails: the container is made again",
        ". /share/lib.sh; one=$(kubectl get pods -l app=web -o name | head -1); kubectl exec $one -- rm /tmp/index.html
        until test \"$(kubectl get $one -o 'jsonpath={.status.containerStatuses[0].restartCount}')\" = 1; do sleep 0.3; done; ready $one; echo again",
        "again",
    ),
    case(
        "a rolling update",
        ". /share/lib.sh; kubectl set env deployment/web V=two; kubectl rollout status --timeout=80s deployment/web; until_pods web 4; kubectl exec deployment/web -- sh -c 'echo V is $V'",
        "V is two",
    ),
    case(
        "its rollback",
        ". /share/lib.sh; kubectl rollout undo deployment/web; kubectl rollout status --timeout=80s deployment/web; until_pods web 4; kubectl exec deployment/web -- sh -c 'echo V is $V'",
        "V is one",
    ),
    case(
        "port-forward",
        "kubectl port-forward deployment/web 18080:8080 > /dev/null & sleep 1; busybox wget -qO- http://127.0.0.1:18080/index.html; kill $!",
        "web-",
    )
    .looks(),
    case(
        "exec: its exit code, its standard input",
        "kubectl exec deployment/web -- sh -c 'exit 9'; echo code $?; echo carried | kubectl exec -i deployment/web -- tr a-z A-Z",
        "code 9\nCARRIED",
    )
    .calls("exec"),
    case(
        "stats of the kubelet, which kubectl top is made of",
        "for round in $(seq 60); do for node in 1 2 3; do kubectl get --raw /api/v1/nodes/node$node/proxy/stats/summary; done | jq -r '.pods[]? | select(.podRef.name | startswith(\"web-\")) | select(.containers[0].memory.workingSetBytes > 0) | .podRef.name' | sort -u | grep -c web- | grep -x 4 && exit 0; sleep 1; done; exit 1",
        "4",
    )
    .looks(),
    case(
        "Job: three completions in parallel",
        "kubectl create -f - << END
apiVersion: batch/v1
kind: Job
metadata: {name: job}
spec: {completions: 3, parallelism: 3, template: {spec: {automountServiceAccountToken: false, restartPolicy: Never, containers: [{name: c, image: bb:1, command: [echo, done]}]}}}
END
        kubectl wait --for=condition=complete --timeout=60s job/job; kubectl logs -l job-name=job --prefix=false | grep -c done; kubectl delete job job",
        "3\n",
    ),
    case(
        "Job that fails: its exit code",
        "kubectl create job fails --image=bb:1 -- sh -c 'exit 3'; kubectl patch job fails -p '{\"spec\":{\"activeDeadlineSeconds\":30,\"backoffLimit\":0}}'
        until kubectl get pods -l job-name=fails -o 'jsonpath={.items[0].status.containerStatuses[0].state.terminated.exitCode}{.items[0].status.containerStatuses[0].lastState.terminated.exitCode}' | grep 3; do sleep 0.3; done; kubectl delete job fails",
        "3",
    ),
    case(
        "CronJob (v1beta1), by its schedule",
        "kubectl create cronjob often --image=bb:1 --schedule='* * * * *' --restart=Never -- sh -c 'echo ticked'
        until kubectl logs -l job-name --tail=5 2>/dev/null | grep ticked; do sleep 1; done; kubectl delete cronjob often",
        "ticked",
    )
    .within(120),
    case(
        "DaemonSet: one on each node",
        "kubectl apply -f - << END
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: each}
spec: {selector: {matchLabels: {app: each}}, template: {metadata: {labels: {app: each}}, spec: {automountServiceAccountToken: false, terminationGracePeriodSeconds: 1, containers: [{name: c, image: bb:1, command: [sleep, '10000']}]}}}
END
        kubectl rollout status --timeout=60s daemonset/each; echo $(kubectl get pods -l app=each -o 'jsonpath={range .items[*]}{.spec.nodeName}{\"\\n\"}{end}' | sort)",
        "node1 node2 node3",
    ),
    case(
        "StatefulSet with a volume of the node's (hostPath): what it writes outlives its pods",
        ". /share/lib.sh; kubectl apply -f - << END
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: kept}
spec:
  serviceName: kept
  selector: {matchLabels: {app: kept}}
  template:
    metadata: {labels: {app: kept}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 1
      nodeName: node2
      containers: [{name: c, image: bb:1, command: [sh, -c, 'echo begun >> /data/log; exec sleep 10000'], volumeMounts: [{name: data, mountPath: /data}]}]
      volumes: [{name: data, hostPath: {path: /var/kept, type: DirectoryOrCreate}}]
END
        until kubectl get pod kept-0 >/dev/null 2>&1; do sleep 0.3; done; ready pod/kept-0; kubectl delete pod kept-0; sleep 0.5
        until kubectl get pod kept-0 >/dev/null 2>&1; do sleep 0.3; done; ready pod/kept-0
        kubectl exec kept-0 -- sh -c 'grep -c begun /data/log'; remove statefulset kept",
        "2\n",
    ),
    case(
        "init containers, in their order, and a volume that they share",
        ". /share/lib.sh; once inits 'cat /w/log' 'volumeMounts: [{name: w, mountPath: /w}]' '  volumes: [{name: w, emptyDir: {}}]
  initContainers:
  - {name: a, image: bb:1, command: [sh, -c, echo a >> /w/log], volumeMounts: [{name: w, mountPath: /w}]}
  - {name: b, image: bb:1, command: [sh, -c, echo b >> /w/log], volumeMounts: [{name: w, mountPath: /w}]}'",
        "a\nb\n",
    ),
    case(
        "ConfigMap, Secret, and an emptyDir in memory with a size",
        ". /share/lib.sh; kubectl create configmap cm --from-literal=k=open; kubectl create secret generic sec --from-literal=k=hidden
        once volumes 'cat /cm/k /sec/k; echo; touch /cm/x; grep \" /mem \" /proc/mounts; echo env $K' 'env: [{name: K, valueFrom: {secretKeyRef: {name: sec, key: k}}}], volumeMounts: [{name: cm, mountPath: /cm}, {name: sec, mountPath: /sec}, {name: mem, mountPath: /mem}]' '  volumes: [{name: cm, configMap: {name: cm}}, {name: sec, secret: {secretName: sec}}, {name: mem, emptyDir: {medium: Memory, sizeLimit: 8Mi}}]' | tee /share/volumes; grep -q 'openhidden' /share/volumes && grep -q 'touch: /cm/x: Read-only' /share/volumes && grep -q '^tmpfs /mem tmpfs' /share/volumes && echo env and all",
        "env and all",
    ),
    case(
        "securityContext: a user, a read-only root, no capabilities, no new privileges",
        ". /share/lib.sh; once confined 'id -u; id -g; touch /x; grep -E \"CapBnd|NoNewPrivs\" /proc/self/status' 'securityContext: {runAsUser: 1000, runAsGroup: 2000, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}'",
        "1000\n2000\ntouch: /x: Read-only file system\nCapBnd:\t0000000000000000\nNoNewPrivs:\t1\n",
    ),
    case(
        "capabilities that are added",
        ". /share/lib.sh; once more 'grep CapEff /proc/self/status' 'securityContext: {capabilities: {drop: [ALL], add: [NET_ADMIN]}}'",
        "CapEff:\t0000000000001000\n",
    ),
    case(
        "without a seccompProfile there is none",
        ". /share/lib.sh; once open 'grep Seccomp: /proc/self/status'",
        "Seccomp:\t0",
    ),
    case(
        "seccompProfile RuntimeDefault",
        ". /share/lib.sh; once filtered 'grep Seccomp: /proc/self/status; unshare -U true' 'securityContext: {seccompProfile: {type: RuntimeDefault}}'",
        "Seccomp:\t2\nunshare: unshare(0x10000000): Operation not permitted",
    ),
    case(
        "seccompProfile Localhost: the node's own",
        ". /share/lib.sh; once local 'mkdir /tmp/x; touch /tmp/y && echo y' 'securityContext: {seccompProfile: {type: Localhost, localhostProfile: no-mkdir.json}}'",
        "mkdir: can't create directory '/tmp/x': Operation not permitted\ny\n",
    ),
    case(
        "a sysctl that is allowed",
        ". /share/lib.sh; once sysctl 'cat /proc/sys/net/ipv4/ip_local_port_range' '' '  securityContext: {sysctls: [{name: net.ipv4.ip_local_port_range, value: \"2000 3000\"}]}'",
        "2000\t3000",
    ),
    case(
        "processes of a pod that are shared",
        ". /share/lib.sh; once shared 'ps' '' '  shareProcessNamespace: true'",
        "while :; do sleep 3600",
    ),
    case(
        "OOMKilled is told as such",
        ". /share/lib.sh; pod hungry << END
  restartPolicy: Never
  containers: [{name: c, image: bb:1, command: [sh, -c, 'dd if=/dev/zero of=/dev/null bs=200M count=1'], resources: {limits: {memory: 32Mi}}}]
END
        until kubectl get pod hungry -o 'jsonpath={.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}' | grep '[0-9]'; do sleep 0.3; done; remove pod hungry",
        "OOMKilled 137",
    ),
    case(
        "terminationMessagePath, and a preStop hook",
        ". /share/lib.sh; once last 'echo the end > /dev/termination-log; sleep 1' ; pod told << END
  containers: [{name: c, image: bb:1, command: [sleep, '1000'], volumeMounts: [{name: w, mountPath: /w}], lifecycle: {preStop: {exec: {command: [sh, -c, 'echo told > /w/told']}}}}]
  nodeName: node1
  volumes: [{name: w, hostPath: {path: /var/told, type: DirectoryOrCreate}}]
END
        ready pod/told; remove pod told; cat /var/told/told",
        "told",
    ),
];
