# A node: a root of its own over one Debian. It becomes the first process of its pid namespace.
# $1: the directory of the cluster, $2: the node's number, $3: the Debian, $4: what cgroups of the cluster lie below
set -e
if [ -z "$5" ]; then
    # Its cgroups are a branch of the host's, of which it shall see no more; the namespace takes that from where it is as it begins.
    for hierarchy in /sys/fs/cgroup/*/; do
        [ -e "$hierarchy/cgroup.procs" ] || continue
        mkdir -p "$hierarchy$4/node$2"
        # One that was killed comes back as a machine does: without any.
        find "$hierarchy$4/node$2" -mindepth 1 -depth -type d -exec rmdir {} \;
        for name in "$4" "$4/node$2"; do
            for file in cpuset.cpus cpuset.mems; do
                if [ -e "$hierarchy$file" ]; then cat "$hierarchy$file" > "$hierarchy$name/$file"; fi
            done
            if [ -e "$hierarchy/cgroup.clone_children" ]; then echo 1 > "$hierarchy$name/cgroup.clone_children"; fi
        done
        echo 0 > "$hierarchy$4/node$2/cgroup.procs"
    done
    exec unshare --cgroup sh "$0" "$1" "$2" "$3" "$4" inside
fi
read -r pid rest < /proc/self/stat
node="$1/node$2" root="$1/node$2/root"
mkdir -p "$node/upper" "$node/work" "$root"
mount -t overlay overlay -o "lowerdir=$3,upperdir=$node/upper,workdir=$node/work" "$root"
mkdir -p "$root/share"
mount --bind "$1/share" "$root/share"
# What keeps overlays of its own there cannot have them on one.
for name in docker containerd kubelet; do
    mkdir -p "$node/lib/$name" "$root/var/lib/$name"
    mount --bind "$node/lib/$name" "$root/var/lib/$name"
done
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --bind /sys "$root/sys"
mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
for hierarchy in /sys/fs/cgroup/*/; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    name=$(basename "$hierarchy")
    mkdir "$root/sys/fs/cgroup/$name"
    case $name in
        unified) mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/$name" ;;
        systemd) mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/$name" ;;
        *) mount -t cgroup -o "$name" cgroup "$root/sys/fs/cgroup/$name" ;;
    esac
done
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
# The kubelet sets these of the whole machine; where it finds them as it wants them it leaves them alone.
fake() {
    mkdir -p "$root/run/sysctl"
    echo "$2" > "$root/run/sysctl/${1##*/}"
    mount --bind "$root/run/sysctl/${1##*/}" "$root/proc/sys/$1"
}
fake vm/overcommit_memory 1
fake vm/panic_on_oom 0
fake kernel/panic 10
fake kernel/panic_on_oops 1
fake kernel/keys/root_maxkeys 1000000
fake kernel/keys/root_maxbytes 25000000
hostname "node$2"
echo "node$2" > "$root/etc/hostname"
{
    echo '127.0.0.1 localhost'
    for number in 1 2 3; do echo "10.77.0.$number node$number"; done
} > "$root/etc/hosts"
: > "$root/etc/resolv.conf"
mkdir -p "$root/old"
cd "$root"
pivot_root . old
cd /
umount -l old
mount --make-rshared /
echo "$pid" > "/share/node$2.new"
mv "/share/node$2.new" "/share/node$2.pid"
exec sh -c 'while :; do sleep 1000; done' < /dev/null > /dev/null 2>&1
