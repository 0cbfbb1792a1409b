#!/bin/sh
# launchd.sh [BUILD]: what launchd/ has for macOS, as far as one can tell
# without a Mac: the property list, and the scripts with the fakes of
# tests/launchd.  With BUILD the daemon in there reads the policy, too.  Needs
# no rights.
set -eu

build=${1:+$(cd "$1" && pwd)}
cd "$(dirname "$0")/.."
plist=launchd/org.tuntapd.plist
work=$(mktemp -d /tmp/tuntapd-launchd.XXXXXX)
trap 'rm -rf "$work"' EXIT
passed=0 failed=0 skipped=0

# ok NAME COMMAND...
ok() {
	name=$1
	shift
	# In a shell of its own, where set -e works although we ask.
	("$@") >"$work/log" 2>&1 </dev/null &
	if wait $!; then
		passed=$((passed + 1))
		echo "ok launchd-$name"
	else
		failed=$((failed + 1))
		echo "not ok launchd-$name: $(tail -n 1 "$work/log")"
		sed 's/^/    /' "$work/log"
	fi
}

# ok_with TOOL NAME COMMAND...
ok_with() {
	tool=$1
	shift
	if command -v "$tool" >/dev/null; then
		ok "$@"
	else
		skipped=$((skipped + 1))
		echo "SKIP launchd-$1: there is no $tool"
	fi
}

# --- the property list --------------------------------------------------------

