# Becomes systemd, PID 1 of a host that is booted: like holder.sh, but with the machine's files below, changes to which
# are kept in memory and forgotten, and with a whole init system. Namespaces of its own but for the network are made.
#
#   boot.sh CGROUP FILES TARGET BIND...
#     CGROUP  its own, in which this process is already
#     FILES   hosts and hostname; a folder "overlay" that is copied over the root; "root", an empty folder to mount on
#     TARGET  the target that is booted; its unit, and all others that matter, are in FILES/overlay/etc/systemd/system
#     BIND    FOLDER:PLACE, a folder of the machine and where the host has it
set -euo pipefail
cgroup=$1 files=$2 target=$3
shift 3

mount --make-rprivate /
mount -t tmpfs -o mode=0755 booted "$files/root"
mkdir "$files"/root/{upper,work,new}
mount -t overlay -o "lowerdir=/,upperdir=$files/root/upper,workdir=$files/root/work" overlay "$files/root/new"
root=$files/root/new
rm -rf "$root/etc/systemd/system" # what the machine itself starts
cp -a "$files/overlay/." "$root/"

mount -t proc proc "$root/proc"
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys" # shows the interfaces of this namespace
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755 dev "$root/dev"
mkdir "$root"/dev/{pts,shm,net}
for device in null zero full random urandom tty net/tun kvm; do
    [ -e "/dev/$device" ] || continue
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t tmpfs -o mode=0755 run "$root/run"
for bind; do
    mkdir -p "$root${bind#*:}"
    mount --bind "${bind%%:*}" "$root${bind#*:}"
done
for file in hosts hostname; do
    cp "$files/$file" "$root/etc/$file"
done
hostname "$(cat "$files/hostname")"

cd "$root"
pivot_root . .
umount -l .
cd /
# "container": systemd leaves clocks, devices and the like to the machine.
exec env -i container=kzlab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "${KZLAB_MEMBER:+KZLAB_MEMBER=$KZLAB_MEMBER}" \
    /lib/systemd/systemd --system --unit="$target" --show-status=no </dev/null >/dev/null 2>&1
