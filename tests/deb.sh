#!/bin/sh
# deb.sh BUILD: the packages that `make deb` has put into BUILD/deb, in a Debian
# 12 that has booted: installed, used by a member of the group tuntap, upgraded
# under traffic, removed and purged; and what lintian says of them.
set -eu

usage='usage: deb.sh BUILD'
build=$(cd "${1:?$usage}" && pwd)
cd "$(dirname "$0")/.."
debs=$build/deb
names='tuntapd tuntapctl libtuntapd0 libtuntapd-dev'

what=deb
# shellcheck source=tests/machine.sh
. tests/machine.sh

# --- the packages -----------------------------------------------------------

# Words in a binary are not looked at: where the compiler loads a string in pieces
# that overlap, lintian reads letters twice.
lintian_is_content() {
	lintian --allow-root --display-info \
		--suppress-tags spelling-error-in-binary \
		--fail-on error,warning,info "$debs"/*.changes
}

# A program is built with what is in them, and nothing else.
library_is_whole() {
	for name in libtuntapd0 libtuntapd-dev; do
		dpkg-deb -x "$debs/${name}_"*.deb "$work/unpacked"
	done
	lib=$work/unpacked/usr/lib/$(dpkg-architecture -q DEB_HOST_MULTIARCH)
	pc() {
		PKG_CONFIG_LIBDIR=$lib/pkgconfig \
		PKG_CONFIG_SYSROOT_DIR=$work/unpacked \
		PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 \
		PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
			pkg-config "$@" --cflags --libs libtuntapd
	}
	# shellcheck disable=SC2046 # words
	"${CC:-gcc}" -o "$work/shared" tests/foreign/ask.c $(pc)
	# shellcheck disable=SC2046 # words
	"${CC:-gcc}" -static -o "$work/static" tests/foreign/ask.c \
		$(pc --static)
	LD_LIBRARY_PATH=$lib "$work/shared"
	"$work/static"
	[ -e "$work/unpacked/usr/share/man/man3/ttd_send.3.gz" ]
}

# The same files by a higher version.
make_newer() {
	mkdir "$root/root/newer"
	for name in $names; do
		rm -rf "$work/newer"
		dpkg-deb -R "$debs/${name}_"*.deb "$work/newer"
		old=$(sed -n 's/^Version: //p' "$work/newer/DEBIAN/control")
		sed -i "s/\b$old\b/$old+newer/" "$work/newer/DEBIAN/control"
		dpkg-deb --root-owner-group -b "$work/newer" \
			"$root/root/newer" >/dev/null
	done
}

# apt COMMAND: in the machine, which expands it.
apt() {
	m env DEBIAN_FRONTEND=noninteractive sh -c "apt-get -y -q $1"
}
# versions: of those of ours that are installed, a line each.
versions() {
	# shellcheck disable=SC2086 # names
	m dpkg-query -W -f '${db:Status-Abbrev}${Package} ${Version}\n' $names |
		grep ^ii
}

# --- the machine before and after -------------------------------------------

# Every file with its kind, mode, owner and contents; without what belongs to
# dpkg, apt and the machine's log, and to what caches manual pages.
state() {
	find "$root" \( -path "$root/var/lib/dpkg" \
		-o -path "$root/var/lib/apt" -o -path "$root/var/cache" \
		-o -path "$root/var/log" -o -path "$root/root" \) -prune -o \
		-printf '%y %m %U:%G /%P %l\n' | sort -k 4
	find "$root/etc" "$root/usr" -type f -exec md5sum {} + |
		sed "s|$root||" | sort -k 2
}
running_state() {
	m stat -c '%n %a %U:%G' /dev/net/tun
	m find /run /dev -name '*tuntap*'
	m ip -o link | sed 's/: <.*//'
}

