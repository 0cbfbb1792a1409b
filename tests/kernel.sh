#!/bin/sh
# kernel.sh BUILD: the live tests on the kernel of Debian 12, 6.1, which lacks
# much of what newer ones have.
#
# A Debian root with that kernel's package in it becomes the whole of a machine
# that qemu boots, emulated where there is no KVM; what is in BUILD runs there,
# by tests/run.sh, the hostile clients, and tests/systemd.sh with a systemd that
# boots inside.  Then once more without cls_bpf, of which the guard is made.  A
# program in which a test failed runs a second time by itself, as the emulated
# processors wait for each other at times: both runs are shown, and the second one
# counts.
#
#	KERNEL_SECONDS	for all of a machine's tests (1500)
#	KERNEL_MACHINES	at a time (2); each wants a processor, as tests have
#			their time-outs
#	KERNEL_TESTS	patterns for tests/run.sh, a machine for each
#			(four parts of the live tests)
set -eu

usage='usage: kernel.sh BUILD'
build=$(cd "${1:?$usage}" && pwd)
cd "$(dirname "$0")/.."
seconds=${KERNEL_SECONDS:-1500}
at_once=${KERNEL_MACHINES:-2}
programs=${KERNEL_TESTS:-live/test_[a-f]* live/test_[g-l]* live/test_[m-r]*
	live/test_[s-z]*}
version=6.1
patience=4			# with an emulated processor; what that is too
				# slow for skips itself, see live_too_slow()
memory=4G
fast='norandmaps mitigations=off'
packages=iproute2,iputils-ping,procps,iperf3,dnsmasq-base,udhcpc,kmod
packages=$packages,libevent-core-2.1-7,libmnl0,libmd0,libseccomp2
packages=$packages,libjansson4,libncursesw6,tmux,libsubunit0
packages=$packages,systemd-container,dbus,make,linux-image-cloud-amd64
passed=0 failed=0 skipped=0

skip_all() {
	echo "SKIP kernel: $1"
	exit 77
}

[ "$(id -u)" -eq 0 ] || skip_all 'it needs root'
[ "$(uname -m)" = x86_64 ] || skip_all 'it is for x86_64'
for tool in debootstrap apt-get cpio qemu-system-x86_64; do
	command -v "$tool" >/dev/null || skip_all "there is no $tool"
done

