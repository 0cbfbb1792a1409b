#!/bin/sh
# manual.sh BUILD: the programs in section 3 of the manual compile, and do what
# the page says of them; and what stands under EXAMPLES of all pages is run.
#
# A program stands in a literal block behind a line
#
#	.\" run: NAME[ as root][: COMMAND]
#
# and is compiled as NAME; COMMAND (./NAME) is run in namespaces of its own,
# with a daemon, as an ordinary user or as root, and must exit with 0.  It finds
# tuntapctl(8), which lists a device when its open has come to its end, not
# while the daemon is still making it.
#
# Other examples are .Dl lines, anywhere, and .Bd blocks under EXAMPLES:
#
#	$ COMMAND	or nothing before it: run as an ordinary user, whom the
#			policy that is installed lets have devices
#	# COMMAND	as root
#	hexadecimal	a frame: a daemon must know it, or tuntapctl
#	[section]	of tuntapd.conf(5): tests/docs.sh reads it
#
# A command must exit with 0, or with N of a line `.\" exits: N` before it; one
# that goes on must do so for S seconds, and have written something, where that
# line is `.\" goes on: S`.  There is a device tt0.
set -eu

usage='usage: manual.sh BUILD'
nobody=65534
tuntap=4343			# in its group commands are run
seconds=30			# for one program, one command
timeout_status=124		# of timeout(1)
warnings='-Wall -Wextra -Wpedantic -Werror'

# What commands find: alice, the group of the policy that is installed, another
# policy that is not in force yet, the library.
furnish() {
	cp /etc/passwd "$1/passwd"
	echo 'alice:x:4242:4242::/:/bin/sh' >>"$1/passwd"
	mount --bind "$1/passwd" /etc/passwd
	grep -v '^tuntap:' /etc/group >"$1/group"
	echo "tuntap:x:$tuntap:" >>"$1/group"
	mount --bind "$1/group" /etc/group
	mkdir "$1/programs/new.d"
	cat >"$1/programs/new.d/50-new.conf" <<-'END'
	[rule new]
	action = allow
	user   = alice
	kind   = tun
	name   = tt%u-*
	mtu    = 1280-9000
	END
	chmod 0777 "$1/programs"
	# There each line is written when it is whole.
	cat >"$1/as-installed/on_terminal" <<-'END'
	#!/bin/sh
	exec script -qec "sh $1" terminal
	END
	chmod 0755 "$1/as-installed/on_terminal"
}

# frame FILE: the daemon answers the request that is in it in hexadecimal, or
# tuntapctl takes the refusal for one.
frame() {
	python3 -B - "$1" <<'END'
import os, socket, struct, subprocess, sys
with open(sys.argv[1], encoding='ascii') as file:
    frame = bytes.fromhex(file.read())
length, version, kind, number = struct.unpack('<IBBH', frame[:8])
assert length == len(frame), f'it has {len(frame)} bytes, and says {length}'
with socket.socket(socket.AF_UNIX) as sock:
    if kind < 128:
        sock.connect('/run/tuntapd/tuntapd.sock')
        sock.sendall(frame)
        answer = struct.unpack('<IBBH', sock.recv(8, socket.MSG_WAITALL))
        assert answer[3] == number and answer[2] != 130, answer
    else:
        sock.bind('/run/example')
        sock.listen()
        asked = subprocess.Popen(['tuntapctl', '--socket', '/run/example',
                                  'status'])
        with sock.accept()[0] as client:
            client.recv(8)
            client.sendall(frame)
            assert asked.wait() == 1
        os.unlink('/run/example')
END
}

run_examples() {
	cd "$1/programs"
	setpriv --reuid "$nobody" --regid "$nobody" --clear-groups \
		tuntapctl run --tun --name tt0 -- sleep 600 &
	holder=$!
	while IFS='	' read -r name who wanted limit; do
		file=$1/examples/$name status=0 shell=sh
		[ "$wanted" -ne "$timeout_status" ] || shell=on_terminal
		case $who in
		frame)	frame "$file" ;;
		user)	setpriv --reuid "$nobody" --regid "$nobody" \
				--groups "$tuntap" timeout "$limit" $shell "$file" ;;
		root)	timeout "$limit" $shell "$file" ;;
		esac >"$1/out" 2>&1 </dev/null || status=$?
		if [ "$status" -eq "$wanted" ] &&
		   { [ "$wanted" -ne "$timeout_status" ] || [ -s "$1/out" ]; }
		then
			passed=$((passed + 1))
			echo "ok manual-$name"
		else
			failed=$((failed + 1))
			echo "not ok manual-$name: exit status $status, not $wanted"
			sed 's/^/    /' "$file" "$1/out"
		fi
	done <"$1/commands"
	kill "$holder"
	wait "$holder" 2>/dev/null || :
}

