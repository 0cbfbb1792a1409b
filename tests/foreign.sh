#!/bin/sh
# foreign.sh BUILD: projects of others find what `make install` lays down, by
# libtuntapd.pc and nothing else: with a Makefile, CMake and Meson, in C and in
# C++, shared and static.  They are in tests/foreign.
set -eu

usage='usage: foreign.sh BUILD'
build=$(cd "${1:?$usage}" && pwd)
cd "$(dirname "$0")/.."
here=$PWD/tests/foreign
work=$(mktemp -d "${TMPDIR:-/var/tmp}/tuntapd-foreign.XXXXXX")
trap 'rm -rf "$work"' EXIT
prefix=$work/prefix
export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
passed=0 failed=0 skipped=0

# ok NAME COMMAND...
ok() {
	name=$1
	shift
	# In a shell of its own, where set -e works although we ask.
	("$@") >"$work/log" 2>&1 &
	if wait $!; then
		passed=$((passed + 1))
		echo "ok foreign-$name"
	else
		failed=$((failed + 1))
		echo "not ok foreign-$name: see below"
		sed 's/^/    /' "$work/log"
	fi
}

lay_down() {
	make --no-print-directory B="$build" PREFIX="$prefix" install
}

# Each builds into the folder that it is in.
by_make() {
	env -u MAKEFLAGS -u MFLAGS make -f "$here/Makefile"
}
by_cmake() {
	cmake "$here"
	env -u MAKEFLAGS -u MFLAGS cmake --build .
}
by_meson() {
	meson setup . "$here"
	meson compile
}

needs_ours() {
	readelf -d "$1" | grep -q 'NEEDED.*\[libtuntapd\.so\.0\]'
}
# Shared ones have it from where it is installed, static ones in them.
works() {
	program=$work/$1/$2
	case $2 in
	*-shared)
		needs_ours "$program"
		export LD_LIBRARY_PATH="$prefix/lib" ;;
	*-static)
		! needs_ours "$program" || return 1 ;;
	esac
	"$program"
	"$program" | grep -q "^libtuntapd [0-9.]*: .*/nowhere/tuntapd.sock"
}

project() {
	mkdir "$work/$1"
	ok "$1-builds" eval "cd '$work/$1' && by_$1"
	for program in c-shared c-static cxx-shared cxx-static; do
		ok "$1-$program" works "$1" "$program"
	done
}

ok install lay_down
for tool in make cmake meson; do
	if command -v "$tool" >/dev/null; then
		project "$tool"
	else
		echo "SKIP foreign-$tool: there is no $tool"
		skipped=$((skipped + 1))
	fi
done

echo "foreign: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
