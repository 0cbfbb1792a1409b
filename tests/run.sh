#!/bin/sh
# run.sh BUILD [PATTERN]: runs all tests, on what is in BUILD and, with the
# sanitizers, in BUILD/asan.  The Makefile's target `tests` builds both.  With a
# pattern, as of sh(1): the programs alone whose names it matches ('live/*').
#
#	TEST_JOBS	programs at a time (processors + 2)
#	TEST_VARIANTS	"plain asan", or one of them
#	TEST_PATIENCE	how many times as long all may take, on a slow machine (1)
#
# A program of tests is one of Check's; or a script that prints a line
# "ok NAME" or "not ok NAME: WHY" for each test.  Either may print lines
# "SKIP NAME: REASON", and exits with 77 if it did nothing else.
#
# The tests that tests/REQUIRED names may not be skipped where CI=true.
set -eu

usage='usage: run.sh BUILD [PATTERN]'
build=$(cd "${1:?$usage}" && pwd)
pattern=${2:-*}
cd "$(dirname "$0")/.."

# Clients without rights must reach what they run, also where the tree is in a
# folder that root alone may enter.
reach=${TUNTAPD_REACH:-}
if [ -z "$reach" ] && [ "$(id -u)" -eq 0 ] &&
   ! setpriv --reuid 65534 --regid 65534 --clear-groups \
		test -r "$build/tuntapd" 2>/dev/null; then
	reach=$(mktemp -d)
	chmod 0755 "$reach"
	trap 'rmdir "$reach"' EXIT
	TUNTAPD_REACH=$reach unshare --mount sh -c \
		'mount --bind "$1" "$TUNTAPD_REACH" && exec sh tests/run.sh "$@"' \
		sh "$build" "$pattern" &
	inside=$!
	trap 'kill "$inside" 2>/dev/null || :' INT TERM HUP
	status=0
	wait "$inside" || status=$?
	# A signal ends that wait too; the inside cleans up before it ends.
	while kill -0 "$inside" 2>/dev/null; do
		status=0
		wait "$inside" || status=$?
	done
	exit "$status"
fi
: "${reach:=$build}"
unset TUNTAPD_REACH

variants=${TEST_VARIANTS:-plain asan}
for variant in $variants; do
	case $variant in
	plain | asan) ;;
	*)	echo "run.sh: TEST_VARIANTS=$variants: they are plain and asan" >&2
		exit 2 ;;
	esac
done
skipped_status=77
timeout_status=124
interrupted_status=130
patience=${TEST_PATIENCE:-1}
seconds=$((600 * patience))	# for one program, beside others
# More than there are processors: most tests wait more than they compute.
limit=${TEST_JOBS:-$(($(nproc) + 2))}
case $limit in
0* | *[!0-9]*)
	echo "run.sh: TEST_JOBS=$limit: it must be a number from 1 on" >&2
	exit 2 ;;
esac

log=$build/log
rm -rf "$log"
mkdir -p "$log"
: >"$log/passed"		# VARIANT NAME
: >"$log/failed"		# VARIANT NAME
: >"$log/skips"			# VARIANT NAME: REASON
failures=0			# of programs, however few tests failed
# A program's number is its place in the order in which we start and report.
# jobs/N.name has its variant and name, jobs/N.status how it ended.  A line
# "N STATUS" comes through `ended` when it has.
jobs=$log/jobs
started=0 booked=0 running=0
mkdir "$jobs"
mkfifo "$log/ended"
exec 3<>"$log/ended"

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=0:exitcode=99
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:exitcode=99
export CK_FORK=yes
unset CK_RUN_SUITE CK_RUN_CASE CK_INCLUDE_TAGS CK_EXCLUDE_TAGS \
	TUNTAPD_SANITIZED TUNTAPD_SOCKET TUNTAPD_FAULT MAKEFLAGS MFLAGS MAKELEVEL

# count FILE: its lines.
count() {
	wc -l <"$1" | tr -d ' '
}

# names RESULT FILE: of the tests in a TAP log of Check, "ok 1 - file:case:NAME:
# Passed", or in a script's output, "ok NAME".  Messages may go on over lines.
names() {
	sed -n -e "s/^$1 [0-9][0-9]* - [^:]*:[^:]*:\([^:]*\): .*/\1/p" "$2"
	sed -n -e "/^$1 [0-9][0-9]* - /d" -e "s/^$1 \([^ :]*\).*/\1/p" "$3"
}

# judge STATUS: says what is wrong with a program that has run, if anything.
judge() {
	if [ "$1" -eq "$timeout_status" ]; then
		echo "it did not end in $seconds seconds"
	elif [ "$1" -eq "$skipped_status" ]; then
		[ -s "$log/now.skips" ] || echo "it skipped all, and says not why"
		[ ! -s "$log/now.failed" ] || echo "tests failed"
	elif [ "$1" -ne 0 ]; then
		echo "exit status $1"
	elif [ -s "$log/now.failed" ]; then
		echo "tests failed, but its exit status is 0"
	elif [ ! -s "$log/now.passed" ]; then
		echo "it ran no test"
	elif [ -n "$checks" ] && [ "$checks" -ne \
	     $(($(count "$log/now.passed") + $(count "$log/now.failed"))) ]; then
		echo "it counts $checks tests, its log does not"
	fi
}

