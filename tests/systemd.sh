#!/bin/sh
# systemd.sh BUILD: what `make install` ships, in a systemd that has booted.
#
# A Debian 12 root is booted by systemd-nspawn, with network, pids and devices
# of its own; what is installed there is used as the README says, by root and by
# users.  networkd, NetworkManager and udev run there too: each is seen to touch a
# lease without our files, and to leave it alone with them.
#
#	QUIET_SECONDS	for which networkd must leave a lease alone (60)
set -eu

usage='usage: systemd.sh BUILD'
build=$(cd "${1:?$usage}" && pwd)
cd "$(dirname "$0")/.."
quiet=${QUIET_SECONDS:-60}
births=40			# of devices, that udev must know
exposure=1.3			# of systemd-analyze security, at most
what=systemd
# shellcheck source=tests/machine.sh
. tests/machine.sh
watchdog=$((2 * patience))	# its seconds, where it must bite

# --- checks -----------------------------------------------------------------

# What has been built, as it is.
shipped() {
	make --no-print-directory -o all B="$build" DESTDIR="$root" "$1"
}

# Every file of the machine but what it writes by itself.
files() {
	find "$root" \( -path "$root/var" -o -path "$root/run" -o \
		-path "$root/tmp" -o -path "$root/root" \) -prune -o \
		! -type d -print | sed "s|^$root||" | sort
}

# The README's block of that name.
readme() {
	awk -v mark="<!-- systemd: $1 -->" '
		$0 == mark { wanted = 1 }
		/^```/ { inside = wanted && !inside; wanted = wanted && inside }
		inside && !/^```/ { sub(/^sudo /, ""); print }' README.md
}
installs() {
	shipped install
	m ldconfig
	readme start >"$work/start"
	[ -s "$work/start" ]
	m sh -ex <"$work/start"
	m useradd -G tuntap member
	m useradd stranger
	m udevadm trigger --settle --action=add /sys/class/misc/tun
	m sh -c "stat -c '%a %U:%G %n' /dev/net/tun /run/tuntapd/*"
	[ "$(m stat -c '%a %U %G' /dev/net/tun)" = '666 tuntapd root' ]
	[ "$(m stat -c '%a %U' /run/tuntapd/tuntapd.sock)" = '666 root' ]
	[ "$(m stat -c '%a %U' /run/tuntapd/admin.sock)" = '600 root' ]
}

verify_is_clean() {
	m sh -c 'systemd-analyze verify --man=no /usr/local/lib/systemd/system/tuntapd*' \
		>"$work/verify" 2>&1 || echo "exit status $?"
	cat "$work/verify"
	[ ! -s "$work/verify" ]
}

exposure_is_low() {
	m systemd-analyze security --no-pager tuntapd.service >"$work/security"
	grep -v '^✓' "$work/security"
	sed -n 's/.*exposure level for [^:]*: /note: /p' "$work/security"
	m systemd-analyze security --no-pager \
		--threshold="$(echo "$exposure" | tr -d .)" \
		tuntapd.service >/dev/null
}

first_connection_starts_it() {
	[ "$(unit ActiveState)" = inactive ]
	# Who asks waits a second and a half; it may take longer to be there.
	u member tuntapctl status || u member tuntapctl status
	[ "$(unit ActiveState)" = active ]
}

