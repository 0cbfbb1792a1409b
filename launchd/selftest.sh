#!/bin/sh
# selftest.sh [--binaries DIR] [--headers DIR] [--launchd] [--log FILE]
# [--dry-run]: does tuntapd work on this Mac?
#
# NOT RUN ON A MAC YET.  What fails may well be this script: its log says which
# command said what, so please attach it to a report in either case.
#
# Call it as an ordinary user who may use sudo:
#
#	sh launchd/selftest.sh
#
#	--binaries DIR	what was built elsewhere (build/macos/universal of
#			`make macos`); without it everything is built here, with
#			Xcode's command line tools and Homebrew
#			(brew install make libevent jansson uthash)
#	--headers DIR	where bsd/sys/tree.h of libbsd is, if Homebrew has none
#	--launchd	installs it by install.sh, has launchd start it, and
#			removes it by uninstall.sh; wants --binaries
#	--log FILE	where the log goes (tuntapd-selftest.log here)
#	--dry-run	says which commands it would run, and runs none
#
# Without --launchd the daemon runs in the foreground, with sudo, with sockets
# and a policy of its own in `place` below.  Everything is removed again,
# whatever happens.  The log has the version of the system, each command, what
# it printed, and the verdict.
set -u

here=$(cd "$(dirname "$0")" && pwd -P)
source=$(dirname "$here")
binaries=
headers=
launchd=
log='tuntapd-selftest.log'
dry=

label=org.tuntapd
root=${FAKE_ROOT:-}		# for tests
plists=$root/Library/LaunchDaemons
# Root's alone, and so are the folders above.
place=$root/private/var/db/tuntapd-selftest.$$
etc=$root/etc/tuntapd/policy.d
rule=99-selftest.conf
claim=$root/var/run/tuntapd.claim
daemon_log=$root/var/log/tuntapd.log

# In the ranges of the shipped policy.
address4=198.19.93.1 neighbour4=198.19.93.7 behind4=198.19.94.4
address6=fd0e:e9c7:abee:93::1 neighbour6=fd0e:e9c7:abee:93::7
behind6=fd0e:e9c7:abee:94::4
route4=198.19.94.0/24 route6=fd0e:e9c7:abee:94::/64
other4=198.19.95.1
ours='198\.19\.9[345]|e9c7:abee:9[34]'
mtu=1400
fits=$((mtu - 28))		# IPv4's and ICMP's headers
patience=10			# seconds, for what takes a moment
longest=20			# seconds, for a command

device='' echo_pid=''
passed=0 failed=0 skipped=0

usage() {
	echo 'usage: selftest.sh [--binaries DIR] [--headers DIR] [--launchd]' \
	     '[--log FILE] [--dry-run]' >&2
	exit 2
}

fail() {
	echo "selftest.sh: $*" >&2
	exit 1
}

# --- the log ------------------------------------------------------------------

# say WORD...: on the terminal and in the log.
say() {
	echo "$*"
	echo "$*" >&3
}

# show COMMAND...: its output is in $out, and it has $longest seconds.
show() {
	echo "\$ $*" >&3
	if [ "$dry" ]; then
		echo "would: $*"
		return 0
	fi
	perl -e 'alarm shift; exec @ARGV or die "$ARGV[0]: $!\n"' "$longest" \
		"$@" >"$out" 2>&1 </dev/null
	status=$?
	sed 's/^/    /' "$out" >&3
	[ "$status" -eq 0 ] || echo "    (exit status $status)" >&3
	return "$status"
}

# works COMMAND...
works() {
	show "$@" || {
		why="exit status $? of: $*"
		return 1
	}
}

# refused COMMAND...
refused() {
	[ "$dry" ] || ! show "$@" || {
		why="it should have failed: $*"
		return 1
	}
	[ ! "$dry" ] || show "$@"
}

# has PATTERN / has_not PATTERN: what was shown last.
has() {
	[ "$dry" ] || grep -Eq -e "$1" "$out" || {
		why="no \"$1\" in what it printed"
		return 1
	}
}
has_not() {
	[ "$dry" ] || ! grep -Eq -e "$1" "$out" || {
		why="\"$1\" is in what it printed"
		return 1
	}
}

# soon COMMAND...: works before long.
soon() {
	waited=0
	until [ "$dry" ] || "$@" >/dev/null 2>&1; do
		[ "$waited" -lt "$patience" ] || {
			why="not so after $patience seconds: $*"
			return 1
		}
		sleep 1
		waited=$((waited + 1))
	done
}

# check NAME COMMAND...
check() {
	name=$1 why=
	shift
	echo "## $name" >&3
	if [ "$dry" ]; then
		echo "# $name"
		"$@"
	elif "$@"; then
		passed=$((passed + 1))
		say "ok $name"
	else
		failed=$((failed + 1))
		say "not ok $name: ${why:-see the log}"
	fi
}

