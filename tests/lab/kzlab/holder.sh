# Becomes the process that holds a node's namespaces (unshare has made them). It gives the node a root directory of
# tmpfs into which everything of the machine is bound, so that the node can have folders, an /etc/hosts and a /run of
# its own without a trace on the machine.
#
#   holder.sh NAME FILES SYSTEM [CGROUP]
#     FILES   hosts, hostname and machine-id of the node
#     SYSTEM  what the node sees as /system
#     CGROUP  what the node sees as its cgroup file system
set -euo pipefail
name=$1 files=$2 system=$3 cgroup=${4:-}

root=$(mktemp -d "$files/root.XXXXXX")
mount -t tmpfs -o mode=0755 "$name" "$root"
mount --make-unbindable "$root" # or it would be bound into itself with the folder that holds it
shopt -s dotglob
for entry in /*; do
    copy=$root$entry
    if [ -L "$entry" ]; then
        cp -P "$entry" "$copy"
    elif [ -d "$entry" ]; then
        mkdir "$copy"
        case $entry in
            /run | /system) ;;
            /sys) mount -t sysfs -o nosuid,nodev,noexec sysfs "$copy" ;; # shows the interfaces of this namespace
            *) mount --rbind "$entry" "$copy" ;;
        esac
    fi
done
mkdir -p "$root/run" "$root/system"
mount -t tmpfs -o mode=0755 run "$root/run" # no systemd, no udev, no sockets of the machine's daemons
mount --bind "$system" "$root/system"
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
