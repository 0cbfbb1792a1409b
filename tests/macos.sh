#!/bin/sh
# macos.sh OUT: the tests of what `make macos` has built in OUT, as far as they
# go without a Mac: what each file is and calls (darwin/gate.sh); the machine code
# of the backend, for both processors, against XNU, played (darwin/README.md); that
# this notices what is changed in the backend; and what is launchd's.  Nothing here
# has run on a Mac.
set -eu

usage='usage: macos.sh OUT'
out=$(cd "${1:?$usage}" && pwd)
cd "$(dirname "$0")/.."
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# part COMMAND...: shows what it says, and adds what its closing line counts.
part() {
	"$@" >"$work/part" 2>&1 || echo "exit status $?" >"$work/status"
	cat "$work/part"
	# shellcheck disable=SC2046 # words
	set -- $(sed -n 's/^[a-z]*: \([0-9]*\) [a-z]*, \([0-9]*\) .*/\1 \2/p' \
		"$work/part" | tail -n 1)
	passed=$((passed + ${1:-0})) failed=$((failed + ${2:-1}))
	if [ -s "$work/status" ] && [ "${2:-1}" -eq 0 ]; then
		failed=$((failed + 1))
		cat "$work/status"
	fi
	rm -f "$work/status"
}

xnu=$out/xnu.so
${CC:-cc} -shared -fPIC -O1 -o "$xnu" tests/darwin/shims.c tests/darwin/xnu/*.c

part sh tests/darwin/gate.sh "$out"
# By the compiler that the headers came with, too.
part make --no-print-directory -f tests/darwin/macos.mk OUT="$out" second
# By Debian's own Python, which has Unicorn.
part /usr/bin/python3 tests/darwin/witness.py tests/darwin/vectors.txt \
	"$out/x86_64/backend.dylib" "$out/arm64/backend.dylib"
part /usr/bin/python3 tests/darwin/backend.py "$xnu" \
	"$out/x86_64/backend.dylib" "$out/arm64/backend.dylib"
part /usr/bin/python3 tests/darwin/mutants.py "$out" "$xnu"
[ ! -e tests/launchd.sh ] || part sh tests/launchd.sh

echo "macos: $passed passed, $failed failed, 0 skipped (not run on a Mac)"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
