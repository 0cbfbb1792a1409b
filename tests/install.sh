#!/bin/sh
# usage: install.sh BUILD
# What `make install` lays down can be used by a program that knows nothing of
# this tree, exports what the header declares and nothing else, and goes again
# with `make uninstall`.
set -eu

build=$1
cc=${CC:-gcc}
prefix=/opt/tuntapd	# not /usr: pkg-config leaves its -I out
root=$(mktemp -d "${TMPDIR:-/tmp}/tuntapd-install.XXXXXX")
trap 'rm -rf "$root"' EXIT
passed=0
failed=0

# ok NAME COMMAND...
ok() {
	name=$1
	shift
	if "$@" >"$root/log" 2>&1; then
		passed=$((passed + 1))
		echo "ok install-$name"
	else
		failed=$((failed + 1))
		echo "not ok install-$name:"
		sed 's/^/	/' "$root/log"
	fi
}

make_it() {
	make --no-print-directory B="$build" DESTDIR="$root/dest" PREFIX=$prefix "$1"
}

pc() {
	PKG_CONFIG_SYSROOT_DIR=$root/dest \
	PKG_CONFIG_PATH=$root/dest$prefix/lib/pkgconfig pkg-config "$@" libtuntapd
}

declared() {
	sed -n -e '/^typedef/d' \
		-e 's/^[a-z].*[ *]\(ttd_[a-z_]*\)(.*/\1/p' \
		libclient/tuntapd.h | sort -u
}
exported() {
	nm -D --defined-only "$root/dest$prefix/lib/libtuntapd.so" |
		awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort -u
}
# Global names of the archive's one object.
archived() {
	nm -g --defined-only "$root/dest$prefix/lib/libtuntapd.a" |
		awk 'NF == 3 { print $3 }' | sort -u
}
same_names() {
	declared >"$root/declared"
	"$1" >"$root/found"
	[ -s "$root/found" ] && diff "$root/declared" "$root/found"
}
needs_libc_alone() {
	readelf -d "$root/dest$prefix/lib/libtuntapd.so" |
		sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' >"$root/needed"
	[ "$(cat "$root/needed")" = libc.so.6 ]
}
against_shared() {
	# shellcheck disable=SC2046
	"$cc" -std=c11 -D_GNU_SOURCE -o "$root/shared" examples/tun-echo.c \
		$(pc --cflags --libs) &&
	LD_LIBRARY_PATH=$root/dest$prefix/lib "$root/shared" \
		--socket /nowhere/s 2>&1 | grep -q 'no socket'
}
against_static() {
	# shellcheck disable=SC2046
	"$cc" -std=c11 -D_GNU_SOURCE -o "$root/static" examples/tun-echo.c \
		$(pc --cflags) "$root/dest$prefix/lib/libtuntapd.a" -pthread &&
	"$root/static" --socket /nowhere/s 2>&1 | grep -q 'no socket'
}
header_alone() {
	echo '#include <tuntapd.h>' >"$root/h.c"
	# shellcheck disable=SC2046
	"$cc" -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$@" \
		$(pc --cflags) "$root/h.c"
}
completions_are_there() {
	share=$root/dest$prefix/share
	[ -s "$share/bash-completion/completions/tuntapctl" ] &&
	[ -s "$share/zsh/site-functions/_tuntapctl" ] &&
	[ -s "$share/fish/vendor_completions.d/tuntapctl.fish" ]
}
unit_names_what_is_installed() {
	unit=$root/dest$prefix/lib/systemd/system/tuntapd.service
	! grep '@[A-Z]*@' "$unit" && [ -x "$root/dest$(sed -n \
		's/^ExecStart=\([^ ]*\).*/\1/p' "$unit")" ] &&
	[ -x "$root/dest$(sed -n 's/^ExecReload=+\([^ ]*\).*/\1/p' "$unit")" ]
}
nothing_is_elsewhere() {
	! find "$root/dest" ! -type d ! -path "$root/dest$prefix/*" | grep .
}
nothing_left() {
	make_it uninstall && [ -z "$(find "$root/dest" ! -type d)" ]
}

ok "install" make_it install
ok "shared-library-exports-what-the-header-declares" same_names exported
ok "archive-exports-what-the-header-declares" same_names archived
ok "library-needs-libc-alone" needs_libc_alone
ok "foreign-program-shared" against_shared
ok "foreign-program-static" against_static
ok "header-in-C11" header_alone -std=c11
if "$cc" -x c++ -std=c++17 -fsyntax-only /dev/null 2>/dev/null; then
	ok "header-in-C++17" header_alone -x c++ -std=c++17
else
	echo "SKIP install_header_cxx17: no C++ compiler is installed"
fi
ok "manual-pages-are-installed" [ -s "$root/dest$prefix/share/man/man8/tuntapd.8" ]
ok "completions-are-installed" completions_are_there
ok "unit-names-what-is-installed" unit_names_what_is_installed
ok "nothing-is-outside-of-the-prefix" nothing_is_elsewhere
ok "uninstall-leaves-nothing" nothing_left

echo "install: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
