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

# make_root FOLDER NAME [PACKAGES]: one of $suite, with these packages (separated
# by commas) besides the least.  What NAME has got is kept for a week, where
# nobody else can have put it.  Leaves the sources in $list.
make_root() {
	list=$(apt_sources "$suite")
	[ -n "$list" ] || {
		apt-get update -q >/dev/null
		list=$(apt_sources "$suite")
	}
	mirror=$(echo "$list" | sed -n "s/ $suite main\$//p" | head -n 1)
	if [ -z "$mirror" ]; then
		echo "SKIP $2: the machine's apt sources have no $suite"
		exit 77
	fi
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
