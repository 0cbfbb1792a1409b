#!/bin/sh
# fake.sh: what a Mac has and this system has not, for tests/launchd.sh, which
# links it under these names.  $MAC is the folder of the Mac that is played:
#
#	owners	"PATH UID MODE", of what is not root's and 755
#	acl	"PATH" with an access control list that allows something
#	calls	what was called
#	job, group	are there while launchd has it, and while it exists
#	running	is there while launchd runs the daemon
#	broken	"NAME" of a fake that fails;  "install N": its Nth call does,
#		when it has done what it should
#	devices/	of tun-echo, each with its process
set -u

me=$(basename "$0")
echo "$me $*" >>"$MAC/calls"
if grep -qx "$me" "$MAC/broken" 2>/dev/null; then
	echo "$me: broken on purpose" >&2
	exit 1
fi

# stat -f %u PATH, and %Lp
fake_stat() {
	[ "$1" = -f ] || exit 1
	set -- "$2" "$3" "$(sed -n "s|^$3 ||p" "$MAC/owners")"
	case $1 in
	%u)	echo "${3%% *}" | sed 's/^$/0/' ;;
	%Lp)	echo "${3##* }" | sed 's/^$/755/' ;;
	*)	exit 1 ;;
	esac
}

# install [-d] -o OWNER -g GROUP -m MODE FROM TO, or FOLDER...
fake_install() {
	at=$(grep -c '^install ' "$MAC/calls")
	folder=
	while :; do
		case $1 in
		-d)		folder=yes ;;
		-o)		[ "$2" = root ] || exit 1; shift ;;
		-g)		[ "$2" = wheel ] || exit 1; shift ;;
		-m)		mode=$2; shift ;;
		*)		break ;;
		esac
		shift
	done
	if [ "$folder" ]; then
		mkdir -p "$@" && chmod "$mode" "$@"
	else
		cp "$1" "$2" && chmod "$mode" "$2"
	fi
	! grep -qx "install $at" "$MAC/broken"
}

sockets_of() {
	python3 - "$1" <<-'END_OF_PYTHON'
	import os, plistlib, sys

	for s in plistlib.load(open(sys.argv[1], "rb"))["Sockets"].values():
	    os.close(os.open(s["SockPathName"], os.O_CREAT, 0o600))
	    os.chmod(s["SockPathName"], s["SockPathMode"])
	END_OF_PYTHON
}

fake_launchctl() {
	case $1 in
	print)
		[ -e "$MAC/job" ] || exit 113
		state=$([ -e "$MAC/running" ] || echo 'not ')running
		echo "	state = $state" ;;
	bootstrap)
		[ "$2" = system ] && [ ! -e "$MAC/job" ] || exit 5
		: >"$MAC/job"
		sockets_of "$3" ;;
	bootout)
		rm "$MAC/job" && rm -f "$MAC/running" ;;
	kill)
		rm "$MAC/running" ;;
	*)	exit 1 ;;
	esac
}

# ls -lde PATH; a file for a socket.
fake_ls() {
	case $* in
	-lde*)		;;
	*.sock)
		found=$(/bin/ls "$@")
		status=$?
		echo "$found" | sed 's/^-/s/'
		exit "$status" ;;
	*)		exec /bin/ls "$@" ;;
	esac
	/bin/ls -ld "$2"
	! grep -qxF "$2" "$MAC/acl" || echo ' 0: user:bob allow add_file'
}

# --- for the selftest ---------------------------------------------------------