filters_of() {
	m sed -n 's/^Seccomp_filters:	//p' "/proc/$1/status"
}
serves_as_said() {
	pid=$(unit MainPID)
	m grep -E '^(Uid|Cap|NoNewPrivs|Seccomp):?' "/proc/$pid/status"
	m grep -q "^Uid:	$(m id -u tuntapd)	" "/proc/$pid/status"
	for set in Prm Eff Bnd; do
		m grep -qx "Cap$set:	0000000000001000" "/proc/$pid/status"
	done
	for set in Inh Amb; do
		m grep -qx "Cap$set:	0000000000000000" "/proc/$pid/status"
	done
	m grep -qx 'NoNewPrivs:	1' "/proc/$pid/status"
	m grep -qx 'Seccomp:	2' "/proc/$pid/status"
	[ "$(m ps -o ni= -p "$pid" | tr -d ' \r')" = -5 ]
	# Its own comes on top of the service's, which its child has alone.
	child=$(m pgrep -P "$pid" | head -n 1)
	[ "$(filters_of "$pid")" -gt "$(filters_of "$child")" ]
	for feature in landlock seccomp; do
		m tuntapctl status --json |
			grep -q "\"name\": \"$feature\", \"has\": true"
	done
}

member_gets_a_device() {
	u member tuntapctl run --tun --address 198.19.0.1/24 -- \
		ip address show dev '{name}'
	u member tuntapctl run --tap --address 198.19.0.1/24 -- \
		ip address show dev '{name}'
}
# He reaches the daemon, and it is the policy that has nothing for him.
stranger_gets_none() {
	u stranger tuntapctl status
	if u stranger tuntapctl run --tun --address 198.19.0.1/24 -- \
			touch /tmp/stranger >"$work/stranger" 2>&1; then
		echo 'he got one'
		exit 1
	fi
	cat "$work/stranger"
	grep -q 'no rule' "$work/stranger"
	m sh -c '! test -e /tmp/stranger'
}

routes_have_a_name() {
	hold tun --address 198.19.0.1/24
	m ip route show dev "$held"
	m ip route show dev "$held" proto tuntapd | grep -q 198.19.0.0/24
	let_go
}

generation() {
	m tuntapctl status | sed -n 's/.*generation \([0-9]*\).*/\1/p'
}
reload_is_whole_or_not() {
	before=$(generation)
	[ -n "$before" ]
	m mkdir -p /etc/tuntapd/policy.d
	m systemctl reload tuntapd
	[ "$(generation)" -eq $((before + 1)) ]
	m systemctl kill -s HUP --kill-whom=main tuntapd
	within 5 eval '[ "$(generation)" -eq $((before + 2)) ]'
	within 5 m systemctl is-active -q tuntapd
	m sh -c 'echo nonsense >/etc/tuntapd/policy.d/60-bad.conf'
	if m systemctl reload tuntapd; then
		echo 'a policy with a fault was reloaded'
		exit 1
	fi
	m journalctl -b -u tuntapd -o cat | grep '60-bad.conf:1'
	m systemctl is-active tuntapd
	m rm /etc/tuntapd/policy.d/60-bad.conf
	m systemctl reload tuntapd
	m rmdir -p --ignore-fail-on-non-empty /etc/tuntapd/policy.d
}

restart_loses_nothing() {
	lossless 4 m systemctl restart tuntapd
}
kill_loses_nothing() {
	pid=$(unit MainPID)
	lossless 4 m kill -KILL "$pid"
	[ "$(unit ActiveState)" = active ] && [ "$(unit MainPID)" != "$pid" ]
}

another_serves() {
	[ "$(unit ActiveState)" = active ] && [ "$(unit MainPID)" != "$1" ]
}
stop_it() {
	pid=$(unit MainPID)
	m kill -STOP "$pid"
	within 30 another_serves "$pid"
}
watchdog_recovers() {
	m mkdir -p /run/systemd/system/tuntapd.service.d
	m sh -c 'printf "[Service]\nWatchdogSec=%ss\n" "$1" \
		>/run/systemd/system/tuntapd.service.d/50-test.conf' \
		sh "$watchdog"
	m systemctl daemon-reload
	m systemctl restart tuntapd
	# It is not the manager's patience that keeps it alive.
	pid=$(unit MainPID)
	sleep $((2 * watchdog + 1))
	[ "$(unit MainPID)" = "$pid" ]
	lossless $((4 * watchdog)) stop_it
	m journalctl -b -u tuntapd -o cat | grep -i 'watchdog timeout'
	m rm -r /run/systemd/system/tuntapd.service.d
	m systemctl daemon-reload
	m systemctl restart tuntapd
}

