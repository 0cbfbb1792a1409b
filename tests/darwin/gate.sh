#!/bin/sh
# gate.sh OUT: is what `make macos` has built what it is to be?
#
# The library's names are those of libtuntapd.map, and what it takes is in
# imports.txt; all is for macOS 11, needs nothing but the system's libraries, and
# what runs on arm64 is signed, without which that does not run.
set -eu

out=${1:?usage: gate.sh OUT}
cd "$(dirname "$0")/../.."
case $out in /*) ;; *) out=$PWD/$out ;; esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# same NAME: $work/wanted is $work/found.
same() {
	if diff "$work/wanted" "$work/found" >"$work/diff"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "not ok macos-$1: missing (<), or more than wanted (>)"
		sed 's/^/    /' "$work/diff"
	fi
}

# load FILE: its load commands.
load() {
	llvm-objdump-14 --macho --private-headers "$1"
}

# is_fit ARCH FILE
is_fit() {
	load "$2" >"$work/load"
	{
		echo 'minos 11.0'
		echo 'platform macos'
		[ "$1" != arm64 ] || echo 'signed'
	} >"$work/wanted"
	{
		sed -n 's/^ *\(minos\|platform\) /\1 /p' "$work/load" | sort -u
		[ "$1" != arm64 ] || sed -n 's/.*LC_CODE_SIGNATURE/signed/p' \
			"$work/load"
	} >"$work/found"
	same "$1/${2##*/}"
	sed -n '/LC_LOAD_DYLIB/,/name/s/^ *name \([^ ]*\).*/\1/p' \
		"$work/load" | grep -v '^/usr/lib/lib[A-Za-z0-9.]*$' \
		>"$work/found" || :
	: >"$work/wanted"
	same "$1/${2##*/}-libraries"
}

for arch in arm64 x86_64; do
	dylib=$out/$arch/libtuntapd.0.dylib
	sed -n 's/^[ \t]*\(ttd_[a-z_]*\);$/\1/p' libclient/libtuntapd.map |
		sort >"$work/wanted"
	llvm-nm-14 --extern-only --defined-only --just-symbol-name "$dylib" |
		sed 's/^_//' | sort >"$work/found"
	same "$arch-exports"

	: >"$work/wanted"
	grep -v '^#' tests/darwin/imports.txt | sort >"$work/known"
	llvm-nm-14 --undefined-only --just-symbol-name "$dylib" |
		grep -v '^dyld_stub_binder$' | sed 's/^_//' | sort |
		comm -23 - "$work/known" >"$work/found"
	same "$arch-imports"

	echo '@rpath/libtuntapd.0.dylib' >"$work/wanted"
	load "$dylib" | sed -n '/LC_ID_DYLIB/,/name/s/^ *name \([^ ]*\).*/\1/p' \
		>"$work/found"
	same "$arch-install-name"

	for file in "$out/$arch"/*.dylib "$out/$arch"/tuntap* \
		    "$out/$arch"/examples/*; do
		[ ! -e "$file" ] || is_fit "$arch" "$file"
	done
done
for file in "$out"/universal/lib* "$out"/universal/tuntap* \
	    "$out"/universal/examples/*; do
	echo 'arm64 x86_64' >"$work/wanted"
	llvm-lipo-14 -archs "$file" | tr ' ' '\n' | grep . | sort |
		paste -s -d ' ' >"$work/found"
	same "universal-${file##*/}"
done

echo "macos: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
