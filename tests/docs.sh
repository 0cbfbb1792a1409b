#!/bin/sh
# docs.sh BUILD: is what README.md and the manual say true of what was built?
#
# The README's code blocks are run, in the order they stand:
#
#	<!-- run: NAME -->		before ```sh: as an ordinary user
#	<!-- run: NAME as root -->	as root; "sudo" does nothing then
#	<!-- run: NAME in background -->	started, gone on with when it has
#					written a line, ended when all is done
#	<!-- file: NAME -->		before any block: it becomes that file
#	<!-- systemd: NAME -->		tests/systemd.sh runs it
#	<!-- programs: NAME -->		tests/programs.sh runs it
#
# in a copy of the sources, network and mount namespaces, with /etc, /run and
# /usr/local of its own.  That needs root.  An unmarked ```sh block may hold
# nothing but what gets one this far.
set -eu

usage='usage: docs.sh BUILD'
[ "${1:-}" = --inside ] || build=$(cd "${1:?$usage}" && pwd)
cd "$(dirname "$0")/.."
nobody=65534
passed=0 failed=0 skipped=0
unset MAKEFLAGS MFLAGS MAKELEVEL B TUNTAPD_SOCKET

good() {
	echo "ok docs-$1"
	passed=$((passed + 1))
}
bad() {
	echo "not ok docs-$1: $2"
	failed=$((failed + 1))
}
# judge NAME FILE: the file is to be empty; else it says what is wrong.
judge() {
	if [ -s "$2" ]; then
		sed 's/^/    /' "$2"
		bad "$1" 'see above'
	else
		good "$1"
	fi
}

# --- inside the namespaces --------------------------------------------------

# private PATH: a copy of what is there, which nobody else sees.
private() {
	mkdir "$work/copy"
	mount -t tmpfs -o mode=0755 tmpfs "$work/copy"
	cp -a "$1/." "$work/copy/"
	mount --move "$work/copy" "$1"
	rmdir "$work/copy"
}

# start WHO FILE: the block's commands, in this shell's place, and in a process
# group of their own.
start() {
	cd "$work/tuntapd"
	if [ "$1" = root ]; then
		PATH=$work/sudo:$PATH exec setsid sh -eu "$2"
	fi
	HOME=$work/tuntapd exec setsid setpriv --reuid "$nobody" \
		--regid "$nobody" --clear-groups sh -eu "$2"
}

in_background() {
	# An earlier block's words must not pass for this one's.
	rm -f "$work/out"
	(start "$2" "$3") >"$work/out" 2>&1 </dev/null &
	running="$! $running"
	tries=100
	while [ ! -s "$work/out" ] && [ "$tries" -gt 0 ]; do
		sleep 0.1
		tries=$((tries - 1))
	done
	if kill -0 "$!" 2>/dev/null && [ -s "$work/out" ]; then
		good "$1"
	else
		sed 's/^/    /' "$work/out"
		bad "$1" 'it ended, or said nothing in ten seconds'
	fi
	# The next one must not find this one's words.
	mv "$work/out" "$work/out-$1"
}

in_foreground() {
	status=0
	(start "$2" "$3") >"$work/out" 2>&1 </dev/null || status=$?
	if [ "$status" -eq 0 ]; then
		good "$1"
	else
		sed 's/^/    /' "$work/out"
		bad "$1" "exit status $status"
	fi
}

end_all() {
	for pid in $running; do
		kill -s TERM -- "-$pid" 2>/dev/null || continue
		wait "$pid" 2>/dev/null || :
	done
	running=
}

