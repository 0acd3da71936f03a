# Holds what a cluster is made of, and removes it however the task ends: the task's death closes stdin.
# $1: the directory of all, $2: the name of all cgroups
trap '' INT TERM HUP QUIT
# The host's /proc stays: by it processes in here are known by their numbers out there.
unshare --fork --pid --mount --net --kill-child --propagation private sh -c '
    ip link set lo up
    ip link add br0 type bridge
    ip address add 10.77.0.254/24 dev br0
    ip link set br0 up
    read -r pid rest < /proc/self/stat
    echo "$pid"
    # A shell that waits reaps whatever falls to it.
    while :; do sleep 1000; done
' < /dev/null 2> "$1/keeper.log" &
unshare=$!
read -r rest
# The first process: once unshare has seen its end, all others of the namespace are gone.
for pid in $(cat "/proc/$unshare/task/$unshare/children"); do kill -KILL "$pid"; done
wait "$unshare"
for round in 1 2 3 4 5 6 7 8 9 10; do
    for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/*; do
        if [ -d "$hierarchy/$2" ]; then find "$hierarchy/$2" -depth -type d -exec rmdir {} \; 2>/dev/null; fi
    done
    ls -d /sys/fs/cgroup/"$2" /sys/fs/cgroup/*/"$2" > /dev/null 2>&1 || break
    sleep 0.5
done
rm -rf --one-file-system "$1"
