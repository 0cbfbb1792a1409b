#!/bin/sh
# programs.sh BUILD GROUP...: programs that know nothing of tuntapd, each with a
# device from `tuntapctl run`, as an ordinary user.
#
#	python	os.read() and os.write(), and what a program may not do itself
#	socat	two hosts, joined over UDP
#	qemu	a machine's network card: iPXE, which its ROM brings, asks for an
#		address and loads a script
#	go	wireguard-go's package, built from Go's registry
#
# The commands are README.md's, in the blocks behind <!-- programs: NAME -->, and
# so is the policy.  Hosts are network namespaces, each with a daemon of its own:
# this one and `far`.  That needs root.
#
#	PROGRAMS_SECONDS	for all of it (400)
set -eu

usage='usage: programs.sh BUILD GROUP...'
nobody=65534
device=tt$nobody-0		# the first that the policy's pattern gives
passed=0 failed=0 skipped=0
skipped_status=77
go_seconds=300
# An emulated processor beside other tests takes its time; alone it is 15 s.
boot_seconds=120
unset MAKEFLAGS MFLAGS MAKELEVEL TUNTAPD_SOCKET

good() {
	echo "ok programs-$1"
	passed=$((passed + 1))
}
bad() {
	echo "not ok programs-$1: $2"
	for said in "$work"/*.out; do
		[ ! -s "$said" ] || sed "s|^|    ${said##*/}: |" "$said"
	done
	failed=$((failed + 1))
}
skip() {
	echo "SKIP programs-$1: $2"
	skipped=$((skipped + 1))
}

# readme NAME: the block of that name.
readme() {
	awk -v mark="<!-- programs: $1 -->" '
		$0 == mark { wanted = 1 }
		/^```/ { inside = wanted && !inside; wanted = wanted && inside }
		inside && !/^```/' README.md
}