inside() {
	build=$2 work=$3
	running=
	trap end_all EXIT
	trap 'exit 1' INT TERM HUP
	mount -t tmpfs -o mode=0755 tmpfs /run
	private /etc
	mount -t tmpfs -o mode=0755 tmpfs /usr/local
	mkdir -p /usr/local/lib /usr/local/bin /usr/local/sbin
	if [ ! -c /dev/net/tun ]; then
		mkdir -p /dev/net
		mount -t tmpfs -o mode=0755 tmpfs /dev/net
		mknod -m 0600 /dev/net/tun c 10 200
	fi
	ip link set lo up
	# As Debian's systemd sets it; where it may not be, ping has its rights.
	echo "0 2147483647" 2>/dev/null >/proc/sys/net/ipv4/ping_group_range || :

	# The tree as after make, in a place where everybody may go.
	mkdir "$work/tuntapd" "$work/sudo"
	for entry in *; do
		case $PWD/$entry in
		*/build | "$build") ;;
		*) cp -a "$entry" "$work/tuntapd/" ;;
		esac
	done
	mkdir "$work/tuntapd/build"
	mount --bind "$build" "$work/tuntapd/build"
	chown "$nobody:$nobody" "$work/tuntapd"
	printf '#!/bin/sh\nexec "$@"\n' >"$work/sudo/sudo"
	chmod 0755 "$work/sudo/sudo"

	while read -r block kind name flags; do
		who=$nobody
		case $flags in *'as root'*) who=root ;; esac
		case "$kind $flags" in
		file*)
			cp "$work/$block" "$work/tuntapd/$name" ;;
		*'in background'*)
			in_background "$name" "$who" "$work/$block" ;;
		*)
			in_foreground "$name" "$who" "$work/$block" ;;
		esac
	done <"$work/blocks"
	end_all
	# To the outside, which goes on counting.
	echo "$passed $failed" >"$work/counts"
}

if [ "${1:-}" = --inside ]; then
	inside "$@"
	exit
fi

# --- what needs no rights ---------------------------------------------------

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 1' INT TERM HUP
chmod 0755 "$work"

# blocks FILE: takes its code blocks apart.  Into $work/N go the lines of the
# marked ones, into $work/blocks "N run|file NAME FLAGS", into $work/ini-N
# policies, and onto stdout what is wrong.
blocks() {
	awk -v work="$work" -v tag="${1%.md}" '
	/^<!-- (run|file): .* -->$/ {
		mark = $0
		sub(/^<!-- /, "", mark)
		sub(/ -->$/, "", mark)
		sub(/:/, "", mark)
		next
	}
	/^<!-- (systemd|programs): .* -->$/ { elsewhere = 1; next }
	/^```/ && !inside {
		inside = 1
		language = elsewhere ? "" : substr($0, 4)
		elsewhere = 0
		n++
		file = ""
		if (mark != "") {
			file = work "/" tag n
			print tag n, mark >>(work "/blocks")
		} else if (language == "ini") {
			file = work "/ini-" tag n
		}
		next
	}
	/^```/ {
		inside = 0
		mark = ""
		if (file != "")
			close(file)
		next
	}
	inside && file != "" { print >file }
	inside && file == "" && language == "sh" &&
	!/^(git clone |cd |make demo$|make check$|sudo apt-get install )/ {
		printf "%s:%d: nothing runs this: %s\n", FILENAME, FNR, $0
	}
	!inside && NF && mark != "" {
		printf "%s:%d: a mark without a block\n", FILENAME, FNR
		mark = ""
	}
	' "$1"
}

: >"$work/blocks"
: >"$work/wrong"
for file in *.md; do
	blocks "$file" >>"$work/wrong"
done
judge blocks "$work/wrong"

# Policies: the README's, and the examples of tuntapd.conf(5).
awk -v work="$work" '
	/^\.Bd/ { inside = 1; file = work "/ini-man" ++n; next }
	/^\.Ed/ { inside = 0 }
	inside { gsub(/\\&/, ""); gsub(/\\e/, "\\"); print >file }
