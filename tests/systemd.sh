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
packages=systemd-sysv,udev,dbus,iproute2,iputils-ping,procps
packages=$packages,libevent-core-2.1-7,libmnl0,libmd0,libseccomp2,libjansson4,libncursesw6
packages=$packages,network-manager,libpam-systemd
passed=0 failed=0 skipped=0

skip_all() {
	echo "SKIP systemd: $1"
	exit 77
}

[ "$(id -u)" -eq 0 ] || skip_all 'it needs root'
for tool in debootstrap apt-get systemd-nspawn nsenter; do
	command -v "$tool" >/dev/null || skip_all "there is no $tool"
done
unshare --mount --pid --fork --kill-child --mount-proc true 2>/dev/null ||
	skip_all 'no mount and pid namespaces here'

# --- the machine ------------------------------------------------------------

work=$(mktemp -d "${TMPDIR:-/var/tmp}/tuntapd-systemd.XXXXXX")
chmod 0755 "$work"
root=$work/root
machine=tuntapd-test-$$
runner='' leader='' groups=''
# within SECONDS COMMAND...: until it succeeds.
within() {
	tries=$(($1 * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.1
	done
}
# Of what has just ended something may be in it still.
# shellcheck disable=SC2317 # by the trap
no_group() {
	find "$1" -depth -type d -exec rmdir {} \;
	[ ! -e "$1" ]
}
# shellcheck disable=SC2317 # by the trap
cleanup() {
	# What runs there goes with its first process, mounts with their
	# namespace.
	if [ -n "$runner" ]; then
		kill -KILL "$runner" 2>/dev/null || :
		wait "$runner" 2>/dev/null || :
	fi
	for group in $groups; do
		within 5 no_group "$group" || :
	done
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# shellcheck source=tests/root.sh
. tests/root.sh
mkdir -m 0755 "$root"
make_root "$root" systemd "$packages"

# Where the machine makes its groups, so that they can be found again: in one
# hierarchy, or in what is left of several.
own_groups() {
	for mount in /sys/fs/cgroup /sys/fs/cgroup/systemd \
		     /sys/fs/cgroup/unified; do
		[ -e "$mount/cgroup.procs" ] || continue
		mkdir "$mount/$machine"
		groups="$groups $mount/$machine"
	done
}

# Nothing else of the machine wants a word.
ln -s /dev/null "$root/etc/systemd/system/apt-daily.timer"
# It is started when it is asked.
ln -sf /dev/null "$root/etc/systemd/system/NetworkManager-wait-online.service"
rm -f "$root/etc/systemd/system/multi-user.target.wants/NetworkManager.service"
# Not the first boot.
: >"$root/etc/machine-id"
echo "$machine" >"$root/etc/hostname"

# A real machine has them; nspawn of Debian 12 does not know them.
landlock='landlock_create_ruleset landlock_add_rule landlock_restrict_self'

own_groups
(
	for group in $groups; do
		sh -c 'echo $PPID' >"$group/cgroup.procs"
	done
	exec unshare --mount --pid --fork --kill-child --mount-proc sh -c '
		mount -t tmpfs -o mode=0755 tmpfs /run &&
		SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes exec systemd-nspawn \
			--quiet --register=no --keep-unit --private-network \
			--system-call-filter="$2" --console=pipe --boot \
			--directory "$1"' sh "$root" "$landlock"
) >"$work/console" 2>&1 </dev/null &
runner=$!

# m COMMAND...: in the machine, as root; u USER COMMAND...: as somebody.
m() {
	nsenter --target "$leader" --all -- env -i \
		PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
		HOME=/root LC_ALL=C SYSTEMD_COLORS=0 SYSTEMD_PAGER=cat "$@"
}
u() {
	who=$1
	shift
	m runuser -u "$who" -- "$@"
}

# The first process of a pid namespace, with our root.
find_leader() {
	for pid in /proc/[0-9]*; do
		awk '/^NSpid:/ { first = NF > 2 && $NF == 1 }
		     END { exit !first }' "$pid/status" 2>/dev/null || continue
		grep -qsx "$machine" "$pid/root/etc/hostname" || continue
		leader=${pid#/proc/}
		return 0
	done
	return 1
}

# --- checks -----------------------------------------------------------------

# ok NAME COMMAND...
ok() {
	name=$1
	shift
	# In a shell of its own, where set -e works although we ask.
	("$@") >"$work/out" 2>&1 &
	if wait $!; then
		passed=$((passed + 1))
		echo "ok systemd-$name$(sed -n 's/^note: / /p' "$work/out")"
	else
		failed=$((failed + 1))
		echo "not ok systemd-$name: see below"
		sed 's/^/    /' "$work/out"
		m journalctl -b --no-pager -n 8 -u tuntapd.service |
			sed 's/^/    /' || :
		# The next one begins with nothing.
		m pkill -KILL -u member || :
		within 10 no_leases || :
	fi
}

boots() {
	within 30 m systemctl is-active -q sysinit.target dbus.service
	m systemctl --failed --no-legend >"$work/units"
	cat "$work/units"
	[ ! -s "$work/units" ]
}

shipped() {
	make --no-print-directory B="$build" DESTDIR="$root" "$1"
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

unit() {
	m systemctl show -P "$1" tuntapd.service
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

# hold KIND ARGUMENT...: a member's device in the background; its name in $held.
hold() {
	kind=$1
	shift
	m rm -f /tmp/held
	m runuser -u member -- tuntapctl run --"$kind" "$@" -- \
		sh -c 'echo {name} >/tmp/held; exec sleep 600' \
		>"$work/held" 2>&1 </dev/null &
	within 10 m test -s /tmp/held || { cat "$work/held"; return 1; }
	held=$(m cat /tmp/held)
	m rm /tmp/held
}
let_go() {
	m pkill -u member sleep || :
	within 10 no_leases
}
no_leases() {
	! m tuntapctl list --json | grep -q '"name"'
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

# lossless SECONDS COMMAND...: pings go through what the holder answers, for so
# long at least, while COMMAND runs.
lossless() {
	cp "$build/examples/tun-echo" "$root/usr/local/bin/"
	m runuser -u member -- tun-echo --address 198.19.9.1/24 \
		>"$work/echo" 2>&1 </dev/null &
	within 10 grep -q ready "$work/echo"
	index=$(m sh -c 'ip -o link show up | sed -n "s/^\([0-9]*\): tt.*/\1/p"')
	# By their number: when its time is over ping waits for no answer.
	m ping -n -q -i 0.01 -c "$((100 * $1))" 198.19.9.7 \
		>"$work/ping" 2>&1 &
	pings=$!
	sleep 0.5
	shift
	"$@"
	wait "$pings"
	cat "$work/ping"
	within 10 is_held
	now=$(m sh -c 'ip -o link show up | sed -n "s/^\([0-9]*\): tt.*/\1/p"')
	[ -n "$index" ] && [ "$index" = "$now" ]
	sed -n 's/^\([0-9]*\) packets transmitted, \([0-9]*\) rec.*/note: \1 pings, \2 answers/p' "$work/ping"
	grep -q ' 0% packet loss' "$work/ping"
	m pkill tun-echo
	rm "$root/usr/local/bin/tun-echo"
	within 10 no_leases
}
is_held() {
	m tuntapctl list
	m tuntapctl list | grep -q '^tt' && ! m tuntapctl list | grep -q waiting
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
	m sh -c 'printf "[Service]\nWatchdogSec=2s\n" \
		>/run/systemd/system/tuntapd.service.d/50-test.conf'
	m systemctl daemon-reload
	m systemctl restart tuntapd
	# It is not the manager's patience that keeps it alive.
	pid=$(unit MainPID)
	sleep 5
	[ "$(unit MainPID)" = "$pid" ]
	lossless 8 stop_it
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
	seconds=$quiet
	while [ "$seconds" -gt 0 ]; do
		has_all || { m ip address show; m ip route show; exit 1; }
		sleep 1
		seconds=$((seconds - 1))
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
no_devices() {
	! m ip -o link | grep -q ' tt'
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
	u member tuntapctl run --tun -- udevadm settle --timeout=10
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

within 20 find_leader || { cat "$work/console"; echo 'not ok systemd-start'; exit 1; }
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
