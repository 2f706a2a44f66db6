# Becomes the process that holds a node's namespaces (unshare has made them). It gives the node a root directory of
# tmpfs into which everything of the machine is bound, so that the node can have folders, an /etc/hosts and a /run of
# its own without a trace on the machine.
#
#   holder.sh NAME FILES ROOT [CGROUP]
#     FILES   hosts, hostname and machine-id of the node, and what it sees as /system
#     ROOT    the node's KZONES_ROOT; its var/lib/zones is also the node's /var/lib/zones, where templates put disks
#     CGROUP  what the node sees as its cgroup file system
set -euo pipefail
shopt -s dotglob nullglob
name=$1 files=$2 kzones=$3 cgroup=${4:-}

root=$(mktemp -d "$files/root.XXXXXX")
mount -t tmpfs -o mode=0755 "$name" "$root"
mount --make-unbindable "$root" # or it would be bound into itself with the folder that holds it

# mirror FOLDER NAMES: everything in FOLDER but what the words NAMES name stands in the new root too.
mirror() {
    local entry copy
    for entry in "${1%/}"/*; do
        case " $2 " in *" ${entry##*/} "*) continue ;; esac
        copy=$root$entry
        if [ -L "$entry" ]; then
            cp -P "$entry" "$copy"
        elif [ -d "$entry" ]; then
            mkdir "$copy"
            mount --rbind "$entry" "$copy"
        elif [ -f "$entry" ]; then
            touch "$copy"
            mount --bind "$entry" "$copy"
        fi
    done
}
mkdir -p "$root"/{run,sys,system,var/lib/zones}
mirror / "run sys system var"
mirror /var "lib"
mirror /var/lib "zones"
mount -t tmpfs -o mode=0755 run "$root/run" # no systemd, no udev, no sockets of the machine's daemons
mount -t sysfs -o nosuid,nodev,noexec sysfs "$root/sys" # shows the interfaces of this namespace
mount --bind "$files/system" "$root/system"
mount --bind "$kzones/var/lib/zones" "$root/var/lib/zones"
[ -z "$cgroup" ] || mount --bind "$cgroup" "$root/sys/fs/cgroup"
for file in hosts hostname machine-id; do
    [ ! -e "/etc/$file" ] || mount --bind "$files/$file" "$root/etc/$file"
done

cd "$root"
pivot_root . .
umount -l .
cd /
rmdir "$root"
hostname "$name"
echo ready
exec -a "kzlab-$name" sleep infinity </dev/null >/dev/null 2>&1