# --- others who manage interfaces -------------------------------------------

ours='udev/rules.d/70-tuntapd.rules systemd/network/00-tuntapd.link
systemd/network/00-tuntapd.network'

# with NAME / without NAME: the coexistence files, and who reads them.
without_files() {
	for file in $ours; do
		mv "$root/usr/local/lib/$file" "$work/"
	done
	m udevadm control --reload
}
with_files() {
	for file in $ours; do
		mv "$work/${file##*/}" "$root/usr/local/lib/$file"
	done
	m udevadm control --reload
}

start_networkd() {
	# As somebody has it who lets networkd have all that there is.
	m sh -c 'printf "[Match]\nName=*\n[Network]\nDHCP=no\nLinkLocalAddressing=ipv6\n" \
		>/etc/systemd/network/20-all.network'
	m systemctl restart systemd-networkd
	within 30 m networkctl status lo
}
stop_networkd() {
	m systemctl stop systemd-networkd.socket systemd-networkd
	m rm -f /etc/systemd/network/20-all.network
}

has_all() {
	m ip -o address show dev "$held" | grep -q '198.19.3.1/24' &&
	m ip -o address show dev "$held" | grep -q 'fd0e:e9c7:abee:3::1/64' &&
	m ip route show dev "$held" | grep -q '^198.19.4.0/24' &&
	m ip -6 route show dev "$held" | grep -q '^fd0e:e9c7:abee:4::/64'
}
hold_all() {
	hold tun --address 198.19.3.1/24 --address fd0e:e9c7:abee:3::1/64 \
		--route 198.19.4.0/24 --route fd0e:e9c7:abee:4::/64
}
lacks_some() {
	! has_all
}
# It takes away what a device has when it comes to it, and leaves what comes
# afterwards.  So with a device that was there first it is sure to do harm, and
# with one that comes later unless udev and networkd are faster than the daemon,
# which on a busy machine they sometimes are.
networkd_breaks_it() {
	without_files
	hold_all
	has_all
	start_networkd
	within 30 lacks_some
	m networkctl list --no-pager
	m ip address show dev "$held"
	m ip route show dev "$held"
	tries_left=5
	until comes_later && within 5 lacks_some; do
		tries_left=$((tries_left - 1))
		[ "$tries_left" -gt 0 ]
	done
	m ip address show dev "$held"
}
comes_later() {
	let_go
	hold_all
}
networkd_leaves_it_alone() {
	let_go
	with_files
	start_networkd
	hold_all
	until_then=$(($(date +%s) + quiet))
	while [ "$(date +%s)" -lt "$until_then" ]; do
		has_all || { m ip address show; m ip route show; exit 1; }
		sleep 1
	done
	m networkctl list --no-pager
	m networkctl list --no-pager | grep "$held " | grep -q unmanaged
	# It is the same when networkd comes after the device.
	m systemctl restart systemd-networkd
	sleep 3
	has_all
	let_go
	echo "note: for $quiet s"
}

nm_says() {
	m nmcli -t -f DEVICE,STATE device | grep -q "^$held:$1"
}
# It takes what is there for a connection of its own; it breaks nothing by that.
nm_takes_it() {
	without_files
	m systemctl start NetworkManager
	hold_all
	within 10 nm_says connected
}
nm_leaves_it_alone() {
	let_go
	with_files
	hold_all
	within 10 nm_says unmanaged
	sleep 5
	nm_says unmanaged
	has_all
	let_go
	m systemctl stop NetworkManager
}