# --- before and after ---------------------------------------------------------

the_system() {
	show sw_vers
	show uname -srm
	show id -u
	show sysctl -n machdep.cpu.brand_string
	show csrutil status
	[ ! -e "$source/.git" ] || show git -C "$source" log -1 --format=%H
	show "$tuntapd" --version
	show file "$tuntapd"
	show codesign -dv "$tuntapd"
	works otool -L "$tuntapd" && has_not '^[[:space:]]+/(opt|usr/local)/'
}

build() {
	brew=$(brew --prefix 2>/dev/null) || brew=/usr/local
	make=$(command -v gmake || echo make)
	longest=600
	# The daemon runs as root: what Homebrew has, which is no root's, goes
	# into it and is not loaded from there.
	works "$make" -C "$source" B="$binaries" SYSTEM=darwin \
		CC="cc -I$brew/include${headers:+ -I$headers}" \
		LINK="cc -L$brew/lib" DAEMON_LIBS="$brew/lib/libevent_core.a" \
		CTL_LIBS='-ljansson -lncurses' \
		ARCHIVE="libtool -static -o \$@ \$^" \
		"$tuntapd" "$tuntapctl" "$tun_echo"
	built=$?
	longest=20
	return "$built"
}

write_rule() {
	cat >"$mine/$rule" <<-END_OF_RULE
	[rule selftest]
	action       = allow
	user         = $(id -u)
	kind         = tun, tap
	name         = utun*
	address      = 198.19.0.0/17, fd0e:e9c7:abee::/48
	route        = 198.19.0.0/17, fd0e:e9c7:abee::/48
	source-guard = off
	max-devices  = 4
	END_OF_RULE
}

place_it() {
	works sudo install -d -o root -g wheel -m 755 "$place" \
		"$place/sbin" "$place/policy.d" "$place/run" &&
	works sudo install -o root -g wheel -m 755 "$tuntapd" \
		"$place/sbin/tuntapd" &&
	works sudo install -o root -g wheel -m 644 "$mine/$rule" \
		"$place/policy.d/$rule" &&
	works sudo "$place/sbin/tuntapd" --check --policy "$place/policy.d"
}

start_it() {
	set -- "$place/sbin/tuntapd" --user 0 --policy "$place/policy.d" \
		--socket "$socket" --admin-socket "$admin_socket"
	if [ "$dry" ]; then
		show sudo "$@"
		return
	fi
	echo "\$ sudo $* &" >&3
	# shellcheck disable=SC2024 # the file is to be the user's
	# sudo would be what is ended, by its number: the daemon notes its own.
	sudo sh -c 'echo $$ >"$0" && exec "$@"' "$place/pid" "$@" \
		>"$mine/daemon.log" 2>&1 </dev/null &
	soon grep -q 'ready$' "$mine/daemon.log"
}

install_it() {
	works sudo install -d -o root -g wheel -m 755 "$etc" &&
	works sudo install -o root -g wheel -m 644 "$mine/$rule" \
		"$etc/$rule" &&
	works sudo sh "$here/install.sh" --prefix "$place" \
		--binaries "$binaries"
}

# Nothing is started before somebody connects.
started_on_demand() {
	works launchctl print "system/$label" &&
	has 'state = (not running|waiting)' &&
	works "$tuntapctl" --socket "$socket" list &&
	works launchctl print "system/$label" && has 'state = running'
}

modes_of_sockets() {
	works ls -l "$socket" && has '^srw-rw-rw-' &&
	works sudo ls -l "$admin_socket" && has '^srw-------'
}

# --- a device -----------------------------------------------------------------

# One that a check has left behind.
stop_echo() {
	[ "$echo_pid" ] || return 0
	kill "$echo_pid" 2>/dev/null
	wait "$echo_pid" 2>/dev/null
	echo_pid=
}

open_device() {
	stop_echo
	set -- "$tun_echo" --socket "$socket" --address "$address4/24" \
		--address "$address6/64" --route "$route4" --route "$route6" \
		--mtu "$mtu"
	if [ "$dry" ]; then
		device=utunN
		show "$@"
		return
	fi
	echo "\$ $* &" >&3
	"$@" >"$mine/echo.log" 2>&1 </dev/null &
	echo_pid=$!
	soon grep -q '^ready' "$mine/echo.log"
	opened=$?
	device=$(sed -n 's/^device \([a-z0-9]*\) .*/\1/p' "$mine/echo.log")
	show cat "$mine/echo.log"
	[ "$opened" -eq 0 ] && has "^device utun[0-9]+ index [1-9].* mtu $mtu"
}

by_an_ordinary_user() {
	[ "$dry" ] || show cat "$mine/echo.log" && has "^uid $(id -u)" &&
	has_not '^uid 0$'
}

