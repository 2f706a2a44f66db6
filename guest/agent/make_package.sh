#!/bin/sh
# make_package.sh AGENT_FOLDER VERSION WORK_FOLDER PACKAGE: a Debian package of the program and the unit in AGENT_FOLDER.
# Equal input gives equal bytes.
set -e
agent=$1 version=$2 tree=$3/kz-agent package=$4
source=$(dirname "$0")/package
export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-1735689600}"
umask 022

rm -rf "$tree"
mkdir -p "$tree/DEBIAN"
install -D -m 0755 "$agent/kz-agent" "$tree/usr/sbin/kz-agent"
install -D -m 0644 "$agent/kz-agent.service" "$tree/usr/lib/systemd/system/kz-agent.service"
install -m 0755 "$source/postinst" "$source/prerm" "$tree/DEBIAN"
size=$(($(wc -c <"$agent/kz-agent") / 1024 + 1))
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$(dpkg --print-architecture)/" -e "s/@SIZE@/$size/" \
    "$source/control.in" >"$tree/DEBIAN/control"
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null
