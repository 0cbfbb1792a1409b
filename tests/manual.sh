#!/bin/sh
# manual.sh BUILD: the programs in section 3 of the manual compile, and do what
# the page says of them.
#
# A program stands in a literal block behind a line
#
#	.\" run: NAME[ as root][: COMMAND]
#
# and is compiled as NAME; COMMAND (./NAME) is run in namespaces of its own,
# with a daemon, as an ordinary user or as root, and must exit with 0.  It finds
# tuntapctl(8), which lists a device when its open has come to its end, not
# while the daemon is still making it.
set -eu

usage='usage: manual.sh BUILD'
nobody=65534
seconds=30			# for one program
warnings='-Wall -Wextra -Wpedantic -Werror'

# run BUILD WORK: inside the namespaces.
run_all() {
	passed=0 failed=0
	mount -t tmpfs -o mode=0755 tmpfs /run
	ip link set lo up
	export TUNTAPD_SOCKET=/run/tuntapd/tuntapd.sock
	PATH=$1:$PATH
	tuntapd --socket "$TUNTAPD_SOCKET" --user 65533 \
		--admin-socket /run/tuntapd/admin.sock \
		--policy "$2/policy.d" 2>"$2/daemon.log" &
	daemon=$!
	tries=50
	while [ ! -S /run/tuntapd/admin.sock ] && [ "$tries" -gt 0 ]; do
		sleep 0.1
		tries=$((tries - 1))
	done
	cd "$2/programs"
	while IFS='	' read -r name who command; do
		drop="setpriv --reuid $nobody --regid $nobody --clear-groups"
		[ "$who" = user ] || drop=
		# shellcheck disable=SC2086 # words
		if $drop timeout "$seconds" sh -c "$command" >"$2/out" 2>&1 </dev/null
		then
			passed=$((passed + 1))
			echo "ok manual-$name"
		else
			failed=$((failed + 1))
			echo "not ok manual-$name: exit status $?"
			sed 's/^/    /' "$2/out" "$2/daemon.log"
		fi
	done <"$2/list"
	kill "$daemon"
	echo "$passed $failed" >"$2/counts"
}

if [ "${1:-}" = --inside ]; then
	run_all "$2" "$3"
	exit 0
fi

build=$(cd "${1:?$usage}" && pwd)
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 0755 "$work"
mkdir "$work/programs" "$work/policy.d"
passed=0 failed=0 skipped=0

cat >"$work/policy.d/50-manual.conf" <<'END'
[rule manual]
action  = allow
user    = any
kind    = tun, tap
name    = tt%u-*
address = 10.50.0.0/16, fd50::/48
route   = 10.60.0.0/16, fd60::/48
offload = yes
END

# The blocks: a file each, and a line "NAME	user|root	COMMAND".
: >"$work/list"
for page in man/*.3; do
	awk -v folder="$work/programs" -v list="$work/list" '
	/^\.\\" run: / {
		sub(/^\.\\" run: /, "")
		name = $0
		sub(/[ :].*/, "", name)
		who = $0 ~ "^" name " as root" ? "root" : "user"
		command = $0
		if (!sub(/^[^:]*: /, "", command))
			command = "./" name
		print name "\t" who "\t" command >>list
		wanted = 1
		next
	}
	wanted && /^\.Bd / { inside = 1; wanted = 0; next }
	/^\.Ed/ { inside = 0 }
	inside {
		gsub(/\\e/, "\\")
		gsub(/\\&/, "")
		print >(folder "/" name ".c")
	}' "$page"
done
[ -s "$work/list" ] || { echo 'not ok manual-blocks: there are none'; exit 1; }

while IFS='	' read -r name who command; do
	# shellcheck disable=SC2086 # words
	if gcc -std=c11 -D_GNU_SOURCE $warnings -Ilibclient \
		-o "$work/programs/$name" "$work/programs/$name.c" \
		"$build/libtuntapd.a" -pthread >"$work/out" 2>&1; then
		passed=$((passed + 1))
		echo "ok manual-compile-$name"
	else
		failed=$((failed + 1))
		echo "not ok manual-compile-$name: see below"
		sed 's/^/    /' "$work/out"
	fi
done <"$work/list"

if [ "$(id -u)" -ne 0 ] ||
   ! unshare --net --mount --pid --fork true 2>/dev/null; then
	while IFS='	' read -r name who command; do
		echo "SKIP manual-$name: needs root, and namespaces"
		skipped=$((skipped + 1))
	done <"$work/list"
else
	unshare --net --mount --pid --fork --kill-child --mount-proc \
		sh tests/manual.sh --inside "$build" "$work" || :
	if read -r in_passed in_failed <"$work/counts"; then
		passed=$((passed + in_passed))
		failed=$((failed + in_failed))
	else
		failed=$((failed + 1))
		echo 'not ok manual-inside: it came to no end'
	fi
fi
echo "manual: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
