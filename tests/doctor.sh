#!/bin/sh
# doctor.sh BUILD: each check of `tuntapctl doctor`, seen to be well and seen to
# be wrong, in namespaces of its own.
set -eu

usage='usage: doctor.sh BUILD'
skipped_status=77
nobody=65534

# --- inside the namespaces --------------------------------------------------

good() {
	echo "ok doctor-$1"
	passed=$((passed + 1))
}
bad() {
	echo "not ok doctor-$1: $2"
	sed 's/^/    /' "$work/seen" "$work/log"
	failed=$((failed + 1))
}

# as_user COMMAND...: as an ordinary user.
as_user() {
	setpriv --reuid "$nobody" --regid "$nobody" --clear-groups "$@"
}

# doctored OPTION... COMMAND...: as one whom groups() makes.
doctored() {
	setpriv --reuid 1234 --regid 1234 "$@"
}

# bounded COMMAND...: where nobody can have that right any more.
bounded() {
	setpriv --bounding-set -net_admin --inh-caps -net_admin "$@"
}

# look COMMAND...: what it sees, and that its exit status is that of the worst.
look() {
	status=0
	"$@" >"$work/seen" 2>>"$work/log" </dev/null || status=$?
	wanted=0
	! grep -q '^warning ' "$work/seen" || wanted=8
	! grep -q '^fault ' "$work/seen" || wanted=9
	[ -s "$work/seen" ] && [ "$status" -eq "$wanted" ] ||
		bad exit-status "it is $status, not $wanted"
}

# sees NAME CHECK RESULT WORDS: among what was looked at last.
sees() {
	if awk -v check="$2" -v result="$3" -v words="$4" '
		$2 == check && $1 == result && index($0, words) { there = 1 }
		END { exit !there }' "$work/seen"; then
		good "$1"
	else
		bad "$1" "no line '$3 $2' with: $4"
	fi
}

# private PATH: a copy of what is there, which nobody else sees.
private() {
	mkdir "$work/copy"
	mount -t tmpfs -o mode=0755 tmpfs "$work/copy"
	cp -a "$1/." "$work/copy/" 2>/dev/null || :
	mount --move "$work/copy" "$1"
	rmdir "$work/copy"
}

until_it_answers() {
	tries=100
	while ! tuntapctl --socket "$1" status >/dev/null 2>&1 &&
	      [ "$tries" -gt 0 ]; do
		sleep 0.1
		tries=$((tries - 1))
	done
}

start_daemon() {
	tuntapd --user 65533 2>>"$work/log" &
	daemon=$!
	until_it_answers /run/tuntapd/admin.sock
}
stop_daemon() {
	kill "$daemon"
	wait "$daemon" || :
}

# pretend VERSION LACKS POLICY_FAULT: a daemon that says so, at /run/pretended.
pretend() {
	python3 -B - "$@" <<'END' 2>>"$work/log" &
import os, socket, struct, sys
version, lacks, fault = sys.argv[1:]
def text(t):
    return struct.pack('<H', len(t)) + t.encode()
names = ['devices', 'guard', 'offload', 'landlock']
body = text(version) + struct.pack('<IQIIIII', 1, 0, 0, 0, 0, 1, 1)
body += text(fault) + text('6.1') + struct.pack('<H', len(names))
for name in names:
    body += text(name) + bytes([name != lacks]) + text('as it is')
server = socket.socket(socket.AF_UNIX)
server.bind('/run/new')
server.listen()
os.rename('/run/new', '/run/pretended')
while True:
    with server.accept()[0] as client:
        head = client.recv(8)
        if len(head) == 8:
            client.sendall(struct.pack('<IBBH', 8 + len(body), 1, 133,
                                       struct.unpack('<H', head[6:])[0]) + body)
            client.recv(1)
END
	pretender=$!
	tries=100
	while [ ! -S /run/pretended ] && [ "$tries" -gt 0 ]; do
		sleep 0.1
		tries=$((tries - 1))
	done
	look tuntapctl --socket /run/pretended doctor
	kill "$pretender"
	wait "$pretender" 2>/dev/null || :
	rm -f /run/pretended
}

# with_manager NAME FILE...: looks while a process of this name runs, without
# the last of our files, and with all.
with_manager() {
	name=$1
	shift
	cp "$(command -v sleep)" "$work/$name"
	"$work/$name" 60 &
	manager=$!
	for file; do
		look tuntapctl doctor
		cp "$work/seen" "$work/without"
		mkdir -p "${file%/*}"
		echo >"$file"
	done
	look tuntapctl doctor
	kill "$manager"
	wait "$manager" 2>/dev/null || :
	rm -f "$@"
}

