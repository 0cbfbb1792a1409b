#!/bin/sh
# without-guard.sh BUILD: in a machine of tests/kernel.sh whose kernel has not
# got cls_bpf, the module that the source guard is made of.
set -eu

build=$1
run=/run/tuntapd-test
sockets=$run/sockets		# the daemon makes it
nobody=65534
service=65533
starts=30			# seconds, of the daemon
passed=0 failed=0

mkdir -p "$run/policy.d"
chmod 0755 "$run"
cat >"$run/policy.d/10-test.conf" <<END
[rule guarded]
action = allow
user = $nobody
kind = tun, tap
name = ttg*
address = 10.9.0.0/16

[rule bare]
action = allow
user = $nobody
kind = tun, tap
name = ttb*
address = 10.9.0.0/16
source-guard = off
END
"$build/tuntapd" --user "$service" --socket "$sockets/public" \
	--admin-socket "$sockets/admin" --policy "$run/policy.d" 2>"$run/log" &
daemon=$!
trap 'kill "$daemon" 2>/dev/null || :' EXIT

# ok NAME COMMAND...
ok() {
	name=$1
	shift
	("$@") >"$run/out" 2>&1 &
	if wait $!; then
		passed=$((passed + 1))
		echo "ok without-guard-$name"
	else
		failed=$((failed + 1))
		echo "not ok without-guard-$name: see below"
		sed 's/^/    /' "$run/out" "$run/log"
	fi
}
ready() {
	until grep ready "$run/log"; do
		starts=$((starts - 1))
		[ "$starts" -gt 0 ]
		sleep 1
	done
}
# opens KIND NAME: a user without rights, who sees his device.
opens() {
	setpriv --reuid "$nobody" --regid "$nobody" --clear-groups \
		"$build/tuntapctl" --socket "$sockets/public" run "--$1" \
		--name "$2" --address 10.9.0.1/24 -- ip address show dev "$2"
}

module_is_not_here() {
	! modprobe cls_bpf
}
status_tells() {
	"$build/tuntapctl" --socket "$sockets/admin" status | tee "$run/status"
	grep -q 'guard: ' "$run/status"
	grep 'this kernel lacks guard: ' "$run/log"
}
refused_at_guard() {
	for kind in tun tap; do
		if opens "$kind" ttg0 >"$run/why" 2>&1; then
			echo "a $kind was given"
			exit 1
		fi
		cat "$run/why"
		grep '^tuntapctl: guard: ' "$run/why" |
			grep '`source-guard = off`'
	done
	! ip -o link | grep ' tt'
}
given_where_none_is_asked_for() {
	for kind in tun tap; do
		opens "$kind" ttb0 | grep '10.9.0.1/24'
	done
}

ok starts ready
ok module-is-not-here module_is_not_here
ok status-tells status_tells
ok refused-at-guard refused_at_guard
ok given-where-none-is-asked-for given_where_none_is_asked_for

echo "guardless: $passed passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