# run BUILD WORK: inside the namespaces.
run_all() {
	passed=0 failed=0
	mount -t tmpfs -o mode=0755 tmpfs /run
	ip link set lo up
	TUNTAPD_SOCKET=/run/tuntapd/tuntapd.sock
	furnish "$2"
	PATH=$2/as-installed:$1:$PATH
	export PKG_CONFIG_PATH="$2/as-installed" LD_LIBRARY_PATH="$2/as-installed"
	tuntapd --socket "$TUNTAPD_SOCKET" --user 65533 \
		--admin-socket /run/tuntapd/admin.sock \
		--policy "$2/policy.d" 2>"$2/daemon.log" &
	daemon=$!
	tries=50
	while [ ! -S /run/tuntapd/admin.sock ] && [ "$tries" -gt 0 ]; do
		sleep 0.1
		tries=$((tries - 1))
	done
	run_examples "$2"
	export TUNTAPD_SOCKET
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
mkdir "$work/programs" "$work/policy.d" "$work/examples"
passed=0 failed=0 skipped=0

# The one that is installed comes first, and is about who runs commands alone.
cp policy/50-tuntap.conf "$work/policy.d/50-tuntap.conf"
cat >"$work/policy.d/60-manual.conf" <<'END'
[rule manual]
action  = allow
user    = any
kind    = tun, tap
name    = tt%u-*, tt0
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

# The commands: a file each, and a line "NAME	user|root|frame	STATUS	SECONDS";
# what nothing runs goes to stdout.
examples() {
	awk -v folder="$work/examples" -v list="$work/commands" \
	    -v seconds="$seconds" -v timed_out="$timeout_status" '
	function plain(text) {
		gsub(/\\\(dq/, "\"", text)
		gsub(/\\e/, "\\", text)
		gsub(/\\&/, "", text)
		return text
	}
	function ordinary() {
		status = 0
		limit = seconds
	}
	# The name for what begins with this line, or "" where nothing runs it.
	function begin(text, bytes) {
		sub(/.*\//, "", page)
		sub(/\.in$/, "", page)
		name = page "-" ++n
		who = bytes ? "frame" : text ~ /^# / ? "root" : "user"
		print name "\t" who "\t" status "\t" limit >>list
		ordinary()
	}
	function add(text) {
		if (who == "frame") {
			# Words stand behind the bytes.
			sub(/  +[^0-9a-f ].*$/, "", text)
			sub(/  +[a-z][a-z][a-z].*$/, "", text)
		}
		print text >(folder "/" name)
	}
	FNR == 1 { page = FILENAME; inside = n = 0; ordinary() }
	/^\.Sh / { wanted = $2 == "EXAMPLES" }
	/^\.\\" exits: / { status = $3 }
	/^\.\\" goes on: / { status = timed_out; limit = $4 }
	/^\.\\" run: / { program = 1 }
	/^\.Dl / {
		text = plain(substr($0, 5))
		begin(text, 0)
		sub(/^[$#] /, "", text)
		add(text)
	}
	/^\.Bd / { inside = wanted && !program; first = 1; program = 0; next }
	/^\.Ed/ { inside = 0 }
	inside && first {
		first = 0
		if ($0 ~ /^\[/ && FILENAME ~ /conf/) {
			inside = 0
			next
		}
		if ($0 !~ /^([$#]|[0-9a-f][0-9a-f]) /) {
			print FILENAME ":" FNR ": nothing runs this: " $0
			inside = 0
			next
		}
		begin($0, $0 ~ /^[0-9a-f]/)
		sub(/^[$#] /, "")
	}
	inside { add(plain($0)) }
	' "$@"
}
: >"$work/commands"
examples man/*.[3578] man/*.in >"$work/wrong"
if [ ! -s "$work/wrong" ] && [ -s "$work/commands" ]; then
	passed=$((passed + 1))
	echo 'ok manual-examples'
else
	failed=$((failed + 1))
	echo 'not ok manual-examples: there are none, or nothing runs them'
	sed 's/^/    /' "$work/wrong"
fi
# Where an ordinary user can go, whatever folder the tree is in.
mkdir "$work/as-installed"
cp -P "$build/tuntapctl" "$build/"libtuntapd.so* libclient/tuntapd.h \
	"$work/as-installed/"
sed "s|@[A-Z]*DIR@|$work/as-installed|; s|@PREFIX@|$work|; s|@VERSION@|0|" \
	libclient/libtuntapd.pc.in >"$work/as-installed/libtuntapd.pc"

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
	while IFS='	' read -r name who wanted limit; do
		echo "SKIP manual-$name: needs root, and namespaces"
		skipped=$((skipped + 1))
	done <"$work/commands"
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
