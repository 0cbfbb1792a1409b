#!/bin/sh
# demo.sh BUILD: what `make demo` shows.
#
# A daemon and programs without rights, in network and mount namespaces of
# their own: whatever happens here, nothing of the host changes, and all of it
# goes with the namespaces.  As root or, where /dev/net/tun admits him, as an
# ordinary user, who is root in a user namespace then.
set -eu

build=${1:-build}
limit=120		# seconds that the whole demo may take

# --- outside: the namespaces ------------------------------------------------

sorry() {
	echo "demo: $1" >&2
	exit 1
}

outside() {
	for program in tuntapd tuntapctl examples/tun-echo \
		examples/poll-loop; do
		[ -x "$build/$program" ] ||
			sorry "$build/$program is not there; run: make"
	done
	if [ "$(id -u)" -eq 0 ]; then
		mode=root
		spaces='--net --mount'
		unshare --net --mount true 2>/dev/null ||
			sorry "root may not make namespaces here; in a \
container, run it with more rights (--privileged)"
	else
		mode=user
		spaces='--user --map-root-user --net --mount'
		[ -c /dev/net/tun ] && [ -r /dev/net/tun ] &&
			[ -w /dev/net/tun ] ||
			sorry "/dev/net/tun is not open to you; run: \
sudo make demo"
		# shellcheck disable=SC2086 # a list of options
		unshare $spaces true 2>/dev/null ||
			sorry "you may not make user namespaces here; run: \
sudo make demo"
	fi
	work=$(mktemp -d "${TMPDIR:-/tmp}/tuntapd-demo.XXXXXX")
	trap 'rmdir "$work"' EXIT
	# shellcheck disable=SC2086 # a list of options
	timeout --foreground -k 10 "$limit" unshare $spaces \
		sh "$0" "$build" "$mode" "$work" &
	inside=$!
	trap 'kill "$inside" 2>/dev/null' INT TERM HUP
	status=0
	wait "$inside" || status=$?
	# a signal ends that wait too; the inside cleans up before it ends
	while kill -0 "$inside" 2>/dev/null; do
		status=0
		wait "$inside" || status=$?
	done
	[ "$status" -ne 124 ] || echo "demo: not done after $limit seconds" >&2
	exit "$status"
}

[ $# -ge 3 ] || outside

# --- inside: helpers --------------------------------------------------------

mode=$2
work=$3
steps=0
pids=		# what is to be ended if something goes wrong

if [ -t 1 ] && [ -z "${NO_COLOR-}" ] && [ "${TERM-dumb}" != dumb ]; then
	bold=$(printf '\033[1m') dim=$(printf '\033[2m')
	green=$(printf '\033[32m') red=$(printf '\033[31m')
	plain=$(printf '\033[0m')
else
	bold='' dim='' green='' red='' plain=''
fi

step() {
	steps=$((steps + 1))
	printf '\n%s%d. %s%s\n' "$bold" "$steps" "$1" "$plain"
}
tell() { printf '   %s\n' "$1"; }
ok() { printf '   %sok%s  %s\n' "$green" "$plain" "$1"; }
typed() { printf '   %s$ %s%s\n' "$dim" "$1" "$plain"; }
# Shows a file or what comes in.
show() { sed 's/^/     /' "$@"; }

fail() {
	printf '\n%sdemo: step %d failed%s: %s\n' "$red" "$steps" "$plain" "$1"
	if [ -s "$work/log" ]; then
		echo "The daemon's last words:"
		tail -n 20 "$work/log" | show
	fi
	exit 1
}

# within SECONDS COMMAND...: waits until the command succeeds.
within() {
	tries=$(($1 * 20))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.05
	done
}

# ended PID: it runs no more; what it left behind is for `wait`.
ended() {
	state=$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) || return 0
	[ "${state:-Z}" = Z ]
}

# finish PID: waits for it for 5 seconds at most; its exit status.
finish() {
	within 5 ended "$1" || kill -KILL "$1" 2>/dev/null || :
	status=0
	wait "$1" 2>/dev/null || status=$?
	rest=
	for pid in $pids; do
		[ "$pid" = "$1" ] || rest="$rest $pid"
	done
	pids=$rest
	return "$status"
}

end_all() {
	for pid in $pids; do
		kill "$pid" 2>/dev/null || :
	done
	for pid in $pids; do
		within 2 ended "$pid" || kill -KILL "$pid" 2>/dev/null || :
	done
}
trap end_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

gone() { ! ip link show dev "$1" 2>/dev/null; }
host() {
	ip addr
	ip route show table all
	ip -6 route show table all
}

# A program without rights.
client() {
	if [ "$mode" = root ]; then
		exec setpriv --reuid 65534 --regid 65534 --clear-groups \
			--no-new-privs --bounding-set=-all --inh-caps=-all "$@"
	fi
	exec setpriv --no-new-privs --bounding-set=-all --inh-caps=-all "$@"
}