devices() {
	for at in "$MAC"/devices/*; do
		[ ! -e "$at" ] || kill -0 "$(cat "$at")" 2>/dev/null || rm "$at"
	done
	/bin/ls "$MAC/devices"
}

fake_tuntapd() {
	case ${1:-} in
	--help)
		at=$MAC/private/var/db/tuntapd
		echo "  --socket PATH        for all ($at/tuntapd.sock)"
		echo "  --admin-socket PATH  for root ($at/admin.sock)"
		exit ;;
	--version)
		echo 'tuntapd 0'; exit ;;
	--check)
		exit ;;
	esac
	while [ $# -gt 0 ]; do
		case $1 in
		--socket)	socket=$2 ;;
		--admin-socket)	admin=$2 ;;
		esac
		shift 2
	done
	: >"$socket" && : >"$admin"
	trap 'rm "$socket" "$admin"; exit 0' TERM
	echo ready
	while :; do
		sleep 0.1
	done
}

fake_tuntapctl() {
	[ ! -e "$MAC/job" ] || : >"$MAC/running"
	case $* in
	*admin.sock*)
		[ "${SUDO:-}" ] && devices ;;
	*--tap*)
		echo 'there is no TAP on macOS; ask for a TUN'; exit 125 ;;
	*' run '*)
		echo 'utun8: flags=8051<UP>'
		echo '	inet 198.19.95.1 --> 198.19.95.1' ;;
	*)	devices ;;
	esac
}

fake_tun_echo() {
	case $* in
	*192.0.2.1*)
		echo 'tun-echo: policy: 99-selftest.conf:1' >&2; exit 1 ;;
	esac
	[ -e "$2" ] || { echo "tun-echo: $2: no daemon" >&2; exit 1; }
	echo $$ >"$MAC/devices/utun7"
	trap 'rm "$MAC/devices/utun7"; echo "answered 6 IPv4 6 IPv6"; exit 0' \
		TERM
	echo 'device utun7 index 9 mtu 1400'
	echo 'uid 1000'
	echo ready
	while :; do
		sleep 0.1
	done
}

fake_ifconfig() {
	[ "$(devices)" ] || { [ $# -eq 0 ]; exit; }
	echo 'utun7: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> mtu 1400'
	echo '	inet 198.19.93.1 --> 198.19.93.1 netmask 0xffffff00 '
	echo '	inet6 fd0e:e9c7:abee:93::1 prefixlen 64 '
}

fake_route() {
	case $* in
	*default)	echo '  interface: en0' ;;
	*)		echo '  interface: utun7' ;;
	esac
}

fake_netstat() {
	echo 'default            192.0.2.1          UGScg      en0'
	[ ! "$(devices)" ] ||
		echo '198.19.94/24       utun7              USc        utun7'
}

fake_ping() {
	case $* in
	*' 1373 '*)
		echo 'ping: sendto: Message too long' >&2; exit 2 ;;
	esac
	[ "$(devices)" ]
}

case $me in
uname)		[ "$*" = -srm ] && echo Darwin 0 arm64 || echo Darwin ;;
id)		[ "${SUDO:-}" ] && echo 0 || echo "${ID:-0}" ;;
stat)		fake_stat "$@" ;;
install)	fake_install "$@" ;;
launchctl)	fake_launchctl "$@" ;;
ls)		fake_ls "$@" ;;
plutil)		python3 -c 'import plistlib, sys
plistlib.load(open(sys.argv[1], "rb"))' "$3" ;;
dscl)		[ -e "$MAC/group" ] ;;
dseditgroup)	case $2 in
		create)	: >"$MAC/group" ;;
		delete)	rm "$MAC/group" ;;
		esac ;;
sudo)		[ "$1" = -v ] || SUDO=yes exec "$@" ;;
sw_vers | sysctl | csrutil | codesign | otool | file)
		echo "$me of a played Mac" ;;
tuntapd)	fake_tuntapd "$@" ;;
tuntapctl)	fake_tuntapctl "$@" ;;
tun-echo)	fake_tun_echo "$@" ;;
ifconfig)	fake_ifconfig "$@" ;;
route)		fake_route "$@" ;;
netstat)	fake_netstat ;;
ping | ping6)	fake_ping "$@" ;;
*)		exit 127 ;;
esac