# udev gives a TAP a MAC address of its own making, which is tampering.
udev_breaks_a_tap() {
	without_files
	# That can be before the holder says his device's name.
	hold tap || :
	within 10 was_taken_back
	within 5 no_devices
}
was_taken_back() {
	m journalctl -b -u tuntapd -o cat |
		grep 'is taken back: its MAC address was changed'
}
udev_leaves_a_tap_alone() {
	let_go
	with_files
	for n in 1 2 3 4; do
		hold tap
	done
	sleep 3
	m tuntapctl list
	[ "$(m tuntapctl list | grep -c '^tt')" -eq 4 ]
	let_go
}

# However late udev comes: it does on a busy machine.
one_for_udev() {
	u member tuntapctl run --tun -- udevadm settle \
		--timeout=$((10 * patience))
}
known_from_birth() {
	# Nothing of what was before.
	m udevadm settle
	m udevadm monitor --udev --property --subsystem-match=net \
		>"$work/monitor" &
	within 5 grep -q UDEV "$work/monitor"
	m sh -c 'for n in 1 2 3 4; do (while :; do :; done) & done' busy
	n=0
	while [ "$n" -lt "$births" ]; do
		one_for_udev & one=$!
		one_for_udev & two=$!
		wait "$one"
		wait "$two"
		n=$((n + 2))
	done
	m udevadm settle
	m pkill -f busy
	m pkill udevadm
	awk 'BEGIN { RS = "" }
	     /ACTION=(add|move)/ { all++; if (/TUNTAPD=1/) good++ }
	     END { print "note: " good + 0 " of " all + 0 " events" }' \
		"$work/monitor" >"$work/events"
	cat "$work/events"
	grep -qx "note: $((2 * births)) of $((2 * births)) events" "$work/events"
}

# --- its end ----------------------------------------------------------------

uninstalls() {
	hold tun --address 198.19.0.1/24
	m tuntapctl close --all
	m systemctl disable --now tuntapd.service tuntapd.socket \
		tuntapd-admin.socket
	shipped uninstall
	m ldconfig
	m systemctl daemon-reload
	m udevadm control --reload
	m rmdir /run/tuntapd
	m pkill -u member || :
	within 5 m userdel member
	m userdel stranger
	m userdel tuntapd
	m groupdel tuntap
	files >"$work/after"
	grep -v '^/etc/\(passwd\|group\|g\?shadow\|subuid\|subgid\)-$' "$work/before" >"$work/a"
	grep -v '^/etc/\(passwd\|group\|g\?shadow\|subuid\|subgid\)-$' "$work/after" >"$work/b"
	diff "$work/a" "$work/b"
	no_devices
	[ -z "$(m systemctl list-units --all --no-legend 'tuntapd*')" ]
	[ -z "$(find "$root" -xdev -name '*tuntap*' ! -path "$root/var/*" \
		! -path "$root/sys/*")" ]
}

# ----------------------------------------------------------------------------

boot_machine
ok boots boots
files >"$work/before"
ok installs installs
ok verify-is-clean verify_is_clean
ok exposure exposure_is_low
ok first-connection-starts-it first_connection_starts_it
ok serves-with-one-capability serves_as_said
ok member-gets-a-device member_gets_a_device
ok stranger-gets-none stranger_gets_none
ok routes-have-a-name routes_have_a_name
ok reload reload_is_whole_or_not
ok restart-loses-nothing restart_loses_nothing
ok kill-loses-nothing kill_loses_nothing
ok watchdog-recovers watchdog_recovers
ok udev-knows-from-birth known_from_birth
ok udev-breaks-a-tap-without udev_breaks_a_tap
ok udev-leaves-a-tap-alone udev_leaves_a_tap_alone
ok networkmanager-takes-a-lease-without nm_takes_it
ok networkmanager-leaves-a-lease-alone nm_leaves_it_alone
ok networkd-breaks-a-lease-without networkd_breaks_it
ok networkd-leaves-a-lease-alone networkd_leaves_it_alone
stop_networkd
ok uninstall-leaves-nothing uninstalls

echo "systemd: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
