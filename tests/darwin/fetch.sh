#!/bin/sh
# fetch.sh OUT: what `make macos` builds with and packages of this system do not
# have, each of one version and with its sum.  What is there stays.
#
#	OUT/fetched	a zig, for its headers and as a second compiler; Debian's sources
#	OUT/sdk		headers, and libSystem as a linker wants it
#	OUT/headers	those of libraries that are headers alone
set -eu

out=${1:?usage: fetch.sh OUT}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out/fetched"
out=$(cd "$out" && pwd)

# good FILE SUM
good() {
	[ -e "$1" ] && echo "$2  $1" | sha256sum --check --status
}

fail() {
	echo "fetch.sh: $*" >&2
	exit 1
}

# --- zig --------------------------------------------------------------------

# As pip names it; the file has the sum.
zig() {
	[ ! -x "$out/fetched/zig/ziglang/zig" ] || return 0
	rm -rf "$out/fetched/zig"
	python3 -m pip download --quiet --disable-pip-version-check \
		--no-deps --only-binary :all: \
		--platform manylinux_2_12_x86_64 --require-hashes \
		--requirement "$here/zig.txt" --dest "$out/fetched" ||
		fail "pip has not got what $here/zig.txt says, see above"
	rm -rf "$out/fetched/zig.new"
	python3 -m zipfile -e "$out"/fetched/ziglang-*.whl \
		"$out/fetched/zig.new"
	chmod +x "$out/fetched/zig.new/ziglang/zig"
	mv "$out/fetched/zig.new" "$out/fetched/zig"
}

sdk() {
	[ ! -e "$out/sdk" ] || return 0
	lib=$out/fetched/zig/ziglang/lib/libc
	rm -rf "$out/sdk.new"
	mkdir -p "$out/sdk.new/usr/lib"
	cp -r "$lib/include/any-macos-any" "$out/sdk.new/usr/include"
	cp "$lib/darwin/libSystem.tbd" "$out/sdk.new/usr/lib/"
	mv "$out/sdk.new" "$out/sdk"
}

# --- Debian's sources -------------------------------------------------------

# Lists of sources of its own, from where this system has its packages: no root
# is needed, and nothing of the system's is changed.
lists() {
	[ ! -e "$apt/ready" ] || return 0
	mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial"
	for from in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
		case $from in
		*.list)
			[ ! -e "$from" ] || sed -n 's/^deb /deb-src /p' "$from" \
				>"$apt/parts/$(basename "$from")" ;;
		*.sources)
			[ ! -e "$from" ] || sed 's/^Types:.*/Types: deb-src/' \
				"$from" >"$apt/parts/$(basename "$from")" ;;
		esac
	done
	apt_get update -q >"$apt/log" 2>&1 || {
		cat "$apt/log" >&2
		fail "no lists of Debian's sources, see above"
	}
	: >"$apt/ready"
}

apt_get() {
	apt-get -o Dir::Etc::SourceList=/dev/null \
		-o Dir::Etc::SourceParts="$apt/parts" \
		-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" "$@"
}

# debian_source PACKAGE VERSION FILE SUM
debian_source() {
	! good "$out/fetched/$3" "$4" || return 0
	apt=$out/fetched/apt
	lists
	(cd "$out/fetched" &&
	 apt_get source -q --download-only --tar-only "$1=$2") \
		>"$apt/log" 2>&1 || {
		cat "$apt/log" >&2
		fail "this Debian has no source of $1 $2, see above"
	}
	good "$out/fetched/$3" "$4" || fail "$3 is not the one with the sum $4"
}

# --- headers alone ----------------------------------------------------------

headers() {
	[ ! -e "$out/headers" ] || return 0
	rm -rf "$out/headers.new"
	mkdir -p "$out/headers.new/bsd/sys"
	cp /usr/include/uthash.h /usr/include/utlist.h "$out/headers.new/"
	cp /usr/include/bsd/sys/tree.h "$out/headers.new/bsd/sys/"
	# Of libbsd's own there is nothing in it that macOS has not.
	echo '#include <sys/cdefs.h>' >"$out/headers.new/bsd/sys/cdefs.h"
	mv "$out/headers.new" "$out/headers"
}

zig
sdk
debian_source libevent 2.1.12-stable-8 libevent_2.1.12-stable.orig.tar.gz \
	92e6de1be9ec176428fd2367677e61ceffc2ee1cb119035037a27d346b0403bb
debian_source jansson 2.14-2 jansson_2.14.orig.tar.gz \
	c739578bf6b764aa0752db9a2fdadcfe921c78f1228c7ec0bb47fa804c55d17b
headers
