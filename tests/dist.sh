#!/bin/sh
# dist.sh: `make dist` gives the same bytes wherever, whenever and by whomever
# it is made, from the repository or from a tarball; and what is in it builds,
# and passes the unit tests, without git.
set -eu

cd "$(dirname "$0")/.."
work=$(mktemp -d "${TMPDIR:-/var/tmp}/tuntapd-dist.XXXXXX")
trap 'rm -rf "$work"' EXIT
chmod 0755 "$work"		# the tests have users without rights
unset MAKEFLAGS MFLAGS MAKELEVEL B CC CFLAGS CPPFLAGS LDFLAGS SAN WERROR
passed=0 failed=0

# ok NAME COMMAND...
ok() {
	name=$1
	shift
	# In a shell of its own, where set -e works although we ask.
	("$@") >"$work/log" 2>&1 &
	if wait $!; then
		passed=$((passed + 1))
		echo "ok dist-$name"
	else
		failed=$((failed + 1))
		echo "not ok dist-$name: see below"
		tail -n 40 "$work/log" | sed 's/^/    /'
	fi
}

# tarball FOLDER B: one of what is in the folder, in $tarball.
tarball() {
	make --no-print-directory -C "$1" B="$2" dist >"$work/made"
	tarball=$(tail -n 1 "$work/made")
	case $tarball in
	/*) ;;
	*) tarball=$1/$tarball ;;
	esac
	[ -s "$tarball" ]
}

made_here() {
	tarball . "$work/first"
	cp "$tarball" "$work/first.tar.gz"
	tar -t -z -f "$tarball" >"$work/names"
	grep -q '/daemon/main.c$' "$work/names"
	! grep -e '/\.git/' -e '/build/' "$work/names"
}

# The same files elsewhere, with other modes and times, and another time zone.
made_elsewhere() {
	umask 0077
	export TZ=Pacific/Chatham LC_ALL=C
	mkdir "$work/elsewhere"
	tar -c --exclude=./build . |
		tar -x -m --no-same-owner --no-same-permissions \
			-C "$work/elsewhere"
	# Who works there has left something behind.
	touch "$work/elsewhere/core"
	tarball "$work/elsewhere" build
	cmp "$work/first.tar.gz" "$tarball"
}

# In a folder that no repository is above, and where git cannot be had.
unpack() {
	tar -x -z -C "$work" -f "$work/first.tar.gz"
	mkdir "$work/bin"
	printf '#!/bin/sh\necho "there is no git here" >&2\nexit 127\n' \
		>"$work/bin/git"
	chmod +x "$work/bin/git"
}
made_from_a_tarball() {
	unpack
	PATH=$work/bin:$PATH
	export TZ=America/Caracas
	tarball "$work"/tuntapd-* build
	cmp "$work/first.tar.gz" "$tarball"
}

builds() {
	PATH=$work/bin:$PATH
	make --no-print-directory -j"$(nproc)" -C "$work"/tuntapd-*
	make --no-print-directory -j"$(nproc)" -C "$work"/tuntapd-* check-unit
}

if [ ! -e .git ] || ! command -v git >/dev/null; then
	echo 'SKIP dist: this is no repository, or there is no git'
	exit 77
fi
ok made-here made_here
ok same-bytes-elsewhere made_elsewhere
ok same-bytes-from-a-tarball made_from_a_tarball
ok builds-and-passes-unit-tests-without-git builds

echo "dist: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
