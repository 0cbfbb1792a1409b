#!/bin/sh
# ci.sh BUILD: what `make ci` does beyond `make check`: compilers with warnings
# as errors, static analysis, valgrind, fuzzing, manual pages, the library beside
# the one of before and in projects of others, a tarball, packages, a systemd that
# has booted, Debian's own kernel, what is built for macOS, and the README's two
# commands on a Debian that has nothing.
#
#	CI_STEPS	only the steps of these names
#	FUZZ_SECONDS	for each fuzz target (30)
#	WIRE_SECONDS	for each run of iperf3 across tun-wire (10)
#	DIFFERENTIAL_REQUESTS	for the policy and its reference (120000)
#	DIFFERENTIAL_SEED	another one, other policies and requests (1)
set -eu

usage='usage: ci.sh BUILD'
mkdir -p "${1:?$usage}"
build=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."

fuzz_seconds=${FUZZ_SECONDS:-30}
wire_seconds=${WIRE_SECONDS:-10}
requests=${DIFFERENTIAL_REQUESTS:-120000}
seed=${DIFFERENTIAL_SEED:-1}
rooms='daemon policy proto libclient ctl'
jobs=$(nproc)
log=$build/ci
mkdir -p "$log"
passed=0 failed=0 skipped=0
unset MAKEFLAGS MFLAGS MAKELEVEL

skipped_status=77

# step NAME COMMAND...: a step; its output is shown if it fails.
step() {
	wanted "$1" || return 0
	# It has all processors as soon as what was beside has ended.
	kill -0 "${beside_pid:-$$}" 2>/dev/null || await
	start "$@"
	report "$1" "$pid" "$began"
}

# beside NAME COMMAND...: a step that has one of the processors, while steps
# that do not tell how long anything takes have the others.
beside() {
	wanted "$1" || return 0
	[ "$jobs" -eq 1 ] || jobs=$((jobs - 1))
	start "$@"
	beside=$1 beside_pid=$pid beside_began=$began
}

# await: the end of the step that is beside.
await() {
	[ -n "$beside" ] || return 0
	report "$beside" "$beside_pid" "$beside_began"
	beside='' beside_pid='' jobs=$(nproc)
}

# What is under way when we end: a step in the background is deaf to ^C.
# shellcheck disable=SC2317 # by the trap
cleanup() {
	for each in $pid $beside_pid; do
		end_with_children "$each"
		wait "$each" || :
	done
}

# shellcheck disable=SC2317
end_with_children() {
	children=$(pgrep -P "$1") || :
	kill "$1" 2>/dev/null || :
	for child in $children; do
		end_with_children "$child"
	done
}
beside='' beside_pid='' pid=''
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

wanted() {
	case " ${CI_STEPS:-$1} " in
	*" $1 "*) ;;
	*) return 1 ;;
	esac
}

# In a shell of its own, where set -e works although we ask how it ended.
start() {
	name=$1
	shift
	began=$(date +%s)
	"$@" >"$log/$name.log" 2>&1 </dev/null &
	pid=$!
}

# report NAME PID BEGAN: waits for its end, and says how it was.
report() {
	name=$1 status=0
	printf '%-14s ' "$name"
	wait "$2" || status=$?
	[ "$pid" != "$2" ] || pid=''
	took=$(($(date +%s) - $3))
	case $status in
	0)
		passed=$((passed + 1))
		echo "passed ($took s)$(closing "$log/$name.log")" ;;
	"$skipped_status")
		skipped=$((skipped + 1))
		echo 'SKIPPED:' "$(sed -n 's/^SKIP [^:]*: //p' "$log/$name.log")"
		required "$name" ;;
	*)
		failed=$((failed + 1))
		echo "FAILED ($took s), exit status $status; its output:"
		tail -n 60 "$log/$name.log" | sed 's/^/    /' ;;
	esac
}

# closing LOG: what the step's last line has to say, if it counts something.
closing() {
	tail -n 1 "$1" | sed -n 's/^[a-z]*: [0-9]/  &/p'
}

# required STEP: a skipped step that tests/REQUIRED names has failed.
required() {
	if [ "${CI:-}" = true ] && grep -qx "ci/$1" tests/REQUIRED; then
		echo "    tests/REQUIRED names it: failed"
		skipped=$((skipped - 1))
		failed=$((failed + 1))
	fi
}

# Sources of this system, as the Makefile chooses them.
sources() {
	for room in $rooms; do
		find "$room" -name '*.c' ! -name '*_darwin.c' | sort
	done
}

# The Makefile's defines, as it quotes them for the shell.
defines() {
	make --no-print-directory --eval='defines: ; $(info $(DEFS)) @:' \
		defines
}

compile() {
	make --no-print-directory -j"$jobs" B="$build/$1" CC="$1" \
		WERROR=-Werror tests
}