# --- a stage ----------------------------------------------------------------

# The work folder is a file system of our own, gone with the namespace; the
# programs are copied there, for the client may not see where we were built.
mount -t tmpfs -o mode=0755 tmpfs "$work"
cp "$build/tuntapd" "$build/tuntapctl" "$build/examples/tun-echo" \
	"$build/examples/poll-loop" "$work"
# In a folder that the daemon makes, for its user.
socket=$work/sockets/tuntapd.sock
admin=$work/sockets/admin.sock
unset TUNTAPD_SOCKET

node() {
	# the host's /dev stays as it is: ours is put over it
	mount -t tmpfs -o mode=0755 tmpfs /dev
	mknod -m 0666 /dev/null c 1 3
	mknod -m 0666 /dev/zero c 1 5
	mknod -m 0666 /dev/urandom c 1 9
	mkdir /dev/net
	mknod -m 0600 /dev/net/tun c 10 200
}
[ -c /dev/net/tun ] || [ "$mode" = user ] || node
(: <>/dev/net/tun) 2>/dev/null ||
	sorry "the kernel has no TUN driver, or this container may not use it; \
try: modprobe tun"
ip link set lo up

if [ "$mode" = root ]; then
	uid=65534
	runs_as=65533
	who="uid 65534, no capabilities, no new privileges"
	printf '%stuntapd, as root%s, ' "$bold" "$plain"
else
	uid=0
	runs_as=0	# there is no other
	who="you, without the capabilities that the namespace gives you"
	printf '%stuntapd, as an ordinary user%s in a user namespace, ' \
		"$bold" "$plain"
fi
echo "in network and mount namespaces of its own"

# --- the play ---------------------------------------------------------------

step "An administrator writes a policy and starts the daemon"
mkdir -m 0755 "$work/policy.d"
cat >"$work/policy.d/10-demo.conf" <<END
[rule demo]
action      = allow
user        = $uid
kind        = tun
name        = tt*
address     = 10.9.0.0/16, fd09::/32
route       = 10.0.0.0/8, fd00::/8
max-devices = 4
END
show "$work/policy.d/10-demo.conf"
typed "tuntapd --policy policy.d --user $runs_as"
"$work/tuntapd" --socket "$socket" --admin-socket "$admin" \
	--policy "$work/policy.d" --user "$runs_as" 2>"$work/log" &
daemon=$!
pids=$daemon
within 5 test -S "$socket" || fail "the daemon made no socket in 5 seconds"
within 5 timeout 5 "$work/tuntapctl" --socket "$admin" status ||
	fail "the daemon does not answer"
host >"$work/before"
grep -E '^(Uid|CapEff|NoNewPrivs):' "/proc/$daemon/status" |
	tr -s '\t\n' ' ' >"$work/rights"
grep -q "^Uid: $runs_as .* CapEff: 0000000000001000 NoNewPrivs: 1" \
	"$work/rights" || fail "it kept rights: $(cat "$work/rights")"
ok "it listens, as uid $runs_as with CAP_NET_ADMIN alone"

step "A program without rights gets a TUN"
tell "$who; /dev/net/tun is $(stat -c '%A, of %U' /dev/net/tun)"
typed "tun-echo --name ttecho --address 10.9.0.1/24 --address fd09::1/64"
typed "         --route 10.20.0.0/16 --route fd20::/32 --mtu 1400"
(client "$work/tun-echo" --socket "$socket" --name ttecho --mtu 1400 \
	--address 10.9.0.1/24 --address fd09::1/64 \
	--route 10.20.0.0/16 --route fd20::/32) >"$work/echo" 2>&1 &
echo=$!
pids="$pids $echo"
within 5 grep -q '^ready' "$work/echo" || {
	show "$work/echo"
	fail "tun-echo is not ready after 5 seconds"
}
show "$work/echo"
grep -q "^uid $uid CapEff 0000000000000000 NoNewPrivs 1" "$work/echo" ||
	fail "tun-echo has rights that it should not have"
ok "it has the device, and no right that could have made it"

step "The host sees an interface like any other"
typed "ip addr show dev ttecho; ip route; ip -6 route"
{
	ip -br addr show dev ttecho
	ip route show dev ttecho
	ip -6 route show dev ttecho | grep -v -e '^fe80' -e '^multicast' || :
} >"$work/seen"
show "$work/seen"
for part in 10.9.0.1/24 fd09::1/64 10.20.0.0/16 fd20::/32; do
	grep -qF "$part" "$work/seen" || fail "$part is not there"
done
ip link show dev ttecho | grep -q 'mtu 1400' || fail "the MTU is not 1400"
ok "addresses, routes and MTU are as asked for"

