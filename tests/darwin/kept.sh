#!/bin/sh
# kept.sh OUT ARCH CC: the libraries of others, static, from Debian's sources as
# fetch.sh has got them, into OUT/ARCH/kept.
set -eu

usage='usage: kept.sh OUT ARCH CC'
out=$(cd "${1:?$usage}" && pwd)
arch=${2:?$usage}
cc=${3:?$usage}
kept=$out/$arch/kept
log=$out/$arch/kept.log
mkdir -p "$kept" "$out/$arch/source"
case $arch in
arm64)	host=aarch64-apple-darwin20 ;;
*)	host=$arch-apple-darwin20 ;;
esac

# source_of NAME: unpacks it, and prints where.
source_of() {
	at=$out/$arch/source/$1
	rm -rf "$at"
	mkdir "$at"
	tar -x -z -C "$at" --strip-components=1 \
		-f "$out/fetched/$1"_*.orig.tar.gz
	echo "$at"
}

fail() {
	tail -n 40 "$log" >&2
	echo "kept.sh: $1 was not built, see above" >&2
	exit 1
}

# A test of configure's that it cannot run here would leave kqueue out.
libevent() {
	cd "$(source_of libevent)"
	./configure --host="$host" --prefix="$kept" --disable-shared \
		--disable-dependency-tracking --disable-openssl \
		--disable-samples --disable-libevent-regress \
		--disable-thread-support \
		CC="$cc" CFLAGS=-O2 LDFLAGS=-fuse-ld=lld \
		AR=llvm-ar-14 RANLIB=llvm-ranlib-14 \
		CPPFLAGS=-DEVENT__HAVE_WORKING_KQUEUE=1
	make install
	llvm-nm-14 "$kept/lib/libevent_core.a" | grep ' _kqops$'
}

# Debian's is of its repository, where configure is still to be made.
jansson() {
	cd "$(source_of jansson)"/src
	sed 's/@json_inline@/inline/; s/@json_have_[a-z_]*@/1/' \
		jansson_config.h.in >jansson_config.h
	: >jansson_private_config.h
	for file in *.c; do
		$cc -O2 -I. -DHAVE_STDINT_H=1 -DHAVE_UNISTD_H=1 \
			-DHAVE_FCNTL_H=1 -DHAVE_SCHED_H=1 -DHAVE_SYS_TIME_H=1 \
			-DHAVE_OPEN=1 -DHAVE_READ=1 -DHAVE_CLOSE=1 \
			-DUSE_URANDOM=1 -DHAVE_ATOMIC_BUILTINS=1 \
			-DHAVE_SCHED_YIELD=1 -c "$file"
	done
	mkdir -p "$kept/include" "$kept/lib"
	cp jansson.h jansson_config.h "$kept/include/"
	llvm-ar-14 rcs "$kept/lib/libjansson.a" ./*.o
}

for name in libevent jansson; do
	[ ! -e "$kept/$name" ] || continue
	echo "  KEPT  $arch/$name"
	# In a shell of its own, where set -e works although we ask.
	("$name") >"$log" 2>&1 &
	wait $! || fail "$name"
	: >"$kept/$name"
done
