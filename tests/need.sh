#!/bin/sh
# need.sh GROUP...: sees to it that the Debian packages of the groups are here.
#
# As root it installs what is missing; as anybody else it says the line that
# does, and fails.  Without dpkg it can only say what is needed.
#
#	build	to build, and to see the demo
#	test	to run the tests and benchmarks besides
#	deb	to make packages besides
#	macos	what `make macos` and `make check-macos` need
#	ci	what `make ci` needs besides
set -eu

build='gcc libc6-dev make pkgconf binutils
libmnl-dev libevent-dev libmd-dev libseccomp-dev libjansson-dev libncurses-dev uthash-dev libbsd-dev check
iproute2 iputils-ping util-linux procps'
test='iperf3 dnsmasq-base udhcpc socat python3 tmux zsh fish jq'
deb='build-essential debhelper dpkg-dev'
ci='clang clang-tidy clang-format libclang-rt-14-dev cppcheck
valgrind libc6-dbg mandoc shellcheck debootstrap systemd-container git
qemu-system-x86 ipxe-qemu cpio
g++ cmake meson abigail-tools lintian'
macos='clang-14 lld-14 llvm-14 make gcc libc6-dev python3-pip
uthash-dev libbsd-dev python3-unicorn golang-golang-x-sys-dev libxml2-utils shellcheck'

wanted=
for group; do
	case $group in
	build)	wanted="$wanted $build" ;;
	test)	wanted="$wanted $test" ;;
	deb)	wanted="$wanted $deb" ;;
	macos)	wanted="$wanted $macos" ;;
	ci)	wanted="$wanted $ci" ;;
	*)	echo "need.sh: no group $group; there are build, test, deb, macos" \
		     "and ci" >&2
		exit 2 ;;
	esac
done

if ! command -v dpkg-query >/dev/null; then
	cat >&2 <<-'END'
	need.sh: this is no Debian; if the build fails, look whether these are
	here: a C compiler, GNU make, pkg-config, binutils, and for development
	libmnl, libevent 2, libmd, libseccomp, jansson 2, ncurses, uthash, libbsd
	(headers) and check; the ip command, ping, unshare and setpriv.  For the
	tests also iperf3, dnsmasq, udhcpc, socat, python3, tmux, zsh, fish, jq.
	END
	exit 0
fi

missing=
for package in $wanted; do
	# A name may stand for several architectures, one line each.
	dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null |
		grep -qx installed || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
	echo "Packages are missing.  This installs them:" >&2
	echo "    sudo apt-get install --no-install-recommends$missing" >&2
	exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
	# shellcheck disable=SC2086 # a list of names
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q \
		--no-install-recommends -o DPkg::Lock::Timeout=300 \
		$missing >"$log" 2>&1 </dev/null
}

echo "installing:$missing"
# The lists may be absent or old: one more try with new ones.
if ! install && ! { apt-get update -q >"$log" 2>&1 && install; }; then
	cat "$log" >&2
	echo "need.sh: this failed:" \
	     "apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
