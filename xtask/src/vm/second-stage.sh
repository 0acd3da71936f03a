#!/bin/sh
# Process one of a machine whose root is not whole yet: debootstrap's second stage, by the architecture's own programs. Says on the
# report's port whether that went well, and switches the machine off.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH DEBIAN_FRONTEND=noninteractive LC_ALL=C HOME=/root
for report in /dev/vport*p1 /dev/ttyS1; do [ -c "$report" ] && break; done
mount -o remount,rw /
echo "%% booted $(uname -r) $(cut -d' ' -f1 /proc/uptime)" > "$report"
# No service is ever started in it.
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
if /debootstrap/debootstrap --second-stage > /second-stage.log 2>&1; then
    rm -rf /var/cache/apt/* /var/lib/apt/lists/*
    # Tests use it as ordinary users too.
    find / -xdev -type d ! -perm -755 -exec chmod a+rx {} +
    find / -xdev -type f ! -perm -444 -exec chmod a+r {} +
    echo '%% done' > "$report"
else
    tail -n 20 /second-stage.log > "$report"
fi
sync
mount -o remount,ro /
exec /bin/busybox poweroff -f