step "Pings, both families, into its networks and along its routes"
for to in 10.9.0.77 10.20.3.4 fd09::77 fd20::3:4; do
	typed "ping -c 3 $to"
	ping -n -c 3 -i 0.1 -w 5 "$to" >"$work/ping" 2>&1 || {
		show "$work/ping"
		fail "no answer from $to"
	}
	grep 'packets transmitted' "$work/ping" | show
done
ok "the program answered them all"

step "Who has which device"
typed "tuntapctl list; tuntapctl status"
timeout 10 "$work/tuntapctl" --socket "$admin" list >"$work/list" ||
	fail "tuntapctl list"
timeout 10 "$work/tuntapctl" --socket "$admin" status >>"$work/list" ||
	fail "tuntapctl status"
show "$work/list"
grep -q '^ttecho *tun' "$work/list" || fail "ttecho is not listed"
ok "root sees every lease, others their own"

step "A second program watches packets from an event loop of its own"
typed "poll-loop --address 10.9.1.1/24 --address fd09:0:1::1/64"
(client "$work/poll-loop" --socket "$socket" --name ttpoll \
	--address 10.9.1.1/24 --address fd09:0:1::1/64) >"$work/poll" 2>&1 &
poll=$!
pids="$pids $poll"
within 5 grep -q '^device' "$work/poll" || {
	show "$work/poll"
	fail "poll-loop has no device after 5 seconds"
}
# nobody answers there, and that is no failure
ping -n -c 1 -w 1 10.9.1.7 >/dev/null 2>&1 || :
ping -n -c 1 -w 1 fd09:0:1::7 >/dev/null 2>&1 || :
within 5 grep -q '^10.9.1.1 > 10.9.1.7 ICMP ' "$work/poll" &&
	within 5 grep -q '^fd09:0:1::1 > fd09:0:1::7 ICMPv6' "$work/poll" || {
	show "$work/poll"
	fail "poll-loop saw no packet"
}
grep -v -e '^fe80' -e '^::' "$work/poll" | head -n 5 | show
kill "$poll"
finish "$poll" || :
ok "it saw what ping sent, until it was killed"

step "A shell script that knows nothing of tuntapd reads a packet from fd 3"
cat >"$work/reads" <<'END'
echo "fd $TUNTAP_FD is $TUNTAP_NAME, and so is $1"
while :; do
	packet=$(dd bs=2048 count=1 <&3 2>/dev/null |
		od -An -v -tx1 | tr -d ' \n')
	case $packet in 45*) break ;; '') exit 1 ;; esac
done
echo "a packet: $packet" | cut -c 1-50
exit 7
END
typed "tuntapctl run --tun --address 10.9.2.1/24 -- sh reads {name}"
(client "$work/tuntapctl" --socket "$socket" run --tun \
	--name ttrun --address 10.9.2.1/24 -- \
	sh "$work/reads" '{name}') >"$work/run" 2>&1 &
run=$!
pids="$pids $run"
within 5 grep -q '^fd 3' "$work/run" || {
	show "$work/run"
	fail "the script does not run"
}
ping -n -c 1 -w 1 10.9.2.7 >/dev/null 2>&1 || :
status=0
finish "$run" || status=$?
show "$work/run"
grep -q '^a packet: 45' "$work/run" || fail "it read no packet"
[ "$status" -eq 7 ] || fail "its exit status is $status, and not 7"
within 5 gone ttrun || fail "its device is still there"
ok "and its exit status (7) is that of tuntapctl; the device went with it"

step "What the policy does not allow is refused, and the answer says where"
typed "tuntapctl run --tun --address 192.168.7.1/24 -- true"
status=0
(client timeout 10 "$work/tuntapctl" --socket "$socket" run --tun \
	--address 192.168.7.1/24 -- true) >"$work/refused" 2>&1 || status=$?
sed "s|$work/||g" "$work/refused" | fold -s -w 72 | show
[ "$status" -eq 125 ] || fail "its exit status is $status, and not 125"
ok "nothing was made"

step "The program ends, and its device goes"
typed "kill tun-echo"
kill "$echo"
finish "$echo" || fail "tun-echo ended with status $?"
tail -n 1 "$work/echo" | show
within 5 gone ttecho || fail "its device is still there"
within 5 gone ttpoll || fail "the device of poll-loop is still there"
host >"$work/after"
diff "$work/before" "$work/after" >"$work/diff" || {
	show "$work/diff"
	fail "links, addresses or routes are not as they were before"
}
ok "links, addresses and routes are what they were before"

step "The daemon ends"
typed "kill tuntapd"
kill "$daemon"
finish "$daemon" || fail "it ended with status $?"
[ ! -e "$socket" ] && [ ! -e "$admin" ] || fail "it left a socket behind"
ok "nothing is left"

printf '\n%sdemo: all %d steps passed%s\n' "$green" "$steps" "$plain"
