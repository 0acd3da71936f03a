#!/bin/busybox sh
# Loads the modules, mounts the disks, and goes over to the root on the first of them.
export PATH=/bin
busybox mount -t devtmpfs dev /dev
exec < /dev/console > /dev/console 2>&1
busybox mount -t proc proc /proc
busybox mount -t sysfs sys /sys
while read -r module; do
    busybox insmod "/modules/$module" || echo "initramfs: $module was not loaded"
done < /modules/order
for _ in 1 2 3 4 5 6 7 8 9 10; do
    [ -b /dev/vdb ] && break
    busybox sleep 1
done
busybox mount -t ext4 /dev/vda /root
busybox mkdir -p /root/opt/seclude
busybox mount -t ext4 -o ro /dev/vdb /root/opt/seclude
# Where tests find a module again that they have taken away.
busybox cp -r /modules /root/opt/modules
for mounted in dev proc sys; do
    busybox mount -o move "/$mounted" "/root/$mounted"
done
exec busybox switch_root /root /opt/seclude/guest-init