# As Apple's has it, in our words; launchd asks for no more.
dtd() {
	cat >"$work/plist.dtd" <<-'END_OF_DTD'
	<!ENTITY % object
	 "array | data | date | dict | real | integer | string | true | false">
	<!ELEMENT plist (%object;)>
	<!ATTLIST plist version CDATA "1.0">
	<!ELEMENT array (%object;)*>
	<!ELEMENT dict (key, (%object;))*>
	<!ELEMENT key (#PCDATA)>
	<!ELEMENT string (#PCDATA)>
	<!ELEMENT data (#PCDATA)>
	<!ELEMENT date (#PCDATA)>
	<!ELEMENT real (#PCDATA)>
	<!ELEMENT integer (#PCDATA)>
	<!ELEMENT true EMPTY>
	<!ELEMENT false EMPTY>
	END_OF_DTD
}
is_valid() {
	xmllint --nonet --noout --dtdvalid "$work/plist.dtd" "$1"
}

# Keys and types; what the daemon's source asks launchd for; nothing that keeps
# it running or starts it unasked.
has_what_it_should() {
	python3 - "$1" daemon/passed_darwin.c <<-'END_OF_PYTHON'
	import plistlib, re, sys

	job = plistlib.load(open(sys.argv[1], "rb"))
	source = open(sys.argv[2]).read()
	kinds = {"Label": str, "UserName": str, "GroupName": str,
	         "ProgramArguments": list, "Sockets": dict,
	         "ThrottleInterval": int, "ProcessType": str,
	         "StandardErrorPath": str}
	assert {k: type(v) for k, v in job.items()} == kinds, "keys or types"
	assert job["Label"] == "org.tuntapd", "label"
	assert job["UserName"] == "root", "not root"
	assert job["GroupName"] == "wheel", "not wheel"
	words = job["ProgramArguments"]
	assert words[0].endswith("/tuntapd"), "no daemon"
	assert words[1:] == ["--user", "0"], "arguments"
	assert 1 <= job["ThrottleInterval"] <= 10, "throttle"
	assert job["StandardErrorPath"].startswith("/var/log/"), "log"
	table = re.search(r"named\[\] = \{(.*?)\};", source, re.S).group(1)
	asked = re.findall(r'\{ "(\w+)", (true|false) \}', table)
	assert len(asked) == 2, "the table in the source was not understood"
	assert set(job["Sockets"]) == {name for name, _ in asked}, "names"
	modes = {"true": 0o600, "false": 0o666}
	keys = {"SockFamily", "SockType", "SockPathName", "SockPathMode"}
	for name, admin in asked:
	    socket = job["Sockets"][name]
	    assert set(socket) == keys, name + ": keys"
	    mode = socket["SockPathMode"]
	    assert type(mode) is int, name + ": mode is no number"
	    assert mode == modes[admin], name + ": mode"
	    assert socket["SockFamily"] == "Unix", name + ": family"
	    assert socket["SockType"] == "stream", name + ": type"
	END_OF_PYTHON
}

# What the shipped one says is read by the daemon; of a group that is here.
policy_is_good() {
	mkdir "$work/policy"
	sed 's/^group .*/group = 0/' launchd/50-tuntap.conf \
		>"$work/policy/50.conf"
	"$build/tuntapd" --check --policy "$work/policy" >"$work/said"
	cat "$work/said"
	grep -q '1 rule, no faults' "$work/said"
}
# Without these two lines macOS refuses every device.
policy_fits_macos() {
	grep -q '^name *= utun\*$' launchd/50-tuntap.conf
	grep -q '^source-guard *= off$' launchd/50-tuntap.conf
}

# --- a Mac that is played -----------------------------------------------------

# Sets $MAC up anew, and what the scripts are told of it.
new_mac() {
	MAC=$work/mac
	chmod -R u+w "$MAC" 2>/dev/null || :
	rm -rf "$MAC"
	mkdir -p "$MAC/fakes" "$MAC/binaries/examples" "$MAC/devices" \
		"$MAC/usr" "$MAC/Library/LaunchDaemons" \
		"$MAC/private/var/db" "$MAC/var/log" "$MAC/var/run" "$MAC/etc"
	for name in uname id stat install launchctl ls plutil dscl dseditgroup \
		    sudo sw_vers sysctl csrutil codesign otool file ifconfig \
		    route netstat ping ping6; do
		ln -s "$PWD/tests/launchd/fake.sh" "$MAC/fakes/$name"
	done
	for name in tuntapd tuntapctl examples/tun-echo; do
		ln -s "$PWD/tests/launchd/fake.sh" "$MAC/binaries/$name"
	done
	for name in libtuntapd.0.dylib libtuntapd.a; do
		echo "$name" >"$MAC/binaries/$name"
	done
	for name in owners acl broken calls; do
		: >"$MAC/$name"
	done
	export MAC FAKES="$MAC/fakes" FAKE_ROOT="$MAC"
	prefix=$MAC/usr/local
	plists=$MAC/Library/LaunchDaemons
	job=$plists/org.tuntapd.plist
	sockets=$MAC/private/var/db/tuntapd
	list_mac >"$work/before"
}

# All that a script could have changed.
list_mac() {
	find "$MAC/usr" "$MAC/Library" "$MAC/private" "$MAC/var" "$MAC/etc" \
		"$MAC/devices" "$MAC/job" "$MAC/group" 2>/dev/null | sort
}
has_not() {
	if grep -E -e "$1" "$2"; then
		echo 'that should not be there'
		return 1
	fi
}
unchanged() {
	list_mac | diff "$work/before" -
}

install_it() {
	sh launchd/install.sh --prefix "$prefix" --binaries "$MAC/binaries" "$@"
}
uninstall_it() {
	sh launchd/uninstall.sh --prefix "$prefix" "$@"
}

# refused TEXT COMMAND...: with the text, and nothing has changed.
refused() {
	text=$1
	shift
	status=0
	"$@" >"$work/said" 2>&1 || status=$?
	cat "$work/said"
	if [ "$status" -eq 0 ]; then
		echo 'it was not refused'
		return 1
	fi
	grep -qF -e "$text" "$work/said" || {
		echo "it does not say: $text"
		return 1
	}
	unchanged
}

dry_install() {
	new_mac
	install_it --dry-run >"$work/said"
	cat "$work/said"
	unchanged
	has_not '^(install|dseditgroup|launchctl boot)' "$MAC/calls"
	for words in "install -o root -g wheel -m 755 $MAC/binaries/tuntapd \
$prefix/sbin/tuntapd" "launchctl bootstrap system $job" \
		"dseditgroup -o create"; do
		grep -qF "would: $words" "$work/said"
	done
}

installs() {
	new_mac
	install_it
	for name in sbin/tuntapd bin/tuntapctl lib/libtuntapd.0.dylib \
		    lib/libtuntapd.a lib/libtuntapd.dylib include/tuntapd.h \
		    lib/tuntapd/policy.d/50-tuntap.conf \
		    share/man/man8/tuntapd.8; do
		test -e "$prefix/$name"
	done
	[ -e "$MAC/job" ]
	[ -e "$MAC/group" ]
	[ -d "$sockets" ]
}
installed_plist_is_filled_in() {
	installs
	has_what_it_should "$job"
	has_not '@[A-Z_]*@' "$job"
	python3 - "$job" "$prefix" "$sockets" <<-'END_OF_PYTHON'
	import plistlib, sys

	job = plistlib.load(open(sys.argv[1], "rb"))
	assert job["ProgramArguments"][0] == sys.argv[2] + "/sbin/tuntapd"
	for name, path in ("public", "/tuntapd.sock"), ("admin", "/admin.sock"):
	    is_at = job["Sockets"][name]["SockPathName"]
	    assert is_at == sys.argv[3] + path, is_at
	END_OF_PYTHON
}
installed_plist_is_valid() {
	installs
	is_valid "$job"
}
installs_again() {
	installs
	list_mac >"$work/first"
	cp "$prefix/share/tuntapd/installed" "$work/list"
	install_it
	diff "$work/list" "$prefix/share/tuntapd/installed"
	list_mac | diff "$work/first" -
	uninstall_it --purge
	unchanged
}

dry_uninstall() {
	installs
	list_mac >"$work/before"
	uninstall_it --dry-run >"$work/said"
	cat "$work/said"
	unchanged
	grep -qxF "would: rm -f $job" "$work/said"
	grep -qF 'would: launchctl bootout system/org.tuntapd' "$work/said"
}
uninstalls() {
	installs
	: >"$MAC/var/run/tuntapd.claim"		# as the daemon made it
	uninstall_it
	rm "$MAC/group"				# it stays, as it says
	unchanged
	uninstall_it
	unchanged
}
purges() {
	installs
	echo 'tuntapd: ready' >"$MAC/var/log/tuntapd.log"
	uninstall_it >"$work/said"
	grep -qF "$MAC/var/log/tuntapd.log stays" "$work/said"
	uninstall_it --purge
	unchanged
	uninstall_it --purge
}
keeps_what_is_anothers() {
	installs
	echo mine >"$prefix/lib/tuntapd/policy.d/90-mine.conf"
	uninstall_it >"$work/said"
	cat "$work/said"
	grep -qF "$prefix/lib/tuntapd/policy.d stays" "$work/said"
	[ -e "$prefix/lib/tuntapd/policy.d/90-mine.conf" ]
	[ ! -e "$prefix/sbin" ]
	[ ! -e "$job" ]
}
# However far an install came, an uninstall takes it back.
begun_is_taken_back() {
	for at in 1 2 3 4 5 9 12 20; do
		new_mac
		echo "install $at" >"$MAC/broken"
		if install_it; then
			echo "the call $at of install was not made"
			return 1
		fi
		: >"$MAC/broken"
		uninstall_it --purge
		unchanged
	done
}

# --- who else could replace what root runs ------------------------------------

group_writable_parent() {
	new_mac
	mkdir -p "$prefix/sbin"
	list_mac >"$work/before"
	for at in "$prefix/sbin" "$prefix" "$MAC/usr" / "$plists"; do
		echo "$at 0 775" >"$MAC/owners"
		refused "chmod go-w $at," install_it --dry-run
	done
	for mode in 775 757 720 702; do
		echo "$MAC/usr 0 $mode" >"$MAC/owners"
		refused "chmod go-w $MAC/usr," install_it
	done
}
users_parent() {
	new_mac
	mkdir -p "$prefix/lib"
	list_mac >"$work/before"
	for at in "$prefix/lib" "$prefix" "$MAC/Library"; do
		echo "$at 501 755" >"$MAC/owners"
		refused "chown root $at," install_it
	done
}
users_daemon_or_plist() {
	new_mac
	mkdir -p "$prefix/sbin"
	echo old >"$prefix/sbin/tuntapd"
	echo old >"$job"
	list_mac >"$work/before"
	for at in "$prefix/sbin/tuntapd" "$job"; do
		echo "$at 501 755" >"$MAC/owners"
		refused "chown root $at," install_it
		echo "$at 0 664" >"$MAC/owners"
		refused "chmod go-w $at," install_it
	done
}
acl_that_allows() {
	new_mac
	echo "$MAC/usr" >"$MAC/acl"
	refused "chmod -N $MAC/usr" install_it
}
daemon_is_a_link() {
	new_mac
	mkdir -p "$prefix/sbin"
	ln -s /tmp/elsewhere "$prefix/sbin/tuntapd"
	list_mac >"$work/before"
	refused 'is a symbolic link' install_it
}
# The folders behind a link are the ones that count.
parent_behind_a_link() {
	new_mac
	mkdir "$MAC/usr/real"
	ln -s real "$prefix"
	list_mac >"$work/before"
	echo "$MAC/usr/real 501 755" >"$MAC/owners"
	refused "chown root $MAC/usr/real," install_it
}
# Between the look at it and the start somebody was faster.
looked_at_again() {
	new_mac
	mkdir -p "$prefix/sbin"
	echo "$prefix/sbin/tuntapd 501 755" >"$MAC/owners"
	if install_it; then
		echo 'it was not refused'
		return 1
	fi
	[ ! -e "$MAC/job" ]
}
no_root() {
	new_mac
	export ID=501
	refused 'only root can' install_it
	refused 'only root can' uninstall_it
}
other_system() {
	new_mac
	rm "$MAC/fakes/uname"
	refused 'this is for macOS' install_it
	refused 'this is for macOS' uninstall_it
	refused 'this is for macOS' sh launchd/selftest.sh
}
strange_paths() {
	new_mac
	for prefix in usr/local "$MAC/a b" "$MAC/|e" "$MAC/&"; do
		refused --prefix install_it
	done
}
incomplete_binaries() {
	new_mac
	rm "$MAC/binaries/libtuntapd.a"
	refused "$MAC/binaries/libtuntapd.a is missing" install_it
}
daemon_without_sockets() {
	new_mac
	echo tuntapd >"$MAC/broken"
	refused 'does not name its sockets' install_it
}
anothers_list() {
	installs
	list_mac >"$work/before"
	echo "$prefix/share/tuntapd/installed 501 644" >"$MAC/owners"
	if uninstall_it; then
		echo 'it was not refused'
		return 1
	fi
	[ -e "$prefix/sbin/tuntapd" ]
	[ -e "$job" ]
}
other_prefix() {
	installs
	list_mac >"$work/before"
	refused 'say with --prefix' sh launchd/uninstall.sh --prefix "$MAC/opt"
}

# --- the selftest -------------------------------------------------------------

selftest() {
	PATH=$FAKES:$PATH ID=1000 sh launchd/selftest.sh \
		--binaries "$MAC/binaries" --log "$work/selftest.log" "$@"
}
dry_selftest() {
	new_mac
	selftest --dry-run "$@" >"$work/said"
	cat "$work/said"
	unchanged
	[ ! -e "$work/selftest.log" ]
	grep -q '^would: .*tun-echo --socket ' "$work/said"
	grep -q '^would: .*run --tap' "$work/said"
	grep -q '^would: ping6 ' "$work/said"
	has_not '^(tun-echo|tuntapctl|install|ping|sudo)' "$MAC/calls"
}
selftest_passes() {
	new_mac
	status=0
	selftest "$@" >"$work/said" || status=$?
	cat "$work/said"
	[ "$status" -eq 0 ]
	unchanged
	grep -q '^selftest: [1-9][0-9]* passed, 0 failed, 0 skipped$' \
		"$work/selftest.log"
	for words in '^## pings$' '^\$ ping6 ' '^ok pings$' \
		     '^    sw_vers of a played Mac$'; do
		grep -q -e "$words" "$work/selftest.log"
	done
}
# selftest_notices FAKE CHECK: what is broken fails there, and all is removed.
selftest_notices() {
	new_mac
	echo "$1" >"$MAC/broken"
	if selftest >"$work/said" 2>&1; then
		echo 'it passed'
		return 1
	fi
	cat "$work/said"
	unchanged
	grep -q "^not ok $2: " "$work/said"
}

# ------------------------------------------------------------------------------

dtd
ok_with xmllint plist-is-valid is_valid "$plist"
ok plist-has-what-it-should has_what_it_should "$plist"
ok_with shellcheck shellcheck shellcheck -x -P launchd launchd/install.sh \
	launchd/uninstall.sh launchd/selftest.sh
ok policy-fits-macos policy_fits_macos
if [ "$build" ]; then
	ok policy-is-good policy_is_good
else
	skipped=$((skipped + 1))
	echo 'SKIP launchd-policy-is-good: no BUILD was named'
fi
ok dry-install-changes-nothing dry_install
ok installs installs
ok installed-plist-is-filled-in installed_plist_is_filled_in
ok_with xmllint installed-plist-is-valid installed_plist_is_valid
ok installs-again installs_again
ok dry-uninstall-changes-nothing dry_uninstall
ok uninstalls-twice uninstalls
ok purges purges
ok keeps-what-is-anothers keeps_what_is_anothers
ok begun-is-taken-back begun_is_taken_back
ok group-writable-parent-is-refused group_writable_parent
ok users-parent-is-refused users_parent
ok users-daemon-or-plist-is-refused users_daemon_or_plist
ok acl-that-allows-is-refused acl_that_allows
ok daemon-that-is-a-link-is-refused daemon_is_a_link
ok parent-behind-a-link-is-looked-at parent_behind_a_link
ok what-was-installed-is-looked-at-again looked_at_again
ok no-root-is-refused no_root
ok other-system-is-refused other_system
ok strange-paths-are-refused strange_paths
ok incomplete-binaries-are-refused incomplete_binaries
ok daemon-without-sockets-is-refused daemon_without_sockets
ok anothers-list-is-not-obeyed anothers_list
ok other-prefix-is-told other_prefix
ok dry-selftest-runs-nothing dry_selftest
ok dry-selftest-with-launchd-runs-nothing dry_selftest --launchd
ok selftest-passes selftest_passes
ok selftest-with-launchd-passes selftest_passes --launchd
ok selftest-notices-ping selftest_notices ping6 pings
ok selftest-notices-an-echo-that-opens-nothing \
	selftest_notices tun-echo open-as-an-ordinary-user
ok selftest-notices-a-daemon-that-does-not-start \
	selftest_notices tuntapd started

echo "launchd: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