# output VARIANT NAME: the file for it.
output() {
	echo "$log/$1-$(echo "$2" | tr / -)"
}

# work NUMBER OUT COMMAND...: runs a program of tests, and says how it ended.
work() {
	number=$1 out=$2 child=
	shift 2
	trap '[ -z "$child" ] || kill "$child" 2>/dev/null || :' TERM HUP
	CK_TAP_LOG_FILE_NAME=$out.tap timeout -k 10 "$seconds" \
		"$@" >"$out" 2>&1 </dev/null 3>&- &
	child=$!
	status=0
	wait "$child" || status=$?
	# A signal ends that wait too.
	while kill -0 "$child" 2>/dev/null; do
		wait "$child" || :
	done
	echo "$number $status" >&3
}

# run VARIANT NAME COMMAND...: starts a program of tests when there is room.
run() {
	# shellcheck disable=SC2254 # it is a pattern
	case $2 in
	$pattern) ;;
	*) return 0 ;;
	esac
	while [ "$running" -ge "$limit" ]; do
		reap
	done
	started=$((started + 1)) running=$((running + 1))
	echo "$1 $2" >"$jobs/$started.name"
	out=$(output "$1" "$2")
	shift 2
	work "$started" "$out" "$@" &
}

# reap: waits until one has ended, and reports those whose turn it is.
reap() {
	read -r number status <&3
	echo "$status" >"$jobs/$number.status"
	running=$((running - 1))
	while [ -e "$jobs/$((booked + 1)).status" ]; do
		booked=$((booked + 1))
		book "$booked"
	done
}

reap_all() {
	while [ "$running" -gt 0 ]; do
		reap
	done
}

# alone VARIANT NAME COMMAND...: runs what cannot stand neighbours.
alone() {
	reap_all
	run "$@"
	reap_all
}

# What runs when we end before our time ends too.
end_all() {
	trap '' INT TERM HUP
	# In a file: in $() a shell has no jobs.
	jobs -p >"$log/now.running"
	while read -r pid; do
		kill "$pid" 2>/dev/null || :
	done <"$log/now.running"
	wait
	rm -rf "$jobs" "$log/ended"
}
trap end_all EXIT
trap 'exit "$interrupted_status"' INT TERM HUP

# book NUMBER: books and reports the results of a program that has run.
book() {
	read -r variant name <"$jobs/$1.name"
	read -r status <"$jobs/$1.status"
	out=$(output "$variant" "$name")
	[ -e "$out.tap" ] || : >"$out.tap"

	names ok "$out.tap" "$out" >"$log/now.passed"
	names 'not ok' "$out.tap" "$out" >"$log/now.failed"
	sed -n 's/^SKIP \([^:]*: .*\)/\1/p' "$out" >"$log/now.skips"
	checks=$(sed -n 's/^[0-9]*%: Checks: \([0-9]*\), .*/\1/p' "$out" |
		 tail -n 1)
	wrong=$(judge "$status")

	# What says that it skips passes in Check's eyes; not in ours.
	sed 's/:.*//' "$log/now.skips" >"$log/now.names"
	grep -vxF -f "$log/now.names" "$log/now.passed" |
		sed "s|^|$variant |" >>"$log/passed" || :
	sed "s|^|$variant |" "$log/now.skips" >>"$log/skips"
	sed "s|^|$variant |" "$log/now.failed" >>"$log/failed"
	closing=$(grep -E '^[0-9]+%: Checks: |^[a-z]+: [0-9]+ passed, ' "$out" |
		  tail -n 1)
	[ -n "$closing" ] ||
		closing=$(grep -vE '^(ok|not ok) |^ *$' "$out" | tail -n 1)
	if [ -z "$wrong" ]; then
		printf '%-6s %-22s %s\n' "$variant" "$name" "$closing"
		return
	fi
	printf '%-6s %-22s FAILED: %s; its output:\n' "$variant" "$name" "$wrong"
	sed 's/^/    /' "$out"
	failures=$((failures + 1))
	# It failed outside of its tests, or died in one: that is a failure too.
	[ -s "$log/now.failed" ] || echo "$variant $name" >>"$log/failed"
}

# of_variant VARIANT FOLDER: what its programs find around them.
of_variant() {
	export TUNTAPD_BUILD="$2" CK_TIMEOUT_MULTIPLIER=$((2 * patience))
	unset TUNTAPD_SANITIZED
	if [ "$1" = asan ]; then
		export TUNTAPD_SANITIZED=yes
		export CK_TIMEOUT_MULTIPLIER=$((4 * patience))
	fi
}