host() {
	sees node-is-there node ok 'device 10:200'
	sees module-is-there module ok 'has tun'
	sees programs-are-named programs note 'do not work'
	mv /dev/net/tun /dev/net/away
	look tuntapctl doctor
	sees node-is-missing node fault 'mknod'
	echo >/dev/net/tun
	look tuntapctl doctor
	sees node-is-something-else node fault 'not the character device'
	mv /dev/net/away /dev/net/tun

	mount --bind /dev/null /proc/misc
	modules=/lib/modules/$(uname -r)
	made=
	[ -d /lib/modules ] || { mkdir /lib/modules; made=yes; }
	mount -t tmpfs tmpfs /lib/modules
	look tuntapctl doctor
	sees module-is-missing module fault 'CONFIG_TUN'
	mkdir "$modules"
	echo 'kernel/drivers/net/tun.ko:' >"$modules/modules.dep"
	look tuntapctl doctor
	sees module-is-not-loaded module warning 'modprobe tun'
	umount /lib/modules /proc/misc
	[ -z "$made" ] || rmdir /lib/modules

	echo 1 >/proc/sys/net/ipv4/conf/all/rp_filter
	echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6
	look tuntapctl doctor
	sees rp-filter-is-strict rp-filter warning 'rp_filter=2'
	sees ipv6-is-disabled ipv6 warning 'disable_ipv6=0'
	echo 2 >/proc/sys/net/ipv4/conf/all/rp_filter
	echo 0 >/proc/sys/net/ipv6/conf/default/disable_ipv6
	look tuntapctl doctor
	sees rp-filter-is-loose rp-filter ok 'not strict'
	sees ipv6-is-there ipv6 ok 'is there'

	sees rights-can-be-had container ok 'may have CAP_NET_ADMIN'
	look bounded tuntapctl doctor
	sees daemon-outside-of-a-container container ok 'a daemon answers'
	look bounded tuntapctl --socket /nowhere doctor
	sees container-without-rights container warning 'have NET_ADMIN'
	look unshare --user --map-root-user \
		tuntapctl --socket /nowhere doctor
	sees container-of-a-user container warning 'user namespace'
}

daemons() {
	sees daemon-answers daemon ok 'answers at /run/tuntapd/tuntapd.sock'
	sees admin-answers admin ok 'answers at /run/tuntapd/admin.sock'
	sees socket-is-right socket ok 'for everybody'
	sees admin-socket-is-right admin-socket ok "root's alone"
	sees versions-are-one version ok 'tuntapd and tuntapctl are'
	look as_user tuntapctl doctor
	sees admin-is-for-root admin unseen 'for root'

	chmod 0600 /run/tuntapd/tuntapd.sock
	chmod 0666 /run/tuntapd/admin.sock
	look tuntapctl doctor
	sees socket-is-closed socket warning 'chmod 0666'
	sees admin-socket-is-open admin-socket fault 'chmod 0600'
	chmod 0666 /run/tuntapd/tuntapd.sock
	chmod 0600 /run/tuntapd/admin.sock
	chown 1234 /run/tuntapd/tuntapd.sock
	look tuntapctl doctor
	sees socket-is-another-users socket fault 'belongs to uid 1234'
	chown 0 /run/tuntapd/tuntapd.sock
	chmod 0777 /run/tuntapd
	look tuntapctl doctor
	sees socket-can-be-replaced socket fault 'chmod go-w'
	chmod 0755 /run/tuntapd
	mv /run/tuntapd/admin.sock /run/away
	look tuntapctl doctor
	sees admin-socket-is-missing admin-socket warning 'tuntapd-admin.socket'
	sees admin-is-away admin fault 'there is no socket'
	mv /run/away /run/tuntapd/admin.sock

	pretend 9.9.9 landlock ''
	sees versions-differ version warning 'tuntapd is 9.9.9'
	sees kernel-lacks-something kernel warning 'lacks landlock'
	sees devices-can-be-made devices ok 'can make devices'
	sees guard-is-there guard ok 'has the source guard'
	pretend 0.1.0 guard ''
	sees guard-is-missing guard fault 'cls_bpf'
	sees kernel-has-all kernel ok 'all else'
	pretend 0.1.0 devices 'a.conf:3: it is wrong'
	sees devices-cannot-be-made devices fault 'as it is'
	sees policy-is-not-the-files policy fault 'a.conf:3'
}

policy() {
	look as_user tuntapctl doctor
	sees a-rule-is-about-you policy ok '1 rule is about you'
	sees files-are-right policy-files ok 'have 1 rule,'
	look doctored --clear-groups tuntapctl doctor
	sees no-rule-is-about-you policy warning 'no rule is about you'
	sed 's/^name .*/name = */' "$rules" >"$work/hardly"
	cp "$rules" "$work/rules"
	cat "$work/hardly" >"$rules"
	look tuntapctl doctor
	sees files-are-hardly-meant policy-files warning 'policy test'
	echo 'wrong' >"$rules"
	look tuntapctl doctor
	sees files-are-wrong policy-files fault '50-doctor.conf:1'
	chmod 0600 "$rules"
	look as_user tuntapctl doctor
	sees files-are-roots policy-files unseen 'for root'
	chmod 0644 "$rules"
	cat "$work/rules" >"$rules"
}

