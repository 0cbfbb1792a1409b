#!/bin/sh
# check-deps.sh: who may include whom.  CONTRIBUTING.md says why.
#
# First it proves itself on a tree that breaks each rule once.
set -eu

cd "$(dirname "$0")/.."
here=$PWD

# check_tree FOLDER: prints "file:line: what is wrong" for each violation.
check_tree() (
	cd "$1"
	find proto policy daemon libclient ctl examples -type f \
		\( -name '*.[ch]' -o -name '*.def' \) 2>/dev/null | sort |
	xargs awk '
	BEGIN {
		# Headers of other rooms that a room may include.
		may["proto"]	 = "^proto/"
		may["policy"]	 = "^(policy|proto)/"
		may["daemon"]	 = "^(daemon|policy|proto)/"
		may["libclient"] = "^(libclient|proto)/"
		may["ctl"]	 = "^(ctl/|policy/|proto/|libclient/tuntapd\\.h$)"
		may["examples"]	 = "^libclient/tuntapd\\.h$"

		# Headers of libraries, beside those of the C library.
		library["daemon"] = "^(event2/.*|bsd/sys/tree\\.h|uthash\\.h|utlist\\.h|sha2\\.h)$"
		library["ctl"]	  = "^(jansson|curses)\\.h$"

		# Files that the kernel is reached from.
		edge = "^daemon/(os(_[a-z]+)+|rtnl(_[a-z]+)?|guard(_[a-z]+)?|confine(_[a-z]+)+)\\.[ch]$" \
		       "|^libclient/[a-z]+_linux\\.c$" \
		       "|^ctl/[a-z]+_linux\\.[ch]$"

		n = split("aio alloca arpa/inet assert byteswap ctype dirent" \
			" dlfcn elf endian err errno error fcntl fenv float" \
			" fnmatch ftw getopt glob grp iconv ifaddrs inttypes" \
			" langinfo libgen limits locale malloc math mntent" \
			" net/ethernet net/if net/if_arp net/if_dl" \
			" net/if_var net/route netdb" \
			" netinet/icmp6 netinet/in netinet/ip netinet/ip6" \
			" netinet/ip_icmp netinet/tcp netinet/udp nl_types" \
			" paths poll pthread pwd regex sched search semaphore" \
			" setjmp signal spawn stdalign stdarg stdatomic" \
			" stdbool stddef stdint stdio stdlib stdnoreturn" \
			" string strings syscall syslog termios threads time" \
			" uchar unistd utime wchar wctype wordexp", name, " ")
		for (i = 1; i <= n; i++)
			libc[name[i] ".h"] = 1
	}
	FNR == 1 {
		room = FILENAME
		sub(/\/.*/, "", room)
	}
	function wrong(why) {
		printf "%s:%d: %s\n", FILENAME, FNR, why
	}
	# "a/b/../c.h" -> "a/c.h"
	function plain(path) {
		gsub(/\/\.\//, "/", path)
		while (sub(/[^\/]+\/\.\.\//, "", path))
			;
		return path
	}
	!/^[ \t]*#[ \t]*include/ { next }
	!/#[ \t]*include[ \t]*(<[^>]+>|"[^"]+")/ {
		wrong("an include that cannot be followed")
		next
	}
	{
		head = $0
		sub(/^[ \t]*#[ \t]*include[ \t]*/, "", head)
		angle = substr(head, 1, 1) == "<"
		sub(/^[<"]/, "", head)
		sub(/[>"].*/, "", head)
	}
	# The examples have -Ilibclient, as programs have the installed header.
	head == "tuntapd.h" && (angle || room == "examples") {
		head = "libclient/tuntapd.h"
		angle = 0
		at = head
	}
	!angle && head != "libclient/tuntapd.h" {
		at = FILENAME
		sub(/[^\/]*$/, "", at)
		at = plain(at head)
	}
	!angle && head == "libclient/tuntapd.h" { at = head }
	FILENAME == "libclient/tuntapd.h" && !angle {
		wrong("tuntapd.h includes " head \
		      "; the public header stands alone")
		next
	}
	!angle {
		if (at !~ may[room])
			wrong(room " includes " at)
		next
	}
	head in libc || head ~ /^sys\// { next }
	head ~ /^(linux|asm|libmnl)\// {
		if (FILENAME !~ edge || (head ~ /^libmnl/ && room == "libclient"))
			wrong("the kernel is reached from os_*, rtnl, guard," \
			      " confine_* (daemon) and *_linux.c (libclient," \
			      " ctl), not from here: " head)
		next
	}
	# What macOS has in its libc.
	head ~ /^(net\/if_utun|netinet\/in_var|netinet6\/(in6_var|nd6))\.h$/ &&
	FILENAME == "daemon/darwin_compat.h" {
		next
	}
	head ~ /^((launch|libproc)\.h$|CommonCrypto\/)/ &&
	FILENAME ~ /_darwin\.c$/ {
		next
	}
	head == "seccomp.h" && FILENAME ~ /^daemon\/confine_[a-z_]+\.c$/ {
		next
	}
	!(room in library) || head !~ library[room] {
		wrong(room " includes a library: " head)
	}
	' /dev/null
)

# --- the check itself -------------------------------------------------------

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
mkdir "$tree/proto" "$tree/policy" "$tree/daemon" "$tree/libclient" \
	"$tree/ctl" "$tree/examples"

# say FILE LINE...: one line each.
say() {
	file=$tree/$1
	shift
	printf '%s\n' "$@" >"$file"
}

# What is right ...
say proto/wire.c '#include "wire.h"' '#include <stdint.h>'
say policy/policy.c '#include "../proto/wire.h"' '#include <sys/stat.h>'
say daemon/rtnl.c '#include <libmnl/libmnl.h>' '#include <linux/if.h>'
say daemon/os_linux.c '#include <linux/if_tun.h>' '#include "rtnl.h"'
say daemon/os_claim_linux.c '#include <linux/unix_diag.h>'
say daemon/guard_code.c '#include <linux/filter.h>'
say daemon/passed_darwin.c '#include <launch.h>'
say daemon/utun_darwin.c '#include <libproc.h>'
say daemon/conn.c '#include <event2/event.h>' '#include "../policy/policy.h"'
say libclient/open.c '#include "../proto/frame.h"' '#include "tuntapd.h"'
say libclient/packet_linux.c '#include <linux/if_tun.h>'
say ctl/links_linux.c '#include <libmnl/libmnl.h>' '#include <linux/if_link.h>'
say ctl/top.c '#include <curses.h>'
say ctl/list.c '#include "../libclient/tuntapd.h"' '#include <jansson.h>' \
	'#include <tuntapd.h>' '#include "../policy/policy.h"'
say examples/good.c '#include <tuntapd.h>' '#include "tuntapd.h"' \
	'#include <poll.h>'
# ... and each thing that is wrong, in a line of its own.
say proto/bad.c '#include "../policy/policy.h"' '#include <linux/if.h>' \
	'#include <jansson.h>' '#include HEADER'
say proto/bad.def '#include "../libclient/tuntapd.h"'
say policy/bad.c '#include "../daemon/conn.h"' '#include "../ctl/json.h"' \
	'#include "../proto/../libclient/device.h"' '#include <libmnl/libmnl.h>'
say libclient/bad.h '#include "../policy/policy.h"' '' \
	'  #  include "../daemon/os.h"' '#include <event2/event.h>'
say libclient/packet_bad.c '#include <linux/if_tun.h>'
say libclient/bad_linux.c '#include <libmnl/libmnl.h>'
say libclient/tuntapd.h '#include <stdint.h>' '#include "../proto/prefix.h"' \
	'#include "device.h"' '#include <linux/if.h>'
say daemon/bad.c '#include "../libclient/tuntapd.h"' '#include <tuntapd.h>' \
	'#include "../ctl/json.h"' '#include <jansson.h>' \
	'#include <launch.h>' '#include <libproc.h>'
say daemon/mirror.c '#include <linux/rtnetlink.h>' '#include <libmnl/libmnl.h>'
say ctl/bad.c '#include "../libclient/device.h"' '#include "../daemon/os.h"' \
	'#include <linux/if.h>' '#include <event2/event.h>' \
	'#include <libmnl/libmnl.h>'
say examples/bad.c '#include "../proto/wire.h"' '#include <event2/event.h>' \
	'#include <linux/if_tun.h>' '#include "../libclient/device.h"'

check_tree "$tree" | sed 's/: .*//' | sort >"$tree/found"
sort >"$tree/wanted" <<-'END'
	proto/bad.c:1
	proto/bad.c:2
	proto/bad.c:3
	proto/bad.c:4
	proto/bad.def:1
	policy/bad.c:1
	policy/bad.c:2
	policy/bad.c:3
	policy/bad.c:4
	libclient/bad.h:1
	libclient/bad.h:3
	libclient/bad.h:4
	libclient/bad_linux.c:1
	libclient/packet_bad.c:1
	libclient/tuntapd.h:2
	libclient/tuntapd.h:3
	libclient/tuntapd.h:4
	daemon/bad.c:1
	daemon/bad.c:2
	daemon/bad.c:3
	daemon/bad.c:4
	daemon/bad.c:5
	daemon/bad.c:6
	daemon/mirror.c:1
	daemon/mirror.c:2
	ctl/bad.c:1
	ctl/bad.c:2
	ctl/bad.c:3
	ctl/bad.c:4
	ctl/bad.c:5
	examples/bad.c:1
	examples/bad.c:2
	examples/bad.c:3
	examples/bad.c:4
END
if ! diff "$tree/wanted" "$tree/found" >&2; then
	echo "check-deps: it does not find what it must (<)," \
	     "or finds what is right (>)" >&2
	exit 1
fi

# --- this tree --------------------------------------------------------------

check_tree "$here" >"$tree/found"
if [ -s "$tree/found" ]; then
	cat "$tree/found" >&2
	echo "check-deps: a room includes what it may not, see above" >&2
	exit 1
fi
echo "check-deps: the rooms include only what they may"
