# What a node of Kubernetes has before its daemons start.
# $1: the node's number
set -e
mkdir -p /etc/containerd /etc/cni/net.d /etc/kubernetes /var/lib/kubelet/seccomp /var/log/pods
cat > /etc/cni/net.d/10-bridge.conflist << END
{"cniVersion": "0.3.1", "name": "bridge", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.24$1.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
END
for other in 1 2 3; do
    [ "$other" = "$1" ] || ip route replace "10.24$other.0.0/24" via "10.77.0.$other"
done
echo 1 > /proc/sys/net/ipv4/ip_forward
cat > /etc/containerd/config.toml << END
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    default_runtime_name = "seclude"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.seclude]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.seclude.options]
        BinaryName = "/share/runtime"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.missing]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.missing.options]
        BinaryName = "/share/nosuch"
END
sed "s/admin-token/kubelet$1-token/" /share/kubeconfig > /etc/kubernetes/kubelet.conf
cat > /etc/kubernetes/kubelet.yaml << END
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
failSwapOn: false
resolvConf: ""
maxOpenFiles: 20000
makeIPTablesUtilChains: false
oomScoreAdj: 0
nodeLeaseDurationSeconds: 8
nodeStatusUpdateFrequency: 2s
kubeAPIQPS: 100
kubeAPIBurst: 200
registryPullQPS: 0
eventRecordQPS: 0
evictionHard: {memory.available: "1Mi", nodefs.available: "1%", imagefs.available: "1%"}
END
# A profile of a node's own: nobody makes a directory.
echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}' \
    > /var/lib/kubelet/seccomp/no-mkdir.json