groups() {
	sed -i /^tuntap:/d /etc/group
	look doctored --clear-groups tuntapctl doctor
	sees group-is-missing group warning 'groupadd'
	echo 'doctored:x:1234:1234::/:/bin/sh' >>/etc/passwd
	echo 'tuntap:x:4321:' >>/etc/group
	look doctored --clear-groups tuntapctl doctor
	sees group-is-not-yours group warning 'usermod -aG tuntap doctored'
	look as_user tuntapctl doctor
	sees group-is-not-needed group ok 'have a rule without'
	sed -i 's/^tuntap:.*/&doctored/' /etc/group
	look doctored --clear-groups tuntapctl doctor
	sees group-is-not-yet-yours group warning 'what you run is not yet'
	look doctored --groups 4321 tuntapctl doctor
	sees group-is-yours group ok 'you are in'
}

managers() {
	rule=/etc/udev/rules.d/70-tuntapd.rules
	sees udev-does-not-run udev ok 'does not run'
	sees networkd-does-not-run networkd ok 'does not run'
	sees network-manager-does-not-run network-manager ok 'does not run'
	with_manager systemd-udevd "$rule" \
		/etc/systemd/network/00-tuntapd.link
	sees udev-lets-ours-be udev ok 'is told'
	cp "$work/without" "$work/seen"
	sees udev-knows-not udev warning '00-tuntapd.link is not where'
	with_manager systemd-networkd "$rule" \
		/etc/systemd/network/00-tuntapd.network
	sees networkd-lets-ours-be networkd ok 'is told'
	cp "$work/without" "$work/seen"
	sees networkd-knows-not networkd warning '00-tuntapd.network is not where'
	with_manager NetworkManager "$rule"
	sees network-manager-lets-ours-be network-manager ok 'is told'
	cp "$work/without" "$work/seen"
	sees network-manager-knows-not network-manager warning '70-tuntapd.rules is not where'
}

# terminal NAME=VALUE...: what a terminal is shown.
terminal() {
	env -u NO_COLOR "$@" script -qec 'tuntapctl doctor' /dev/null </dev/null
}

json() {
	tuntapctl doctor --json >"$work/seen" 2>>"$work/log" || :
	python3 -c '
import json, sys
found = json.load(sys.stdin)
assert found[0]["check"] == "node" and found[0]["result"] == "ok"
assert all({"check", "result", "text"} == set(one) for one in found)
' <"$work/seen" 2>>"$work/log" && good json || bad json 'it is not that'
	escape=$(printf '\033')
	! tuntapctl doctor | grep -q "$escape" && good pipe-has-no-colour ||
		bad pipe-has-no-colour 'it has'
	terminal TERM=xterm | grep -q "$escape" && good terminal-has-colour ||
		bad terminal-has-colour 'it has none'
	! terminal TERM=xterm NO_COLOR=1 | grep -q "$escape" &&
		good no-colour-is-heeded || bad no-colour-is-heeded 'it is not'
}

inside() {
	PATH=$1:$PATH work=$2 passed=0 failed=0
	unset TUNTAPD_SOCKET
	mount -t tmpfs -o mode=0755 tmpfs /run
	mkdir -p /dev/net
	mount -t tmpfs -o mode=0755 tmpfs /dev/net
	mknod -m 0666 /dev/net/tun c 10 200
	private /etc
	for folder in /usr/local /usr/lib/udev /usr/lib/systemd/network \
		      /usr/lib/tuntapd; do
		[ ! -d "$folder" ] || mount -t tmpfs -o mode=0755 tmpfs "$folder"
	done
	rm -rf /etc/udev /etc/systemd/network /etc/tuntapd
	rules=/etc/tuntapd/policy.d/50-doctor.conf
	mkdir -p "${rules%/*}"
	cat >"$rules" <<-END
	[rule doctor]
	action = allow
	user   = $nobody
	kind   = tun
	name   = tt%u-*
	END
	: >"$work/log"
	: >"$work/seen"
	echo 2 >/proc/sys/net/ipv4/conf/all/rp_filter
	start_daemon
	look tuntapctl doctor
	for part in host daemons policy groups managers json; do
		look tuntapctl doctor
		"$part"
	done
	stop_daemon
	look tuntapctl doctor
	sees daemon-is-dead daemon fault 'seems not to run'
	sees what-a-dead-one-does-not-tell guard unseen 'did not tell'
	echo "$passed $failed" >"$work/counts"
}

if [ "${1:-}" = --inside ]; then
	inside "$2" "$3"
	exit
fi

# --- outside -----------------------------------------------------------------

build=$(cd "${1:?$usage}" && pwd)
cd "$(dirname "$0")/.."
if [ "$(id -u)" -ne 0 ] ||
   ! unshare --net --mount --pid --fork true 2>/dev/null; then
	echo "SKIP doctor: it needs root, and namespaces"
	exit "$skipped_status"
fi
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
chmod 0755 "$work"
unshare --net --mount --pid --fork --kill-child --mount-proc \
	sh tests/doctor.sh --inside "$build" "$work" || :
if read -r passed failed <"$work/counts"; then
	echo "doctor: $passed passed, $failed failed"
	[ "$failed" -eq 0 ]
else
	echo "not ok doctor-inside: it came to no end"
	exit 1
fi