tidy() {
	eval "set -- $(defines)"
	if ! sources | xargs -P "$jobs" -I FILE clang-tidy --quiet FILE -- \
			-std=c11 "$@" >"$log/tidy" 2>&1; then
		cat "$log/tidy"
		echo "In short:"
		grep ': error: ' "$log/tidy"
		return 1
	fi
}

# It is told of uthash's macros, as it reads no system headers.  In policy/ only
# the address is taken of what it says is not initialised.
check_cpp() {
	eval "set -- $(defines)"
	# shellcheck disable=SC2046 # a list of files
	cppcheck --quiet --std=c11 --language=c --platform=unix64 -j "$jobs" \
		--enable=warning,performance,portability --inline-suppr \
		--include=/usr/include/uthash.h \
		--include=/usr/include/utlist.h \
		--include=/usr/include/bsd/sys/tree.h \
		--suppress=missingIncludeSystem \
		--suppress=uninitvar:policy/policy.c \
		--suppress=ctuuninitvar:policy/conf.c \
		--error-exitcode=1 "$@" \
		$(sources)
}

# What valgrind says of the unit tests and of each child that Check forks.  A
# test that fails because valgrind takes descriptors and time is no finding:
# without it they have passed in `make check`.
check_memory() {
	rm -rf "$log/valgrind"
	mkdir "$log/valgrind"
	# Some of the children that say a word have no rights any more.
	words=$(mktemp -d)
	chmod 1777 "$words"
	find "$build/gcc/tests/unit" -name 'test_*' -type f -perm -u+x |
		sort >"$log/programs"
	TUNTAPD_BUILD=$build/gcc TUNTAPD_SANITIZED=yes TUNTAPD_SLOW=yes \
	CK_FORK=yes CK_TIMEOUT_MULTIPLIER=20 \
		xargs -P "$jobs" -I PROGRAM sh -c 'valgrind --quiet \
			--fair-sched=yes --leak-check=full \
			--errors-for-leak-kinds=definite,indirect \
			--log-file="$2/${1##*/}.%p" "$1" \
			>"$3/valgrind/${1##*/}" 2>&1' \
			sh PROGRAM "$words" "$log" <"$log/programs" || :
	n=0
	while read -r program; do
		cat "$log/valgrind/${program##*/}"
		grep -q '^[0-9]*%: Checks: [1-9]' \
			"$log/valgrind/${program##*/}"
		n=$((n + 1))
	done <"$log/programs"
	find "$words" -type f -exec cat {} + >"$log/now"
	rm -r "$words"
	if [ -s "$log/now" ]; then
		cat "$log/now"
		return 1
	fi
	echo "valgrind: $n programs"
	[ "$n" -gt 0 ]
}

# A wrong policy must be noticed.
check_mutants() {
	PYTHONDONTWRITEBYTECODE=1 python3 tests/reference/mutants.py \
		"$build/gcc"
}

# The policy answers what a second implementation of its manual page does.
check_differential() {
	PYTHONDONTWRITEBYTECODE=1 python3 tests/reference/reference.py \
		--judge "$build/gcc/judge" --count "$requests" --seed "$seed"
}

# The library's tests under the thread sanitizer.  Check's fork would leave a
# child of a process with threads, so each of its tests is a process by itself
# only where the test says so; the sanitizer itself does not mind.
check_threads() {
	make --no-print-directory -j"$jobs" B="$build/tsan" SAN=thread \
		WERROR=-Werror tests
	n=0
	for program in unit/test_control unit/test_reclaim unit/test_libclient \
		       unit/test_pipe live/test_library live/test_batch live/test_api; do
		TUNTAPD_BUILD=$build/tsan TUNTAPD_SANITIZED=yes CK_FORK=yes \
		CK_TIMEOUT_MULTIPLIER=8 TSAN_OPTIONS=halt_on_error=1:exitcode=66 \
			"$build/tsan/tests/$program"
		n=$((n + 1))
	done
	echo "threads: $n programs"
}

# iperf3 across tun-wire as long as it takes to believe it.
check_wire() {
	TUNTAPD_BUILD=$build/gcc TUNTAPD_WIRE_SECONDS=$wire_seconds \
	CK_TIMEOUT_MULTIPLIER=20 CK_RUN_CASE=wire \
		"$build/gcc/tests/live/test_examples"
}

# Clients that mean harm: the figures, and once more, shorter, with the
# sanitizers.  What cannot be carried out here has not been shown.
check_hostile() {
	make --no-print-directory -j"$jobs" B="$build/asan" \
		SAN=address,undefined WERROR=-Werror "$build/asan/tuntapd-strict" \
		"$build/asan/tuntapctl" "$build/asan/tests/hostile/hostile"
	TUNTAPD_BUILD=$build/asan TUNTAPD_SANITIZED=yes \
		"$build/asan/tests/hostile/hostile" --seconds 1
	status=0
	TUNTAPD_BUILD=$build/gcc "$build/gcc/tests/hostile/hostile" \
		--json "$log/hostile.json" >"$log/hostile.table" || status=$?
	cat "$log/hostile.table"
	if [ "$status" -eq 0 ] && [ "${CI:-}" = true ]; then
		tail -n 1 "$log/hostile.table" | grep -q ' 0 skipped$'
	fi
	return "$status"
}

