# shellcheck shell=sh
# root.sh, to be sourced: a Debian root to test in, from the machine's own apt
# sources.

suite=bookworm

# "URI SUITE COMPONENT" of each source of that suite, updates and security too.
apt_sources() {
	apt-get indextargets 'Created-By: Packages' \
		--format '$(CODENAME) $(REPO_URI) $(RELEASE) $(COMPONENT)' |
		sed -n "s/^${1}[a-z-]* //p" | sort -u
}

# find_sources NAME: those of $suite in $list, and the first one's URI in $mirror.
find_sources() {
	list=$(apt_sources "$suite")
	[ -n "$list" ] || {
		apt-get update -q >/dev/null
		list=$(apt_sources "$suite")
	}
	mirror=$(echo "$list" | sed -n "s/ $suite main\$//p" | head -n 1)
	if [ -z "$mirror" ]; then
		echo "SKIP $1: the machine's apt sources have no $suite"
		exit 77
	fi
}

# make_root FOLDER NAME [PACKAGES]: one of $suite, with these packages (separated
# by commas) besides the least.  What NAME has got is kept for a week, where
# nobody else can have put it.
make_root() {
	keep=${TMPDIR:-/var/tmp}/tuntapd-roots-$(id -u)
	base=$keep/$2-$suite-$(dpkg --print-architecture)
	base=$base-$(echo "${3-}" | cksum | cut -d ' ' -f 1).tar
	mkdir -m 0700 "$keep" 2>/dev/null || :
	if [ -L "$keep" ] ||
	   [ "$(stat -c '%u %a' "$keep")" != "$(id -u) 700" ]; then
		base=
	fi
	if [ -n "$base" ] && [ -n "$(find "$base" -mtime -7 2>/dev/null)" ]; then
		tar -x -C "$1" -f "$base"
		return
	fi
	find_sources "$2"
	echo "making a $suite root"
	if ! debootstrap --variant=minbase ${3:+--include="$3"} "$suite" \
			"$1" "$mirror" >"$1.log" 2>&1; then
		cat "$1.log"
		[ ! -e "$1/debootstrap/debootstrap.log" ] ||
			tail -n 20 "$1/debootstrap/debootstrap.log"
		echo "$2: debootstrap failed"
		exit 1
	fi
	rm -rf "$1"/var/cache/apt/archives/*.deb
	if [ -n "$base" ]; then
		tar -c -C "$1" -f "$base.new" .
		mv "$base.new" "$base"
	fi
}

# make_system_root FOLDER: one that systemd can boot, as tests/machine.sh has it.
make_system_root() {
	for_system=systemd-sysv,udev,dbus,iproute2,iputils-ping,procps
	for_system=$for_system,libevent-core-2.1-7,libmnl0,libmd0,libseccomp2
	for_system=$for_system,libjansson4,libncursesw6,network-manager
	for_system=$for_system,libpam-systemd
	make_root "$1" systemd "$for_system"
}
