#!/bin/sh
# uninstall.sh [--prefix DIR] [--purge] [--dry-run]: an end to what install.sh
# did.  As root; twice is as good as once.
#
#	sudo sh launchd/uninstall.sh
#
#	--prefix DIR	where it was installed to (/usr/local)
#	--purge		the log and the group tuntap, too
#	--dry-run	says what it would do, and does nothing
#
# PREFIX/share/tuntapd/installed has what was made, in that order.  Devices stay
# with who holds them; `sudo tuntapctl close --all` before this ends them.  What
# is in /etc/tuntapd is yours and stays.
#
# Not run on a Mac yet.
set -eu

# Only the system's tools.  FAKES and FAKE_ROOT are for tests; sudo does not
# pass them on.
PATH=${FAKES:+$FAKES:}/usr/bin:/bin:/usr/sbin:/sbin
export PATH

. "$(cd "$(dirname "$0")" && pwd -P)/common.sh"
log=${FAKE_ROOT:-}/var/log/tuntapd.log
claim=${FAKE_ROOT:-}/var/run/tuntapd.claim	# the daemon's own lock
purge=

remove() {
	if [ -e "$1" ] || [ -L "$1" ]; then
		run rm -f "$1"
	fi
}

# What somebody else has put something into stays.
remove_folder() {
	[ -d "$1" ] || return 0
	if [ "$dry" ]; then
		echo "would: rmdir $1 if it is empty"
	elif ! rmdir "$1" 2>/dev/null; then
		echo "$1 stays: it is not empty"
	fi
}

# Root is about to remove what it says, so it must be root's.
check_installed() {
	if [ -L "$installed" ] || [ "$(stat -f %u "$installed")" != 0 ]; then
		fail "$installed does not belong to root, so it is not" \
		     "install.sh's: look at it, and remove it by hand"
	fi
}

# The last is the first to go, and the list itself before its folder.
remove_installed() {
	sed '1!G;h;$!d' "$installed" >"$work/backwards"
	while read -r path; do
		case $path in
		/*/)	remove_folder "${path%/}" ;;
		/*)	remove "$path" ;;
		esac
	done <"$work/backwards"
}

while [ $# -gt 0 ]; do
	case $1 in
	--prefix)
		[ $# -ge 2 ] || fail "$1 wants a folder"
		prefix=${2%/}
		shift ;;
	--purge)	purge=yes ;;
	--dry-run)	dry=yes ;;
	*)	echo 'usage: uninstall.sh [--prefix DIR] [--purge]' \
		     '[--dry-run]' >&2
		exit 2 ;;
	esac
	shift
done
may uninstall

installed=$prefix/share/tuntapd/installed
work=$(mktemp -d /tmp/tuntapd-uninstall.XXXXXX)
trap 'rm -rf "$work"' EXIT

# Installed elsewhere: its job is not ours to end.
if [ ! -e "$installed" ] && [ -e "$plists/$label.plist" ]; then
	fail "$plists/$label.plist is there, but nothing is noted in" \
	     "$installed: say with --prefix where it was installed to"
fi
stop_job
remove "$claim"
if [ -e "$installed" ]; then
	check_installed
	remove_installed
else
	echo "nothing is installed below $prefix"
fi
if [ "$purge" ]; then
	remove "$log"
	! dscl . -read "/Groups/$group" >/dev/null 2>&1 ||
		run dseditgroup -o delete "$group"
elif [ -e "$log" ]; then
	echo "$log stays, and so does the group $group: --purge removes them"
fi
