#!/bin/sh
# install.sh [--prefix DIR] [--binaries DIR] [--dry-run]: installs tuntapd on
# macOS, and has launchd start it with the first connection.  As root:
#
#	sudo sh launchd/install.sh
#
#	--prefix DIR	where to (/usr/local)
#	--binaries DIR	what was built (build/macos/universal, of `make macos`)
#	--dry-run	looks at everything, says what it would do, and does not
#
# Whoever can replace the daemon, its property list, or a folder above them is
# root with the next connection, so all of them must be root's alone.  What was
# installed is noted in PREFIX/share/tuntapd/installed, for uninstall.sh.
#
# Not run on a Mac yet.
set -eu

# Only the system's tools.  FAKES and FAKE_ROOT are for tests; sudo does not
# pass them on.
PATH=${FAKES:+$FAKES:}/usr/bin:/bin:/usr/sbin:/sbin
export PATH
umask 022

here=$(cd "$(dirname "$0")" && pwd -P)
source=$(dirname "$here")
binaries=$source/build/macos/universal
. "$here/common.sh"

# absolute WHAT PATH: it goes into the property list, by sed, and into lists.
absolute() {
	case $2 in
	*[!A-Za-z0-9/._-]*)
		fail "$1 $2: letters, digits and / . _ - are all that it may" \
		     "have" ;;
	/*) ;;
	*)	fail "$1 $2: it must begin with /" ;;
	esac
}

# --- what is root's alone -----------------------------------------------------

# root_only PATH: that is there, and is no symbolic link.
root_only() {
	owner=$(stat -f %u "$1")
	mode=$(stat -f %Lp "$1")
	if [ "$owner" != 0 ]; then
		fail "$1 belongs to uid $owner, who could replace what root" \
		     "runs: chown root $1, or choose another place with" \
		     "--prefix (on Intel Homebrew owns /usr/local, and" \
		     "/opt/tuntapd is free)"
	fi
	case $mode in
	*[2367]? | *[2367])
		fail "$1 has mode $mode: others than root could replace what" \
		     "root runs: chmod go-w $1, or choose another place with" \
		     "--prefix" ;;
	esac
	# "deny delete" is what Apple gives folders of its own.
	case $(ls -lde "$1") in
	*' allow '*)
		fail "$1 has an access control list that allows others" \
		     "something (ls -lde $1): chmod -N $1" ;;
	esac
}

# real PATH: as it is without symbolic links; what is not there yet stays.
real() {
	if [ -d "$1" ]; then
		(cd "$1" && pwd -P)
	else
		above=$(real "$(dirname "$1")")
		echo "${above%/}/$(basename "$1")"
	fi
}

# check PATH: what there is of it, and each folder above.
check() {
	at=$(real "$(dirname "$1")")/$(basename "$1")
	while :; do
		if [ -L "$at" ]; then
			fail "$at is a symbolic link: put what it stands for" \
			     "there, or remove it"
		fi
		[ ! -e "$at" ] || root_only "$at"
		[ "$at" != / ] || break
		at=$(dirname "$at")
	done
}

# --- installing ---------------------------------------------------------------

# note PATH: before it is made, so that what was begun can be removed.
note() {
	grep -qxF "$1" "$work/installed" || echo "$1" >>"$work/installed"
	if [ ! "$dry" ] && [ -d "$share" ]; then
		cp "$work/installed" "$installed"
	fi
}

# folder PATH: makes what is missing of it.
folder() {
	if [ -d "$1" ] || grep -qxF "$1/" "$work/installed"; then
		return 0
	fi
	folder "$(dirname "$1")"
	note "$1/"
	run install -d -o root -g wheel -m 755 "$1"
}

# file MODE FROM TO
file() {
	folder "$(dirname "$3")"
	note "$3"
	run install -o root -g wheel -m "$1" "$2" "$3"
}

# The paths of the sockets are built into daemon and clients alike: its --help
# has them.
socket_of() {
	"$binaries/tuntapd" --help |
		sed -n "s/^  --$1 PATH .*(\\(\\/[^)]*\\))\$/\\1/p"
}

write_plist() {
	sed -e "s|@SBINDIR@|$prefix/sbin|" -e "s|@SOCKET@|$socket|" \
		-e "s|@ADMIN_SOCKET@|$admin_socket|" \
		"$here/$label.plist" >"$work/$label.plist"
	plutil -lint -s "$work/$label.plist"
}

# What was made for the list, and no list in it, would be known to nobody.
leave() {
	if [ ! "$dry" ] && [ ! -e "$installed" ]; then
		sed '1!G;h;$!d' "$work/installed" | while read -r path; do
			rmdir "$path" 2>/dev/null || :
		done
	fi
	rm -rf "$work"
}

make_group() {
	! dscl . -read "/Groups/$group" >/dev/null 2>&1 || return 0
	run dseditgroup -o create -r 'May have devices of tuntapd' "$group"
}

# ------------------------------------------------------------------------------

while [ $# -gt 0 ]; do
	case $1 in
	--prefix | --binaries)
		[ $# -ge 2 ] || fail "$1 wants a folder"
		case $1 in
		--prefix)	prefix=${2%/} ;;
		*)		binaries=${2%/} ;;
		esac
		shift ;;
	--dry-run)	dry=yes ;;
	*)	echo 'usage: install.sh [--prefix DIR] [--binaries DIR]' \
		     '[--dry-run]' >&2
		exit 2 ;;
	esac
	shift
done
absolute --prefix "$prefix"
may install
for name in tuntapd tuntapctl libtuntapd.0.dylib libtuntapd.a; do
	[ -e "$binaries/$name" ] ||
		fail "$binaries/$name is missing: 'make macos' on Debian" \
		     "builds it; --binaries says where it is"
done
socket=$(socket_of socket)
admin_socket=$(socket_of admin-socket)
if [ ! "$socket" ] || [ ! "$admin_socket" ]; then
	fail "$binaries/tuntapd --help does not name its sockets: is it for" \
	     "this Mac's processor, and is there no quarantine on it" \
	     "(xattr -d com.apple.quarantine FILE)?"
fi
absolute socket "$socket"
absolute socket "$admin_socket"

share=$prefix/share/tuntapd
installed=$share/installed
daemon=$prefix/sbin/tuntapd
plist=$plists/$label.plist
policy=$prefix/lib/tuntapd/policy.d/50-tuntap.conf
work=$(mktemp -d /tmp/tuntapd-install.XXXXXX)
trap leave EXIT
: >"$work/installed"
[ ! -e "$installed" ] || cp "$installed" "$work/installed"

for path in "$daemon" "$prefix/bin/tuntapctl" "$prefix/lib/libtuntapd.a" \
	    "$prefix/include/tuntapd.h" "$prefix/share/man/man8/tuntapd.8" \
	    "$policy" "$installed" "$plist"; do
	check "$path"
done
write_plist
case $(real "$(dirname "$socket")")/ in
/private/var/run/* | /private/tmp/* | /var/run/*)
	echo "install.sh: $socket is where macOS removes folders when it" \
	     "starts: launchd cannot make it then, until this is run again;" \
	     "build with RUNDIR=/var/db/tuntapd" >&2 ;;
esac

stop_job
folder "$share"
note "$installed"
file 755 "$binaries/tuntapd" "$daemon"
file 755 "$binaries/tuntapctl" "$prefix/bin/tuntapctl"
file 755 "$binaries/libtuntapd.0.dylib" "$prefix/lib/libtuntapd.0.dylib"
note "$prefix/lib/libtuntapd.dylib"
run ln -sf libtuntapd.0.dylib "$prefix/lib/libtuntapd.dylib"
file 644 "$binaries/libtuntapd.a" "$prefix/lib/libtuntapd.a"
file 644 "$source/libclient/tuntapd.h" "$prefix/include/tuntapd.h"
for page in "$source"/man/*.[0-9]; do
	name=$(basename "$page")
	file 644 "$page" "$prefix/share/man/man${name##*.}/$name"
done
file 644 "$here/50-tuntap.conf" "$policy"
for name in "$socket" "$admin_socket"; do
	folder "$(dirname "$name")"
	note "$name"		# launchd makes it
done
make_group
file 644 "$work/$label.plist" "$plist"
if [ ! "$dry" ]; then
	check "$daemon"
	check "$plist"
fi
run launchctl bootstrap system "$plist"

[ ! "$dry" ] || exit 0
echo "installed; devices are for members of the group $group:"
echo "    sudo dseditgroup -o edit -a \"\$(id -un)\" -t user $group"
[ "$prefix" = /usr/local ] ||
	echo "The daemon does not look for its policy below $prefix: copy" \
	     "$policy to /etc/tuntapd/policy.d, as root"