# within SECONDS COMMAND...: waits until the command succeeds.
within() {
	tries=$(($1 * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || return 1
		sleep 0.1
	done
}

# --- inside: hosts, and who runs there --------------------------------------

# on HOST COMMAND...: in its network namespace, and in this shell's place, so
# that the command has the number that $! says.
on() {
	host=$1
	shift
	[ "$host" = near ] || exec ip netns exec "$host" "$@"
	exec "$@"
}

host_daemon() {
	on "$1" build/tuntapd --socket "$work/$1/tuntapd.sock" \
		--admin-socket "$work/$1/admin.sock" --user 65533 \
		--policy "$work/policy.d" >"$work/tuntapd-$1.out" 2>&1 &
	daemons="$daemons $!"
	within 10 test -S "$work/$1/tuntapd.sock"
}

# start HOST NAME: the README's block, as an ordinary user, in the background
# and in a process group of its own; what it says is in NAME.out.
start() {
	readme "$2" >"$work/$2.sh"
	[ -s "$work/$2.sh" ] || { echo "README.md has no $2"; exit 1; }
	rm -f "$work/$2.out"
	(
		export TUNTAPD_SOCKET="$work/$1/tuntapd.sock"
		on "$1" setsid setpriv --reuid "$nobody" --regid "$nobody" \
			--clear-groups --no-new-privs --bounding-set=-all \
			--inh-caps=-all sh -eu "$work/$2.sh"
	) >"$work/$2.out" 2>&1 </dev/null &
	last=$!
	running="$running $last"
}

end_running() {
	for pid in $running; do
		kill -s TERM -- "-$pid" 2>/dev/null || :
		within 10 ended "$pid" || kill -s KILL -- "-$pid" || :
		wait "$pid" 2>/dev/null || :
	done
	running=
	within 10 gone || echo "$device stays"
}

# ended PID: it runs no more; what it left behind is for `wait`.
ended() {
	state=$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat" 2>/dev/null) || return 0
	[ "${state:-Z}" = Z ]
}

gone() { ! ip link show dev "$device" 2>/dev/null; }

# pings ADDRESS...: each answers, soon.
pings() {
	for to; do
		within 10 ping -n -c 1 -W 1 "$to" || {
			echo "no answer from $to"
			return 1
		}
		ping -n -q -c 5 -i 0.2 -W 2 "$to" >"$work/ping.out" &&
			grep -q ' 0% packet loss' "$work/ping.out" || {
			echo "not all answers from $to"
			return 1
		}
	done
}

# try NAME COMMAND...: a test, which says what is wrong.
try() {
	test=$1 status=0
	shift
	"$@" >"$work/why" 2>&1 || status=$?
	if [ "$status" -eq 0 ]; then
		good "$test"
	else
		bad "$test" "$(tail -n 1 "$work/why")"
	fi
	end_running
}

# --- the programs -----------------------------------------------------------

python_echoes() {
	start near python
	pings 10.50.3.7 fd50:0:0:3::7 10.60.3.4
}

# They have the fd, and no right to do anything else.
own_setup_is_refused() {
	start near own-setup
	wait "$last" || { echo "exit status $?"; return 1; }
	grep -q 'Operation not permitted' "$work/own-setup.out" &&
		grep -q '^ask for it: ' "$work/own-setup.out" ||
		{ echo 'it was not refused'; return 1; }
}

group_python() {
	try python python_echoes
	try own-setup own_setup_is_refused
}

# UDP datagrams of a host so far, and packets that left it by the device.
datagrams() {
	awk '/^Udp:/ && $5 ~ /^[0-9]/ { print $5 }' /proc/net/snmp
}
packets() {
	awk -v name="$device:" '$1 == name { print $11 }' /proc/net/dev
}

socat_joins() {
	start near socat-here
	start far socat-there
	pings 10.50.4.2 fd50:0:0:4::2 || return 1
	# A burst, that there be several to read at once.
	before=$(($(datagrams) - $(packets)))
	ping -n -q -f -c 500 -l 20 -s 1000 10.50.4.2 >"$work/ping.out"
	grep -q ' 0% packet loss' "$work/ping.out" ||
		{ echo 'some of a burst are lost'; return 1; }
	[ "$(($(datagrams) - $(packets)))" -eq "$before" ] ||
		{ echo 'a datagram is not a packet'; return 1; }
}

group_socat() {
	command -v socat >/dev/null ||
		{ skip socat 'there is no socat'; return 0; }
	ip link add lan0 type veth peer name lan1 netns far
	ip addr add 192.0.2.1/24 dev lan0
	ip -n far addr add 192.0.2.2/24 dev lan1
	ip link set lan0 up
	ip -n far link set lan1 up
	host_daemon far
	try socat socat_joins
}

# serve: addresses, and a script for who boots; as root, on the host.
serve() {
	rm -f "$work/leases"
	dnsmasq --conf-file=/dev/null --keep-in-foreground --port=0 \
		--interface="$device" --bind-dynamic --user=root \
		--dhcp-range=10.50.5.50,10.50.5.99,5m --pid-file= \
		--dhcp-leasefile="$work/leases" --log-facility=- \
		--enable-tftp --tftp-root="$work/tftp" \
		--dhcp-boot=boot.ipxe >"$work/dnsmasq.out" 2>&1 &
	server=$!
}

# guest NAME KIND-OF-DEVICE...: the block of that name is a machine whose card
# works; ip(8) says these of its device.
guest() {
	start near "$1"
	within 10 ip link show dev "$device" ||
		{ echo 'there is no device'; return 1; }
	serve
	status=0
	guest_talks "$@" || status=1
	kill "$server"
	wait "$server" || :
	return "$status"
}

guest_talks() {
	within "$boot_seconds" grep -aq '^this is 10\.50\.5\.' "$work/$1.out" ||
		{ echo "no script is loaded in $boot_seconds s"; return 1; }
	address=$(sed -n 's/^this is \([0-9.]*\).*/\1/p' "$work/$1.out")
	grep -q " $address " "$work/leases" ||
		{ echo "nobody leased $address"; return 1; }
	pings "$address" || return 1
	ip -d link show dev "$device" >"$work/link.out"
	shift
	for words; do
		grep -q "$words" "$work/link.out" ||
			{ echo "the device has not: $words"; return 1; }
	done
}

# iPXE uses one pair of queues, whatever the card has: qemu starts with both,
# and detaches the second until a guest asks for it.
group_qemu() {
	command -v qemu-system-x86_64 >/dev/null ||
		{ skip qemu 'there is no qemu-system-x86_64'; return 0; }
	mkdir "$work/tftp"
	printf '#!ipxe\necho\necho this is ${net0/ip}\nshell\n' \
		>"$work/tftp/boot.ipxe"
	try qemu guest qemu 'vnet_hdr off'
	try qemu-vnet-hdr guest qemu-vnet-hdr 'vnet_hdr on'
	try qemu-queues guest qemu-queues 'numqueues 1 numdisabled 1'
}

go_echoes() {
	start near go
	pings 10.50.6.7
	grep -q '^ready on tt.* in batches of [1-9][0-9]' "$work/go.out" ||
		{ echo 'it reads no batches'; return 1; }
}

group_go() {
	[ -x examples/go-echo/go-echo ] || return 0
	try go go_echoes
}

inside() {
	shift
	work=$1
	shift
	running='' daemons=''
	cd "$work/tuntapd"
	mount -t tmpfs -o mode=0755 tmpfs /run
	if [ ! -c /dev/net/tun ]; then
		mkdir -p /dev/net
		mount -t tmpfs -o mode=0755 tmpfs /dev/net
		mknod -m 0600 /dev/net/tun c 10 200
	fi
	mount --bind "$(cat "$work/build")" build
	ip link set lo up
	ip netns add far
	mkdir -m 0755 "$work/policy.d"
	sed -n '/^\[rule all\]$/,/^END$/{/^END$/!p}' README.md \
		>"$work/policy.d/50-all.conf"
	host_daemon near
	for group; do
		"group_$group"
	done
	for pid in $daemons; do
		kill "$pid"
		wait "$pid" || { echo 'not ok programs-daemon: it failed'
			failed=$((failed + 1)); }
	done
	echo "$passed $failed $skipped" >"$work/counts"
}

if [ "${1:-}" = --inside ]; then
	inside "$@"
	exit
fi

# --- outside ----------------------------------------------------------------

# build_go: what wants a network has to be done before there is none.
build_go() {
	if ! command -v go >/dev/null; then
		skip go 'there is no go'
		return
	fi
	export GOFLAGS='-trimpath -buildvcs=false' GOTOOLCHAIN=local GOWORK=off
	if ! (cd examples/go-echo && timeout "$go_seconds" go mod download) \
			>"$work/go.log" 2>&1; then
		skip go "$(tail -n 1 "$work/go.log")"
		return
	fi
	readme go-build >"$work/go-build.sh"
	timeout "$go_seconds" sh -eu "$work/go-build.sh" >"$work/go-build.out" \
		2>&1 || bad go-build "exit status $?"
}

build=$(cd "${1:?$usage}" && pwd)
shift
cd "$(dirname "$0")/.."
for group; do
	case $group in
	python | socat | qemu | go) ;;
	*)	echo "programs.sh: no group $group; $usage" >&2
		exit 2 ;;
	esac
done
if [ "$(id -u)" -ne 0 ] ||
   ! unshare --net --mount --pid --fork true 2>/dev/null; then
	for group; do
		skip "$group" 'needs root, and namespaces'
	done
	exit "$skipped_status"
fi

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' INT TERM HUP
chmod 0755 "$work"
# In a place where everybody may go, with the tests' sources for this script.
mkdir -p "$work/tuntapd/build"
cp -a README.md examples tests "$work/tuntapd/"
echo "$build" >"$work/build"
cd "$work/tuntapd"
for group; do
	[ "$group" != go ] || build_go
done
timeout -k 10 "${PROGRAMS_SECONDS:-400}" \
	unshare --net --mount --pid --fork --kill-child --mount-proc \
	sh tests/programs.sh --inside "$work" "$@" || :
if read -r in_passed in_failed in_skipped 2>/dev/null <"$work/counts"; then
	passed=$((passed + in_passed))
	failed=$((failed + in_failed))
	skipped=$((skipped + in_skipped))
else
	bad inside 'it came to no end'
fi
echo "programs: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] || exit 1
[ "$passed" -gt 0 ] || exit "$skipped_status"
