#!/bin/sh
# abi.sh BUILD [--update]: is a program that was built with the library as
# libclient/abi has it still well with this one?  Of functions and types that
# tuntapd.h declares.  With --update it writes that down anew.
set -eu

usage='usage: abi.sh BUILD [--update]'
build=$(cd "${1:?$usage}" && pwd)
cd "$(dirname "$0")/.."
public=$build/public		# the header alone
sized=libclient/abi/sized.abignore
known=libclient/abi/$(uname -m).abi
lib=$build/libtuntapd.so

if ! command -v abidiff >/dev/null; then
	echo 'SKIP abi: there is no abidiff; apt-get install abigail-tools'
	exit 77
fi

rm -rf "$public"
mkdir "$public"
cp libclient/tuntapd.h "$public/"

# What of it depends on the machine that it is built on is left out.
if [ "${2:-}" = --update ]; then
	abidw --headers-dir "$public" --drop-private-types --no-corpus-path \
		--no-comp-dir-path --short-locs --type-id-style hash \
		--out-file "$known" "$lib"
	echo "abi: $known is that of $lib now"
	exit
fi

if [ ! -e "$known" ]; then
	echo "SKIP abi: no $known yet; \`make abi-update\` writes it"
	exit 77
fi

differs() {
	! abidiff --headers-dir2 "$public" --drop-private-types \
		--fail-no-debug-info --suppressions "$sized" "$@" \
		"$known" "$lib"
}

if differs --no-added-syms; then
	cat >&2 <<-END

	abi: programs that are there already would break, or it could not be
	told (see above).  Give what is new a name of its own and leave the old
	one; let structs grow at their end, and only those with a size in front.
	Before a release it may be meant: then \`make abi-update\`, and commit
	$known with the change.
	END
	exit 1
fi
if differs >"$build/abi.txt"; then
	cat "$build/abi.txt"
	echo "abi: there is more than before; if it shall stay:" \
	     "make abi-update"
fi
echo "abi: compatible with $known"