# run_all VARIANT FOLDER
run_all() {
	of_variant "$@"
	found=0
	for program in "$2"/tests/unit/test_* "$2"/tests/live/test_*; do
		if [ -f "$program" ] && [ -x "$program" ]; then
			found=$((found + 1))
			run "$1" "${program#"$2"/tests/}" "$program"
		fi
	done
	if [ "$found" -eq 0 ]; then
		echo "run.sh: of variant $1 there are no tests in $2" >&2
		exit 1
	fi
	for program in "$2"/replay/*; do
		if [ -f "$program" ] && [ -x "$program" ]; then
			name=${program##*/}
			run "$1" "replay/$name" \
				replay "$name" "$program" "tests/fuzz/corpus/$name"
		fi
	done
	run "$1" demo demo "$2"
}

# Each benchmark for a blink: that it runs, not how fast.
run_benches() {
	for program in "$1"/tests/bench/bench_*; do
		if [ -f "$program" ] && [ -x "$program" ]; then
			run plain "${program#"$1"/tests/}" "$program" \
				--rounds 1 --packets 64
		fi
	done
	run plain bench/bench python3 -B tests/bench/bench.py "$1" --blink
}

# The two that are no test programs, as scripts that timeout(1) can run.
cat >"$log/replay" <<'END'
#!/bin/sh
# replay NAME PROGRAM CORPUS
[ -n "$(ls -A "$3" 2>/dev/null)" ] ||
	{ echo "not ok replay-$1: $3 is empty"; exit 1; }
if "$2" "$3"; then
	echo "ok replay-$1"
	echo "replay: $(find "$3" -type f | wc -l) inputs"
else
	echo "not ok replay-$1: exit status $?"
	exit 1
fi
END
cat >"$log/demo" <<'END'
#!/bin/sh
# demo BUILD
status=0
sh tests/demo.sh "$1" 2>&1 || status=$?
if [ "$status" -eq 0 ]; then
	echo "ok demo"
elif [ "$(id -u)" -ne 0 ] && [ ! -w /dev/net/tun ]; then
	echo "SKIP demo: /dev/net/tun is not open to this user"
	status=77
elif [ "$(id -u)" -ne 0 ] && ! unshare --user --net --mount true; then
	echo "SKIP demo: this user may not make user namespaces"
	status=77
else
	echo "not ok demo: exit status $status"
fi
exit "$status"
END
chmod +x "$log/replay" "$log/demo"
PATH=$log:$PATH

for variant in $variants; do
	case $variant in
	plain)	run_all plain "$reach" ;;
	asan)	run_all asan "$reach/asan" ;;
	esac
done
of_variant plain "$reach"
run_benches "$reach"
run plain library sh tests/library.sh "$build"
run plain manual sh tests/manual.sh "$build"
run plain doctor sh tests/doctor.sh "$build"
run plain completion python3 -B tests/completion.py "$build"
run plain programs sh tests/programs.sh "$build" python socat
# Both install what is in BUILD, each with a prefix of its own, for which make
# writes libtuntapd.pc there anew, and whatever else is not up to date.
alone plain install sh tests/install.sh "$build"
alone plain docs sh tests/docs.sh "$build"

# --- what came out ----------------------------------------------------------

# A test counts as run where it passed in each variant that knows it.
missing=
if [ "${CI:-}" = true ]; then
	sed -e 's/#.*//' -e 's/[ 	]*$//' -e '/^$/d' -e '/^ci\//d' \
		tests/REQUIRED >"$log/required"
	while read -r name variant; do
		if [ "$variant" = fast ]; then
			[ "$patience" -eq 1 ] || continue
			variant=
		fi
		in="${variant:-[a-z]+} $name"
		if grep -qE "^$in:" "$log/skips"; then
			missing="$missing $name (skipped)"
		elif [ "$pattern" = '*' ] &&
		     ! grep -qE "^$in\$" "$log/passed" "$log/failed"
		then
			missing="$missing $name (never ran)"
		fi
	done <"$log/required"
fi

echo
if [ -s "$log/skips" ]; then
	echo "SKIPPED:"
	sed 's/^\([a-z]*\) \(.*\)/    \1: \2/' "$log/skips"
fi
if [ -s "$log/failed" ]; then
	echo "FAILED:"
	sed 's/^\([a-z]*\) \(.*\)/    \1: \2/' "$log/failed"
fi
[ -z "$missing" ] || echo "REQUIRED, but not run:$missing"

echo "variants: $variants"
passed=$(count "$log/passed")
failed=$(count "$log/failed")
skips=$(count "$log/skips")
echo "tests: $passed passed, $failed failed, $skips skipped"
[ "$passed" -gt 0 ] && [ "$failed" -eq 0 ] && [ "$failures" -eq 0 ] &&
	[ -z "$missing" ]