addresses() {
	works ifconfig "$device" && has '<UP,' && has "mtu $mtu" &&
	has "inet $address4 .*netmask 0xffffff00" &&
	has "inet6 $address6 prefixlen 64"
}

# leads_there FAMILY ADDRESS
leads_there() {
	works route -n get "$1" "$2" && has "interface: $device\$"
}

routes() {
	leads_there -inet "$neighbour4" && leads_there -inet "$behind4" &&
	leads_there -inet6 "$neighbour6" && leads_there -inet6 "$behind6"
}

pings() {
	works ping -c 3 -t "$patience" "$neighbour4" &&
	works ping -c 3 -t "$patience" "$behind4" &&
	works ping6 -c 3 "$neighbour6" && works ping6 -c 3 "$behind6"
}

longest_packet() {
	works ping -c 1 -t "$patience" -D -s "$fits" "$neighbour4" &&
	refused ping -c 1 -t "$patience" -D -s "$((fits + 1))" "$neighbour4" &&
	has '[Mm]essage too long'
}

second_device() {
	works "$tuntapctl" --socket "$socket" run --tun \
		--address "$other4/24" -- ifconfig '{name}' &&
	has "inet $other4 " && has_not "^$device:"
}

tap_is_refused() {
	refused "$tuntapctl" --socket "$socket" run --tap -- true &&
	has 'TAP on macOS'
}

other_address_is_refused() {
	refused "$tun_echo" --socket "$socket" --address 192.0.2.1/24 &&
	has "$rule"
}

admin_is_roots() {
	refused "$tuntapctl" --socket "$admin_socket" list &&
	works sudo "$tuntapctl" --socket "$admin_socket" list &&
	has "$device"
}

status_says() {
	works "$tuntapctl" --socket "$socket" status &&
	works "$tuntapctl" --socket "$socket" list && has "$device"
}

default_route() {
	route -n get default 2>/dev/null | sed -n 's/^ *interface: //p'
}

default_stays() {
	[ "$dry" ] || [ "$(default_route)" = "$default_before" ] || {
		why="it was $default_before, and is $(default_route)"
		return 1
	}
}

is_gone() {
	! ifconfig "$device"
}

# What the table has of ours; the rest of it is nobody's business.
routes_are_gone() {
	[ "$dry" ] && return
	netstat -rn | grep -E "$ours" >"$out"
	sed 's/^/    /' "$out" >&3
	has_not .
}

# end_device SIGNAL: its holder ends, and so does all of it.
end_device() {
	if [ "$dry" ]; then
		show kill "-$1" PID
		return
	fi
	echo "\$ kill -$1 $echo_pid" >&3
	kill "-$1" "$echo_pid"
	wait "$echo_pid" 2>/dev/null
	echo_pid=
	show cat "$mine/echo.log"
	soon is_gone && routes_are_gone
}

ended_well() {
	end_device TERM || return 1
	show cat "$mine/echo.log"
	has '^answered [1-9][0-9]* IPv4 [1-9]'
}

killed() {
	open_device && end_device KILL
}

# Who has its number now, if it has ended long ago, is left alone.
end_daemon() {
	if [ "$dry" ]; then
		show sudo kill PID
	elif pid=$(cat "$place/pid" 2>/dev/null) && [ "$pid" ]; then
		sudo rm -f "$place/pid"
		case $(ps -o comm= -p "$pid") in
		*tuntapd)
			works sudo kill "$pid"
			soon no_sockets || sudo kill -KILL "$pid" ;;
		*)	why='the daemon had ended before'
			return 1 ;;
		esac
	fi
}

# Packets do not pass through the daemon.
pings_without_the_daemon() {
	open_device || return 1
	end_daemon && works ping -c 3 -t "$patience" "$neighbour4" &&
	end_device TERM
}

no_sockets() {
	[ ! -e "$socket" ] && [ ! -e "$admin_socket" ]
}

# launchd starts it with who connects next.
starts_again() {
	works sudo launchctl kill TERM "system/$label" &&
	soon "$tuntapctl" --socket "$socket" list &&
	works "$tuntapctl" --socket "$socket" status
}

# --- an end -------------------------------------------------------------------

# purge: where there was no group before, none stays.
uninstall_it() {
	works sudo sh "$here/uninstall.sh" --prefix "$place" $purge
}

nothing_is_installed() {
	refused launchctl print "system/$label" &&
	works sudo sh "$here/uninstall.sh" --prefix "$place" &&
	refused ls -ld "$plists/$label.plist" "$socket" "$admin_socket" &&
	has_not '^[-sd]r' && refused ls -ld "$place"
}

nothing_is_left() {
	[ "$dry" ] && return
	ifconfig 2>/dev/null | grep -E "$ours" >"$out"
	sed 's/^/    /' "$out" >&3
	has_not . && routes_are_gone
}