fuzz_one() {
	name=$1
	found=$build/fuzz-found/$name
	mkdir -p "$found"
	set --
	[ ! -e "$build/fuzz/$name.dict" ] || set -- "-dict=$build/fuzz/$name.dict"
	"$build/fuzz/$name" "$@" -max_total_time="$fuzz_seconds" -timeout=10 \
		-rss_limit_mb=2048 -max_len=20000 -print_final_stats=1 \
		-artifact_prefix="$found-" "$found" "tests/fuzz/corpus/$name"
}

# All targets, as many at a time as there are processors.
fuzz() {
	make --no-print-directory B="$build" fuzz
	n=0 waiting=
	for target in tests/fuzz/fuzz_*.c; do
		name=${target#tests/fuzz/fuzz_}
		name=${name%.c}
		fuzz_one "$name" >"$log/fuzz-$name.log" 2>&1 &
		waiting="$waiting $!:$name"
		n=$((n + 1))
		[ $((n % jobs)) -ne 0 ] || fuzz_wait
	done
	fuzz_wait
	echo "fuzz: $n targets, $fuzz_seconds s each"
	[ "$n" -gt 0 ]
}

fuzz_wait() {
	for each in $waiting; do
		name=${each#*:}
		if ! wait "${each%%:*}"; then
			echo "fuzz $name: this came out; the input is in" \
			     "$build/fuzz-found"
			cat "$log/fuzz-$name.log"
			exit 1
		fi
		grep number_of_executed_units "$log/fuzz-$name.log" |
			sed "s/^/fuzz $name: /"
	done
	waiting=
}

manual() {
	make --no-print-directory -j"$jobs" B="$build/gcc" CC=gcc \
		WERROR=-Werror tests
	find man -name '*.[0-9]' -print0 | xargs -0 mandoc -Tlint -W warning
	find "$build/gcc/man" -name '*.[0-9]' -print0 |
		xargs -0 -r mandoc -Tlint -W warning
}

check_kernel() {
	make --no-print-directory -j"$jobs" B="$build/gcc" CC=gcc \
		WERROR=-Werror tests
	export KERNEL_MACHINES=1
	exec sh tests/kernel.sh "$build/gcc"
}

# What `make macos` builds, looked at without a Mac.
check_macos() {
	sh tests/need.sh macos
	if ! sh tests/darwin/fetch.sh build/macos; then
		echo 'SKIP macos: what it is built with cannot be had, see above'
		return "$skipped_status"
	fi
	make --no-print-directory check-macos
}

# The README's commands; the sanitizers' half of `make check` is built of the
# same packages, and .ci/run has run it.
check_fresh() {
	TEST_VARIANTS=plain sh tests/fresh.sh
}

check_abi() {
	make --no-print-directory -j"$jobs" B="$build" "$build/libtuntapd.so"
	sh tests/abi.sh "$build"
}

check_foreign() {
	make --no-print-directory -j"$jobs" B="$build" all
	sh tests/foreign.sh "$build"
}

# Programs that want more than `make check` asks for.
check_programs() {
	make --no-print-directory -j"$jobs" B="$build/gcc" CC=gcc \
		WERROR=-Werror tests
	sh tests/programs.sh "$build/gcc" qemu go
}

check_deb() {
	make --no-print-directory -j"$jobs" B="$build" all
	make --no-print-directory B="$build" deb
	sh tests/deb.sh "$build"
}

scripts() {
	bash -n .ci/run
	if ! command -v shellcheck >/dev/null; then
		echo "SKIP scripts: there is no shellcheck"
		return "$skipped_status"
	fi
	# SC2016: what is in single quotes there is sed, awk or make.
	# SC2015: `a && b || c` is what is meant.
	shellcheck -e SC2015,SC2016 -s sh tests/*.sh tests/kernel/*
	shellcheck .ci/run debian/tuntapd.postinst debian/tuntapd.prerm \
		debian/tuntapd.postrm
}

step scripts scripts
step gcc compile gcc
beside kernel check_kernel
step clang compile clang
step valgrind check_memory
step clang-tidy tidy
step cppcheck check_cpp
step mutants check_mutants
step differential check_differential
step macos check_macos
step manual manual
step abi check_abi
step foreign check_foreign
await
step dist sh tests/dist.sh
step threads check_threads
step wire check_wire
step hostile check_hostile
step fuzz fuzz
step programs check_programs
step deb check_deb
step systemd sh tests/systemd.sh "$build"
step fresh check_fresh

echo "ci: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
