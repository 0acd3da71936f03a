#!/bin/sh
# The host that the tests have: process one of the machine. Says how each test binary went on the second serial port,
# and switches the machine off.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH
here=/opt/seclude
user=seclude-tester
for report in /dev/vport*p1 /dev/ttyS1; do [ -c "$report" ] && break; done

mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /dev/shm 2>/dev/null || { mkdir -m 1777 /dev/shm && mount -t tmpfs tmpfs /dev/shm; }
# As udev makes them.
ln -s /proc/self/fd /dev/fd
for number in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${number%:*}" "/dev/${number#*:}"
done
mkdir -p /dev/pts
mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
mount --make-rshared /
mount -o remount,rw /
ln -sf /proc/mounts /etc/mtab
chmod 1777 /tmp /var/tmp
ip link set lo up
hostname seclude-vm
echo '127.0.0.1 localhost seclude-vm' > /etc/hosts
case $report in /dev/tty*) stty -F "$report" raw -echo ;; esac

useradd --system --user-group --home-dir /home/$user --create-home $user
usermod --add-subuids 200000-265535 --add-subgids 200000-265535 $user

# Cgroups: this shell and the tests of root in leaves, and a subtree that the user has to himself.
controllers=$(sed 's/\(^\| \)/\1+/g' /sys/fs/cgroup/cgroup.controllers)
mkdir /sys/fs/cgroup/init /sys/fs/cgroup/root-tests
echo $$ > /sys/fs/cgroup/init/cgroup.procs
delegate() {
    echo "$controllers" > /sys/fs/cgroup/cgroup.subtree_control
    own=/sys/fs/cgroup/user-tester
    mkdir $own $own/tests
    for file in . cgroup.procs cgroup.subtree_control cgroup.threads tests tests/cgroup.procs tests/cgroup.threads; do
        chown $user: $own/$file
    done
}

# as LOGIN LEAF BINARY SECONDS [ARGUMENTS]: in a cgroup, with nothing of our environment, but told that the machine is
# theirs, its sysctls and modules too. Two tests at once: with one
# the harness writes a test's name before it runs it, and what its children write stands between that and how it went.
as() {
    login=$1 leaf=$2 binary=$3 seconds=$4
    shift 4
    home=$(getent passwd "$login" | cut -d: -f6)
    timeout --kill-after=10 "$seconds" sh -c 'echo 0 > "$0" && exec "$@"' "/sys/fs/cgroup/$leaf/cgroup.procs" \
        setpriv --reuid "$login" --regid "$login" --init-groups -- \
        env -i PATH="$PATH" HOME="$home" USER="$login" SECLUDE_BIN=$here/seclude SECLUDE_OCI_BIN=$here/seclude-oci SECLUDE_TEST_MACHINE=/opt/modules RUST_BACKTRACE=0 \
        "$here/tests/$binary" --show-output --color never --test-threads 2 "$@"
}

cd /usr
started=$(cut -d' ' -f1 /proc/uptime)
echo "%% booted $(uname -r) $started" > "$report"
if [ -e $here/shell ]; then
    delegate
    exec setsid sh -c 'exec sh -i < /dev/console > /dev/console 2>&1'
fi
# Read through a descriptor of its own: tests have no stdin.
while read -r who binary seconds arguments <&9; do
    case $who in
    root) leaf=root-tests login=root ;;
    *)
        leaf=user-tester/tests login=$user
        [ -d /sys/fs/cgroup/user-tester ] || delegate
        ;;
    esac
    echo "%% begin $who $binary" > "$report"
    before=$(cut -d. -f1 /proc/uptime)
    # shellcheck disable=SC2086 # no argument has a blank
    as "$login" "$leaf" "$binary" "$seconds" $arguments < /dev/null > /run/stdout 2> /run/stderr 9<&-
    code=$?
    {
        cat /run/stdout
        printf '\n%%%% stderr\n'
        cat /run/stderr
        printf '\n%%%% end %s %s\n' "$code" $(($(cut -d. -f1 /proc/uptime) - before))
    } > "$report"
done 9< $here/plan
echo '%% done' > "$report"
sync
exec /bin/busybox poweroff -f
