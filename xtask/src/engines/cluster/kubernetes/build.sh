# Builds Kubernetes in an overlay over the Debian of the nodes: nothing of this machine's own is in it.
# $1: where the sources lie in src, and all that is made; $2: the Debian
set -eu
mkdir -p "$1/upper" "$1/work" "$1/root" "$1/tmp" "$1/go/src/k8s.io"
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/upper,workdir=$1/work" "$1/root"
mkdir -p "$1/root/build"
mount --bind "$1" "$1/root/build"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
exec chroot "$1/root" env -i sh -euc '
export PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/build TMPDIR=/build/tmp
export GOPATH=/build/go GOCACHE=/build/cache CGO_ENABLED=0 GOFLAGS=-v KUBE_GIT_VERSION_FILE=/build/version
ln -sfn /build/src /build/go/src/k8s.io/kubernetes
# Without a git repository it would not know what it is.
printf "%s\n" KUBE_GIT_COMMIT=debian KUBE_GIT_TREE_STATE=clean KUBE_GIT_VERSION=v1.20.2 KUBE_GIT_MAJOR=1 KUBE_GIT_MINOR=20 > /build/version
cd /build/src
make WHAT="cmd/kubelet cmd/kube-apiserver cmd/kube-controller-manager cmd/kube-scheduler cmd/kubectl"
'
