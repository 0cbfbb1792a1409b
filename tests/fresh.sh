#!/bin/sh
# fresh.sh [--work-tree]: are the README's two commands true on a Debian 12
# that has nothing but make?
#
# Makes a minimal root from the machine's own apt sources, puts the last commit
# into it (with --work-tree: the files as they are), and runs `make demo` and
# `make check` there: as an ordinary user before any package is installed, as
# root, and as an ordinary user again.  All in mount and pid namespaces of its
# own, which take mounts and processes with them.  The network is used by apt
# alone.
#
#	TEST_VARIANTS	what `make check` is given besides, if anything
set -eu

user=newcomer
check="make check${TEST_VARIANTS:+ TEST_VARIANTS='$TEST_VARIANTS'}"

# --- in the new root --------------------------------------------------------

passed=0 failed=0
good() {
	echo "ok $1"
	passed=$((passed + 1))
}
bad() {
	echo "not ok $1"
	failed=$((failed + 1))
	shift
	sed 's/^/    /' "$@"
}

# as USER COMMAND: in the user's copy of the sources, as typed.
as() {
	if [ "$1" = root ]; then
		sh -c "cd ~/tuntapd && $2"
	else
		# No terminal, no environment: as after logging in.
		su - "$1" -s /bin/sh -c "cd ~/tuntapd && $2"
	fi
}

# An ordinary user is told what to type, and that is right.
is_told() {
	if as "$user" "$1" >/tmp/out 2>&1; then
		bad "$user: $1: it must fail without packages" /tmp/out
		return
	fi
	sed -n 's/^ *sudo \(apt-get install .*\)$/\1/p' /tmp/out >/tmp/line
	if [ "$(wc -l </tmp/line)" -eq 1 ] &&
	   sh -c "$(cat /tmp/line) --simulate" >/tmp/simulated 2>&1; then
		good "$user: $1: it says: sudo $(cat /tmp/line)"
	else
		bad "$user: $1: it names no line that installs" /tmp/out
	fi
}

works() {
	if as "$1" "$2" >/tmp/out 2>&1; then
		good "$1: $2: $(grep -v '^ *$' /tmp/out | tail -n 1)"
	else
		bad "$1: $2: exit status $?" /tmp/out
	fi
}

inside() {
	umount -l /mnt
	export HOME=/root DEBIAN_FRONTEND=noninteractive LC_ALL=C
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	if ! { apt-get update -q && apt-get install -y -q \
	       --no-install-recommends make; } >/tmp/out 2>&1; then
		bad "apt-get install make" /tmp/out
		return 1
	fi
	useradd -m -s /bin/sh "$user"
	cp -a /root/tuntapd "/home/$user/"
	chown -R "$user:" "/home/$user/tuntapd"

	is_told 'make demo'
	is_told 'make check'
	works root 'make demo'
	works root "$check"

	# What was built is the same for the user: only the running is new.
	rm -rf "/home/$user/tuntapd"
	cp -a /root/tuntapd "/home/$user/"
	chown -R "$user:" "/home/$user/tuntapd"
	works "$user" 'make demo'
	works "$user" "$check"
	echo "fresh: $passed passed, $failed failed, 0 skipped"
	[ "$failed" -eq 0 ]
}

# --- in the new namespaces, the old root ------------------------------------

enter() {
	root=$1
	# The root of a mount namespace must be a mount of its own.
	mount --bind "$root" "$root"
	mount -t proc proc "$root/proc"
	mount -t sysfs -o ro sysfs "$root/sys"
	mount -t tmpfs -o mode=0755 tmpfs "$root/dev"
	mkdir -p "$root/dev/net" "$root/dev/shm" "$root/dev/pts"
	mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
	mount -t devpts -o newinstance,mode=0620,ptmxmode=0666 devpts \
		"$root/dev/pts"
	(
		cd "$root/dev"
		umask 0
		mknod -m 0666 null c 1 3
		mknod -m 0666 zero c 1 5
		mknod -m 0666 full c 1 7
		mknod -m 0666 random c 1 8
		mknod -m 0666 urandom c 1 9
		mknod -m 0666 tty c 5 0
		# As udev leaves it on Debian.
		mknod -m 0666 net/tun c 10 200
		ln -s pts/ptmx ptmx
		ln -s /proc/self/fd fd
		ln -s fd/0 stdin
		ln -s fd/1 stdout
		ln -s fd/2 stderr
	)
	mount -t tmpfs -o mode=0755 tmpfs "$root/run"
	cd "$root"
	pivot_root . mnt
	exec chroot . /bin/sh /fresh.sh --inside
}

case ${1:-} in
--inside)
	inside
	exit ;;
--enter)
	enter "$2" ;;
esac

# --- on the machine ---------------------------------------------------------

cd "$(dirname "$0")/.."
from=${1:-HEAD}

skip() {
	echo "SKIP fresh: $1"
	exit 77
}

[ "$(id -u)" -eq 0 ] || skip 'it needs root'
command -v debootstrap >/dev/null || skip 'there is no debootstrap'
command -v apt-get >/dev/null || skip 'there is no apt-get to take sources from'
unshare --mount --pid --fork --kill-child --mount-proc true 2>/dev/null ||
	skip 'no mount and pid namespaces here'

# shellcheck source=tests/root.sh
. tests/root.sh

work=$(mktemp -d "${TMPDIR:-/var/tmp}/tuntapd-fresh.XXXXXX")
chmod 0755 "$work"
runner=
# shellcheck disable=SC2317 # by the trap
cleanup() {
	# The first process of the pid namespace takes the others with it, and
	# the mounts.
	[ -z "$runner" ] || kill -KILL "$runner" 2>/dev/null || :
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP
root=$work/root
mkdir -m 0755 "$root"

find_sources fresh
make_root "$root" fresh

# apt there as apt here.
echo "$list" | sed 's/^/deb /' >"$root/etc/apt/sources.list"
apt-config dump |
	grep -E '^Acquire::(http|https|Check-|Retries|ForceIPv4)[^ ]* ' \
	>"$root/etc/apt/apt.conf.d/90machine" || :
for file in /etc/resolv.conf /etc/hosts; do
	[ ! -e "$file" ] || cat "$file" >"$root$file"
done
case $list in
*https://*)
	mkdir -p "$root/etc/ssl"
	cp -aL /etc/ssl/certs "$root/etc/ssl/" ;;
esac

mkdir "$root/root/tuntapd"
if [ "$from" = --work-tree ] || ! command -v git >/dev/null ||
   ! git -c safe.directory="$PWD" rev-parse HEAD >/dev/null 2>&1; then
	tar -c --exclude=./.git --exclude=./build . |
		tar -x --no-same-owner -C "$root/root/tuntapd"
else
	git -c safe.directory="$PWD" archive "$from" |
		tar -x --no-same-owner -C "$root/root/tuntapd"
fi
cp tests/fresh.sh "$root/fresh.sh"

unset MAKEFLAGS MFLAGS MAKELEVEL B CC CFLAGS LDFLAGS CPPFLAGS TMPDIR
unshare --mount --pid --fork --kill-child sh tests/fresh.sh --enter "$root" &
runner=$!
status=0
wait "$runner" || status=$?
runner=
exit "$status"