' man/tuntapd.conf.5
mkdir "$work/policy.d"
: >"$work/wrong"
# What an ordinary user is told of his own files, and that alone, is as it
# should be.
own='belongs to uid .*, who runs this, and not to root'
[ "$(id -u)" -ne 0 ] || own='^$'
for file in "$work"/ini-*; do
	cp "$file" "$work/policy.d/50-example.conf"
	chmod 0644 "$work/policy.d/50-example.conf"
	"$build/tuntapd" --policy "$work/policy.d" --check \
		>/dev/null 2>"$work/said" || cat "$file" >>"$work/wrong"
	grep -v "$own" "$work/said" >>"$work/wrong" || :
done
judge policies "$work/wrong"

# Keys: those that the daemon knows are those that the texts explain.
printf '[rule x]\nno-such-key = 1\n' >"$work/policy.d/50-example.conf"
"$build/tuntapd" --policy "$work/policy.d" --check 2>&1 |
	sed -n 's/.*known are //p' | tr -d ' \n' | tr , '\n' |
	sort >"$work/keys"
: >"$work/wrong"
[ -s "$work/keys" ] || echo 'tuntapd --check names no keys' >"$work/wrong"
sed -n 's/^| `\([a-z-]*\)` |.*/\1/p' README.md | sort >"$work/explained"
diff "$work/keys" "$work/explained" >>"$work/wrong" ||
	echo 'README.md has not the keys (<) that tuntapd knows' >>"$work/wrong"
sed -n 's/^\.It Cm \([a-z-]*\) No.*/\1/p' man/tuntapd.conf.5 |
	sort -u >"$work/explained"
diff "$work/keys" "$work/explained" >>"$work/wrong" ||
	echo 'tuntapd.conf(5) has not those (<)' >>"$work/wrong"
judge policy-keys "$work/wrong"

# tuntapd(8) has each option, and each limit with its default, section 3 each
# function.
: >"$work/wrong"
"$build/tuntapd" --help | sed -n 's/^  \([a-z-]*=[0-9]*\) .*/\1/p' |
	sort >"$work/limits"
[ -s "$work/limits" ] || echo 'tuntapd --help names no limits' >>"$work/wrong"
sed -n 's/^\.It Cm \([a-z-]*\) Ns \(=[0-9]*\)$/\1\2/p' man/tuntapd.8 | sort |
	diff "$work/limits" - >"$work/diff" ||
	echo 'tuntapd --help has those limits (<), tuntapd(8) has not, or' \
		'the other way (>):' "$(cat "$work/diff")" >>"$work/wrong"
"$build/tuntapd" --help | grep -o '  --[a-z-]*' | tr -d ' ' | sort -u |
while read -r option; do
	grep -q "^\\.It Fl ${option#-}" man/tuntapd.8 ||
		echo "tuntapd(8) lacks $option" >>"$work/wrong"
done
sed -n 's/^[a-z].*[ *]\(ttd_[a-z_]*\)(.*/\1/p' libclient/tuntapd.h |
	sort -u >"$work/functions"
[ -s "$work/functions" ] || echo 'tuntapd.h has no functions' >>"$work/wrong"
while read -r function; do
	grep -q "^\\.Fn $function\$\|^\\.Fn $function \|^\\.Fo $function\$" \
		man/*.3 ||
		echo "section 3 of the manual lacks $function" >>"$work/wrong"
done <"$work/functions"
grep -ho '^\.F[no] ttd_[a-z_]*' man/*.3 | sed 's/^.* //' |
	grep -v '_$' |
	sort -u | grep -vxF -f "$work/functions" |
	sed 's/$/: section 3 has it, tuntapd.h has not/' >>"$work/wrong" || :
judge manual "$work/wrong"

# What the daemon may answer a request with is among its errors.
: >"$work/wrong"
sed -n 's/^ERROR(.*,[ 	]*\(E[A-Z0-9]*\),[ 	]*".*/\1/p' proto/errors.def |
	sort -u >"$work/errors"
[ -s "$work/errors" ] || echo 'errors.def has no errors' >>"$work/wrong"
sed -n '/^ \* Opens a device/,/^int ttd_open/p' libclient/tuntapd.h \
	>"$work/open"
