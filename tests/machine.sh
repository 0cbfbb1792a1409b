# shellcheck shell=sh
# machine.sh, to be sourced by a test with $what (its name) and $build: a Debian
# 12 that systemd-nspawn boots, with network, pids and devices of its own, and
# what one does in it.
#
# First boot_machine; then `m COMMAND` in it; then `ok NAME COMMAND` for each
# test.  What is started here goes when the test ends.
#
#	MACHINE_ROOT	what make_system_root made, which is used up; where there
#			is no network to make one from
#	TEST_PATIENCE	how many times as long all may take, on a slow machine (1)

: "${what:?}" "${build:?}"
patience=${TEST_PATIENCE:-1}
# shellcheck disable=SC2034 # of the tests
passed=0 failed=0 skipped=0

skip_all() {
	echo "SKIP $what: $1"
	exit 77
}

# What it takes to boot one.
can_boot() {
	[ "$(id -u)" -eq 0 ] || skip_all 'it needs root'
	for tool in debootstrap apt-get systemd-nspawn nsenter; do
		case $tool in
		debootstrap | apt-get) [ -z "${MACHINE_ROOT:-}" ] || continue ;;
		esac
		command -v "$tool" >/dev/null || skip_all "there is no $tool"
	done
	unshare --mount --pid --fork --kill-child --mount-proc true 2>/dev/null ||
		skip_all 'no mount and pid namespaces here'
}

# --- the machine ------------------------------------------------------------

machine=tuntapd-test-$$
work='' root='' runner='' leader='' groups=''

# within SECONDS COMMAND...: until it succeeds.
within() {
	tries=$(($1 * 10 * patience))
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

# shellcheck source=tests/root.sh
. tests/root.sh

# A root with nothing of ours, that wants nothing of its own.
prepare_root() {
	if [ -n "${MACHINE_ROOT:-}" ]; then
		mv "$MACHINE_ROOT" "$root"
	else
		mkdir -m 0755 "$root"
		make_system_root "$root"
	fi
	# Nothing else of the machine wants a word.
	ln -s /dev/null "$root/etc/systemd/system/apt-daily.timer"
	# It is started when it is asked.
	ln -sf /dev/null "$root/etc/systemd/system/NetworkManager-wait-online.service"
	rm -f "$root/etc/systemd/system/multi-user.target.wants/NetworkManager.service"
	# Not the first boot.
	: >"$root/etc/machine-id"
	echo "$machine" >"$root/etc/hostname"
}

# A real machine has them; nspawn of Debian 12 does not know them.
landlock='landlock_create_ruleset landlock_add_rule landlock_restrict_self'
start_machine() {
	(
		for group in $groups; do
			sh -c 'echo $PPID' >"$group/cgroup.procs"
		done
		exec unshare --mount --pid --fork --kill-child --mount-proc sh -c '
			mount -t tmpfs -o mode=0755 tmpfs /run &&
			SYSTEMD_NSPAWN_API_VFS_WRITABLE=yes exec systemd-nspawn \
				--quiet --register=no --keep-unit \
				--private-network --console=pipe \
				--system-call-filter="$2" \
				--boot --directory "$1"' \
			sh "$root" "$landlock"
	) >"$work/console" 2>&1 </dev/null &
	runner=$!
}

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

boot_machine() {
	can_boot
	work=$(mktemp -d "${TMPDIR:-/var/tmp}/tuntapd-$what.XXXXXX")
	trap cleanup EXIT
	trap 'exit 1' INT TERM HUP
	chmod 0755 "$work"
	root=$work/root
	prepare_root
	own_groups
	start_machine
	within 20 find_leader || {
		cat "$work/console"
		echo "not ok $what-start"
		exit 1
	}
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
		echo "ok $what-$name$(sed -n 's/^note: / /p' "$work/out")"
	else
		failed=$((failed + 1))
		echo "not ok $what-$name: see below"
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

unit() {
	m systemctl show -P "$1" tuntapd.service
}

# --- devices -----------------------------------------------------------------

# hold KIND ARGUMENT...: a member's device in the background; its name in $held.
hold() {
	kind=$1
	shift
	m rm -f /tmp/held
	m runuser -u member -- tuntapctl run --"$kind" "$@" -- \
		sh -c 'echo {name} >/tmp/held; exec sleep 600' \
		>"$work/held" 2>&1 </dev/null &
	within 10 m test -s /tmp/held || { cat "$work/held"; return 1; }
	# shellcheck disable=SC2034 # of the tests
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
no_devices() {
	! m ip -o link | grep -q ' tt'
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
