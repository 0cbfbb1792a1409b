#!/bin/sh
# usage: library.sh BUILD
# The public header can be included alone, from C11 and from C++17, and what it
# says of sizes is so; header, version script, shared library and archive name
# the same functions; the library needs libc alone.
set -eu

build=$1
node=TUNTAPD_0.1		# that every symbol so far belongs to
lib=$build/libtuntapd.so
warnings='-Wall -Wextra -Wpedantic -Wconversion -Werror'
work=$(mktemp -d "${TMPDIR:-/tmp}/tuntapd-library.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# ok NAME COMMAND...
ok() {
	name=$1
	shift
	if "$@" >"$work/log" 2>&1; then
		passed=$((passed + 1))
		echo "ok library-$name"
	else
		failed=$((failed + 1))
		echo "not ok library-$name: $(head -n 1 "$work/log")"
		sed 's/^/	/' "$work/log"
	fi
}

# In both languages.  A frozen struct keeps its size; the initialisers work.
cat >"$work/header.c" <<'END'
#include <tuntapd.h>
#ifndef __cplusplus
#define static_assert _Static_assert
#endif
static_assert(sizeof(struct ttd_prefix) == 20, "frozen");
static_assert(sizeof(struct ttd_addr) == 56, "frozen");
static_assert(sizeof(struct ttd_route) == 56, "frozen");
static_assert(sizeof(struct ttd_error) == 512, "frozen");
static_assert(sizeof(void *) != 8 || sizeof(struct ttd_packet) == 32, "frozen");

int try_it(struct ttd_device **dev);
int try_it(struct ttd_device **dev)
{
	struct ttd_options o = TTD_OPTIONS_INIT(TTD_TUN);
	struct ttd_event e = TTD_EVENT_INIT;
	int r = ttd_open(&o, dev, NULL);

	return r < 0 ? r : ttd_next_event(*dev, &e, TTD_FOREVER);
}
END
cp "$work/header.c" "$work/header.cc"

# header COMPILER STANDARD FILE
header() {
	# shellcheck disable=SC2086
	"$1" "-std=$2" $warnings -Ilibclient -fsyntax-only "$3"
}
# From C++ too its functions have the names of C.
links_with() {
	"$1" -std=c++17 -Ilibclient -c -o "$work/header.o" "$work/header.cc" &&
	nm -u "$work/header.o" | grep -q ' ttd_open$'
}

# Names of functions, from four places.
in_header() {
	sed -n -e '/^typedef/d' \
		-e 's/^[a-z].*[ *]\(ttd_[a-z0-9_]*\)(.*/\1/p' \
		libclient/tuntapd.h | sort -u
}
in_map() {
	sed -n '/^global:/,/^local:/s/^	\([^;]*\);$/\1/p' \
		libclient/libtuntapd.map
}
in_shared() {
	nm -D --defined-only "$lib" | awk '$2 != "A" { print $3 }' |
		sed 's/@.*//' | sort -u
}
in_archive() {
	nm -g --defined-only "$build/libtuntapd.a" |
		awk 'NF == 3 { print $3 }' | sort -u
}
# as_in_header WHERE: the same names; those that differ else.
as_in_header() {
	in_header >"$work/header"
	"$1" >"$work/found"
	[ -s "$work/header" ] && diff "$work/header" "$work/found"
}
of_our_node() {
	nm -D --defined-only --with-symbol-versions "$lib" |
		awk -v node="$node" '
			$2 == "A" && $3 ~ "^" node { next }
			$3 !~ "^ttd_[a-z0-9_]*@@" node "$" { bad = 1; print }
			{ n++ }
			END { exit bad || n == 0 }'
}
needs_libc_alone() {
	readelf -d "$lib" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' >"$work/needed"
	# Where pthreads are a file of their own, that is libc as well.
	! grep -v -e '^libc\.' -e '^libpthread\.' -e '^ld-' "$work/needed" &&
	grep -q '^libc\.' "$work/needed"
}

ok header-alone-c11 header "${CC:-gcc}" c11 "$work/header.c"
cxx=
for compiler in g++ clang++; do
	command -v "$compiler" >/dev/null || continue
	# It may be there without its own headers.
	echo '#include <stddef.h>' >"$work/empty.cc"
	"$compiler" -fsyntax-only "$work/empty.cc" 2>/dev/null || continue
	cxx="$cxx $compiler"
	ok "header-alone-c++17-$compiler" header "$compiler" c++17 \
		"$work/header.cc"
	ok "names-of-c-in-c++-$compiler" links_with "$compiler"
done
[ -n "$cxx" ] ||
	echo "SKIP library-header-alone-c++17: there is no g++ and no clang++"
ok version-script-names-what-the-header-declares as_in_header in_map
ok shared-library-exports-what-the-header-declares as_in_header in_shared
ok archive-exports-what-the-header-declares as_in_header in_archive
ok exports-are-of-one-version-node of_our_node
ok needs-libc-alone needs_libc_alone

echo "library: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