installs() {
	mkdir "$root/root/debs"
	for name in $names; do
		cp "$debs/${name}_"*.deb "$root/root/debs/"
	done
	apt 'install /root/debs/*.deb'
	versions
	for socket in tuntapd.socket tuntapd-admin.socket; do
		[ "$(m systemctl is-enabled "$socket")" = enabled ]
		[ "$(m systemctl is-active "$socket")" = active ]
	done
	m getent passwd tuntapd
	m getent group tuntap
	m usermod -aG tuntap member
	[ "$(m stat -c '%a %U' /run/tuntapd/admin.sock)" = '600 root' ]
	[ "$(m stat -c '%a %U %G' /etc/tuntapd/policy.d)" = '755 root root' ]
	within 10 eval '[ "$(m stat -c %U /dev/net/tun)" = tuntapd ]'
	m systemctl --failed --no-legend >"$work/units"
	cat "$work/units"
	[ ! -s "$work/units" ]
}
unit_is_sound() {
	m sh -c 'systemd-analyze verify --man=no /lib/systemd/system/tuntapd*' \
		>"$work/verify" 2>&1 || echo "exit status $?"
	cat "$work/verify"
	[ ! -s "$work/verify" ]
}
# The image has lost ping's capability.
member_pings() {
	m sysctl -q -w net.ipv4.ping_group_range='0 2147483647'
	u member tuntapctl run --tun --address 198.19.0.1/24 -- \
		ping -n -c 3 -i 0.1 198.19.0.1
	m systemctl is-active tuntapd.service
}

# Others go on being served: the sockets stay.
opens_meanwhile() {
	n=0
	until [ -e "$work/upgraded" ]; do
		u member tuntapctl run --tap -- true
		n=$((n + 1))
	done
	echo "note: $n opened meanwhile"
	[ "$n" -gt 1 ]
}
upgrade() {
	opens_meanwhile &
	opener=$!
	apt 'install /root/newer/*.deb'
	touch "$work/upgraded"
	wait "$opener"
}
upgrade_loses_nothing() {
	make_newer
	pid=$(unit MainPID)
	lossless 10 upgrade
	versions
	[ "$(versions | grep -c '+newer$')" -eq "$(versions | wc -l)" ]
	[ "$(unit ActiveState)" = active ] && [ "$(unit MainPID)" != "$pid" ]
}

# An administrator's policy stays until it is purged.
removal_ends_devices() {
	m sh -c 'echo "# mine" >/etc/tuntapd/policy.d/60-mine.conf'
	hold tun --address 198.19.0.1/24
	m ip -o link show dev "$held"
	apt 'remove tuntapd'
	no_devices
	m sh -c '! test -e /run/tuntapd && ! pgrep -x tuntapd'
	m test -e /etc/tuntapd/policy.d/60-mine.conf
	m pkill -u member || :
}

# As Debian has it, users stay: nobody else shall get their numbers.
without_users() {
	sed -e '/ \/etc\/\(passwd\|group\|g\?shadow\)-\? *$/d' "$1"
}
accounts() {
	for file in passwd group shadow gshadow; do
		m sed "s|^|$file: |" "/etc/$file"
	done
}
purge_leaves_nothing() {
	apt "purge $names"
	m systemctl daemon-reload
	[ -z "$(m systemctl list-units --all --no-legend 'tuntapd*')" ]
	accounts | diff "$work/accounts" - >"$work/rest" || :
	cat "$work/rest"
	if grep '^[<>]' "$work/rest" | grep -v tuntap; then
		echo 'another account has changed'
		exit 1
	fi
	state >"$work/after"
	running_state >"$work/running.after"
	without_users "$work/before" >"$work/a"
	without_users "$work/after" >"$work/b"
	diff "$work/a" "$work/b"
	diff "$work/running" "$work/running.after"
	echo 'note: but the user tuntapd and the groups tuntapd and tuntap'
}

# ----------------------------------------------------------------------------

ls "$debs"/*.deb >/dev/null
boot_machine
ok lintian lintian_is_content
ok library-is-whole library_is_whole
ok boots boots
m useradd member
state >"$work/before"
running_state >"$work/running"
accounts >"$work/accounts"
ok installs installs
ok unit-is-sound unit_is_sound
ok member-pings member_pings
ok upgrade-loses-nothing upgrade_loses_nothing
ok removal-ends-devices removal_ends_devices
ok purge-leaves-nothing purge_leaves_nothing

echo "deb: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