sed -n '/^ \* Configuration/,/^ \*\//p' libclient/tuntapd.h >"$work/configure"
while read -r error; do
	for text in "$work/open" "$work/configure" man/ttd_open.3 \
		    man/ttd_set_ip.3; do
		grep -q -- "-$error\>" "$text" ||
			echo "what is said of ${text##*/} lacks -$error" \
				>>"$work/wrong"
	done
done <"$work/errors"
judge errors "$work/wrong"

# What make is said to do it can do; files that are linked to are there.
: >"$work/wrong"
grep -o '`make [a-z-]*' README.md CONTRIBUTING.md | sed 's/.*`make //' |
	sort -u | while read -r target; do
	grep -q "^$target:\|^\\.PHONY:.* $target\( \|\$\)" Makefile ||
		echo "there is no make $target" >>"$work/wrong"
done
grep -o '`[A-Z][A-Z]*`' README.md | tr -d '`' | sort -u |
while read -r variable; do
	grep -q "^${variable}[ 	]*[?:]*=\|(${variable})" Makefile ||
		echo "the Makefile knows no $variable" >>"$work/wrong"
done
grep -o ']([A-Za-z][^):#]*)' ./*.md | sed 's/.*](\(.*\))/\1/' | sort -u |
while read -r file; do
	[ -e "$file" ] || echo "a link leads to $file, which is not there" \
		>>"$work/wrong"
done
version=$(sed -n 's/^VERSION[ 	]*:= *//p' Makefile)
sed -n 's|.*@.*|libtuntapd.pc: &: not filled in|p' "$build/libtuntapd.pc" \
	>>"$work/wrong"
[ "$("$build/tuntapd" --version)" = "tuntapd $version" ] ||
	echo "tuntapd --version is not the Makefile's $version" >>"$work/wrong"
grep '^## ' NEWS.md | head -n 1 | grep -qF "$version" ||
	echo "NEWS.md does not begin with $version" >>"$work/wrong"
judge names "$work/wrong"

# Each promise of SECURITY.md names what shows it, and CI skips none of those.
: >"$work/wrong"
awk '
	function ends() {
		if (promise == "")
			return
		promises++
		sub(/^.*Shown by:/, "", text) || text = ""
		if (text !~ /`/)
			print "nothing shows the promise \"" promise "\""
		while (match(text, /`[^`]*`/)) {
			print "test " substr(text, RSTART + 1, RLENGTH - 2)
			text = substr(text, RSTART + RLENGTH)
		}
	}
	/^##/ { ends(); promise = text = "" }
	/^## / { inside = $0 == "## Promises" }
	/^### / && inside { promise = substr($0, 5) }
	{ text = text " " $0 }
	END { ends(); if (!promises) print "it has no promises" }
' SECURITY.md | while read -r what name; do
	if [ "$what" != test ]; then
		echo "SECURITY.md: $what $name"
	elif ! grep -qxE -- "$name( plain| fast)?" tests/REQUIRED; then
		echo "SECURITY.md names $name, tests/REQUIRED does not"
	fi
done >"$work/wrong"
judge promises "$work/wrong"

# --- the blocks -------------------------------------------------------------

if [ "$(id -u)" -ne 0 ] || ! unshare --net --mount --pid --fork true 2>/dev/null; then
	while read -r block kind name flags; do
		[ "$kind" = run ] || continue
		echo "SKIP docs-$name: needs root, and namespaces"
		skipped=$((skipped + 1))
	done <"$work/blocks"
else
	unshare --net --mount --pid --fork --kill-child --mount-proc \
		sh tests/docs.sh --inside "$build" "$work" || :
	if read -r in_passed in_failed <"$work/counts"; then
		passed=$((passed + in_passed))
		failed=$((failed + in_failed))
	else
		bad inside 'it came to no end'
	fi
fi
echo "docs: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