work=$(mktemp -d "${TMPDIR:-/var/tmp}/tuntapd-kernel.XXXXXX")
chmod 0755 "$work"
root=$work/root
machines=''			# PID:NAME of each that was booted, oldest first
retries=''			# programs that run once more
# shellcheck disable=SC2317 # by the trap
cleanup() {
	# timeout passes it on to qemu, and waits for that.
	for each in $machines; do
		kill "${each%%:*}" 2>/dev/null || :
		wait "${each%%:*}" 2>/dev/null || :
	done
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

# --- the machine ------------------------------------------------------------

# pack FOLDER NAME...: an archive for the kernel, on stdout.
pack() {
	folder=$1
	shift
	(cd "$folder" && find "$@" | cpio --quiet --create --format newc)
}

# Neither what nobody reads there, nor drivers of what it does not have.  The
# module of the guard is in an archive of its own.
make_system() {
	make_root "$root" kernel "$packages"
	kernel=$(readlink -f "$root/vmlinuz")
	kernel=$root/boot/${kernel##*/}
	modules=$(cd "$root" && echo usr/lib/modules/*)
	case ${modules##*/} in
	"$version".*) ;;
	*) skip_all "this Debian's kernel is ${modules##*/}, not $version" ;;
	esac
	mv "$root/boot" "$work/boot"
	kernel=$work/boot/${kernel##*/}
	(
		cd "$root"
		rm -rf initrd.img* vmlinuz* usr/share/doc usr/share/man \
			usr/share/locale var/cache var/lib/apt dev
		cd "$modules/kernel"
		rm -rf arch fs/[!f]*
		find drivers -mindepth 1 -maxdepth 1 ! -name net \
			-exec rm -rf {} +
	)
	mkdir "$root/dev"
	guard=$modules/kernel/net/sched/cls_bpf.ko
	pack "$root" "$guard" >"$work/guard.cpio"
	rm "$root/$guard"
	pack "$root" . >"$work/root.cpio"
}

# What tests/systemd.sh boots in it, and what it installs there.
make_inside() {
	inside=$work/inside
	mkdir "$inside" "$inside/tuntapd"
	mkdir -m 0755 "$inside/system"
	make_system_root "$inside/system"
	rm -rf "$inside/system/var/lib/apt" "$inside/system/usr/share/doc" \
		"$inside/system/usr/share/locale"
	cp -a Makefile README.md ctl libclient man policy systemd \
		"$inside/tuntapd/"
	mkdir "$inside/tuntapd/build"
	(cd "$build" && cp -a libtuntapd.a libtuntapd.pc systemd man \
		"$inside/tuntapd/build/")
	pack "$inside" . >"$work/inside.cpio"
	rm -r "$inside"
}

# What is tested, and how; the machine's first process is tests/kernel/init.
make_tests() {
	here=$work/here
	mkdir -p "$here/tuntapd/build/tests"
	cp -a tests "$here/tuntapd/"
	(
		cd "$build"
		cp -a tuntapd* tuntapctl examples libtuntapd.so* \
			"$here/tuntapd/build/"
		cp -a tests/live tests/hostile "$here/tuntapd/build/tests/"
	)
	install -m 0755 tests/kernel/init "$here/init"
}

# Where the processor says that it can.
accelerator() {
	if [ -w /dev/kvm ] && grep -qwE 'vmx|svm' /proc/cpuinfo; then
		echo kvm
	else
		echo tcg,thread=multi
	fi
}

# boot NAME COMMAND ARCHIVE...: a machine of these archives, in which the command
# runs; what it says is in $work/NAME.  It waits until there is room for one.
boot() {
	[ "$(echo "$machines" | wc -w)" -lt "$at_once" ] || await
	name=$1
	printf '%s\n' "$2" >"$work/here/command"
	shift 2
	pack "$work/here" . | cat "$@" - >"$work/$name.initrd"
	# What makes an emulated processor slow is off: it translates code anew
	# for each address that it is at, and several wait for each other.
	timeout -k 5 "$seconds" qemu-system-x86_64 -nodefaults -no-user-config \
		-accel "$(accelerator)" -smp 1 -m "$memory" -display none \
		-no-reboot -serial "file:$work/$name" \
		-kernel "$kernel" -initrd "$work/$name.initrd" \
		-append "console=ttyS0 quiet loglevel=3 panic=-1 $fast" \
		>"$work/$name.qemu" 2>&1 </dev/null &
	machines="$machines $!:$name"
}

# await: the end of the oldest, which is counted.
await() {
	# shellcheck disable=SC2086 # words
	set -- $machines
	wait "${1%%:*}" || :
	rm "$work/${1#*:}.initrd"
	ended=${1#*:}
	shift
	machines=$*
	count "$ended"
}

await_all() {
	while [ -n "$machines" ]; do
		await
	done
}

# run_tests NAME PATTERN: a machine that runs these.
run_tests() {
	boot "$1" "export TEST_PATIENCE=$patience TEST_JOBS=2 CI=${CI:-}
		export TEST_VARIANTS=plain
		exec sh tests/run.sh build $2" \
		"$work/root.cpio" "$work/guard.cpio"
}

# again NAME N: in its programs N tests failed; each runs once more, if this was
# not the second time.
again() {
	which=$(sed -n 's/^plain *\(live\/[a-z_]*\) *FAILED.*/\1/p' "$work/$1")
	case $1 in
	*-again) which= ;;
	esac
	[ -n "$which" ] || failed=$((failed + $2))
	retries="$retries $which"
}

# count NAME: what boot NAME's closing line counts; a machine that has not come
# to it has failed.
count() {
	tr -d '\r' <"$work/$1" >"$work/console"
	mv "$work/console" "$work/$1"
	cat "$work/$1"
	closing=$(sed -n \
		's/^[a-z]*: \([0-9]* passed, [0-9]* failed, [0-9]* skipped\)$/\1/p' \
		"$work/$1" | tail -n 1)
	if [ -z "$closing" ]; then
		cat "$work/$1.qemu"
		echo "not ok kernel-$1: the machine came to no end; it had" \
			"$seconds seconds (KERNEL_SECONDS)"
		failed=$((failed + 1))
		return
	fi
	# shellcheck disable=SC2086 # words
	set -- "$1" $closing
	passed=$((passed + $2)) skipped=$((skipped + $6))
	[ "$4" -eq 0 ] || again "$1" "$4"
	if [ "$4" -eq 0 ] && ! grep -qx 'ended: 0' "$work/$1"; then
		echo "not ok kernel-$1: no test failed, but the command did"
		failed=$((failed + 1))
	fi
}

# shellcheck source=tests/root.sh
. tests/root.sh
mkdir -m 0755 "$root"
make_system
make_inside
make_tests
echo "kernel: ${modules##*/}, $(accelerator)"

n=0
set -f
for pattern in $programs; do
	n=$((n + 1))
	run_tests "tests-$n" "'$pattern'"
done
set +f
boot systemd "mount -t cgroup2 cgroup /sys/fs/cgroup
	export TEST_PATIENCE=$patience MACHINE_ROOT=/system
	exec sh tests/systemd.sh build" \
	"$work/root.cpio" "$work/guard.cpio" "$work/inside.cpio"
boot without-guard 'exec sh tests/kernel/without-guard.sh build' \
	"$work/root.cpio"
await_all
for program in $retries; do
	run_tests "${program#*/}-again" "$program"
done
await_all
# By itself: it tells how long things take.
boot hostile "export TEST_PATIENCE=$patience"' TUNTAPD_BUILD=$PWD/build
	exec build/tests/hostile/hostile --seconds 1' \
	"$work/root.cpio" "$work/guard.cpio"
await_all

echo "kernel: $passed passed, $failed failed, $skipped skipped"
[ "$passed" -gt 0 ] && [ "$failed" -eq 0 ]