clean_up() {
	trap - EXIT INT TERM HUP
	stop_echo
	if [ ! "$dry" ] && [ "${begun:-}" ]; then
		if [ "$launchd" ]; then
			echo '## the log of the daemon' >&3
			sudo tail -n 100 "$daemon_log" >&3 2>&1
			sudo sh "$here/uninstall.sh" --prefix "$place" \
				$purge >&3 2>&1
			sudo rm -f "$etc/$rule"
			sudo rmdir "$etc" "${etc%/*}" 2>/dev/null
		else
			end_daemon
			echo '## the log of the daemon' >&3
			cat "$mine/daemon.log" >&3 2>/dev/null
			sudo rm -f "$claim"
		fi
		sudo rm -rf "$place"
	fi
	rm -rf "$mine"
}

# ------------------------------------------------------------------------------

while [ $# -gt 0 ]; do
	case $1 in
	--binaries | --headers | --log)
		[ $# -ge 2 ] || usage
		case $1 in
		--binaries)	binaries=$2 ;;
		--headers)	headers=$2 ;;
		*)		log=$2 ;;
		esac
		shift ;;
	--launchd)	launchd=yes ;;
	--dry-run)	dry=yes ;;
	*)		usage ;;
	esac
	shift
done
[ "$(uname -s)" = Darwin ] || fail 'this is for macOS'
[ "$dry" ] || [ "$(id -u)" -ne 0 ] ||
	fail 'call it as an ordinary user: that is what a device is for'
[ ! "$launchd" ] || [ "$binaries" ] || fail '--launchd wants --binaries'
if [ -e "$plists/$label.plist" ] || [ -e "$etc/$rule" ] ||
   launchctl print "system/$label" >/dev/null 2>&1; then
	fail "tuntapd is installed here, and there is one for a machine:" \
	     "sudo sh launchd/uninstall.sh, and sudo rm -f $etc/$rule"
fi

if [ "$dry" ]; then
	log=/dev/null
elif ! : >"$log"; then
	fail "$log cannot be written: say with --log where to"
fi
exec 3>>"$log"
mine=$(mktemp -d /tmp/tuntapd-selftest.XXXXXX) || exit 1
out=$mine/out
: >"$out"
trap clean_up EXIT
trap 'exit 1' INT TERM HUP

built=$binaries
: "${binaries:=$mine/build}"
binaries=$(mkdir -p "$binaries" && cd "$binaries" && pwd -P) || exit 1
tuntapd=$binaries/tuntapd
tuntapctl=$binaries/tuntapctl
tun_echo=$binaries/examples/tun-echo
socket=$place/run/tuntapd.sock
admin_socket=$place/run/admin.sock
purge=
default_before=$(default_route)

[ "$built" ] || check build build
[ "$dry" ] || [ -x "$tuntapd" ] ||
	fail "there is no $tuntapd: see $log, and the head of this script"
[ "$dry" ] || sudo -v || fail 'it takes sudo, for the daemon'
check the-system the_system
write_rule
begun=yes
if [ "$launchd" ]; then
	socket=$("$tuntapd" --help | sed -n 's/^  --socket .*(\(.*\))$/\1/p')
	admin_socket=$("$tuntapd" --help |
		sed -n 's/^  --admin-socket .*(\(.*\))$/\1/p')
	dscl . -read /Groups/tuntap >/dev/null 2>&1 || purge=--purge
	check installed install_it
	check started-on-demand started_on_demand
	check modes-of-sockets modes_of_sockets
else
	check placed place_it
	check started start_it
fi
check open-as-an-ordinary-user open_device
if [ ! "$device" ]; then
	say "there is no device, so nothing that wants one was tried"
	skipped=$((skipped + 1))
else
	check by-an-ordinary-user by_an_ordinary_user
	check addresses-and-mtu addresses
	check routes routes
	check pings pings
	check longest-packet longest_packet
	check status-and-list status_says
	check second-device second_device
	check tap-is-refused tap_is_refused
	check other-address-is-refused other_address_is_refused
	check admin-socket-is-roots admin_is_roots
	check default-route-stays default_stays
	check device-goes-with-its-holder ended_well
	check device-goes-with-a-killed-holder killed
	# launchd would start it again, and leases are not found again then.
	[ "$launchd" ] ||
		check pings-without-the-daemon pings_without_the_daemon
fi
if [ "$launchd" ]; then
	check starts-again starts_again
	check uninstalled uninstall_it
	check nothing-is-installed nothing_is_installed
fi
check nothing-is-left nothing_is_left
check default-route-is-as-before default_stays

[ ! "$dry" ] || exit 0
say "selftest: $passed passed, $failed failed, $skipped skipped"
echo "$log has it all: look whether there is nothing in it that you would" \
     "keep to yourself, and attach it to a report"
[ "$failed" -eq 0 ]
