# What install.sh and uninstall.sh share; they read it.
# shellcheck shell=sh disable=SC2034 # they use what is set here

label=org.tuntapd
group=tuntap
prefix=/usr/local
plists=${FAKE_ROOT:-}/Library/LaunchDaemons
dry=
seconds=10			# for launchd to let go of a job

fail() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# run COMMAND...: or what it would be.
run() {
	if [ "$dry" ]; then
		echo "would: $*"
	else
		"$@"
	fi
}

# may WHAT: install or uninstall, here and by who calls.
may() {
	[ "$(uname -s)" = Darwin ] ||
		fail "this is for macOS; elsewhere 'make $1' is what you want"
	[ "$dry" ] || [ "$(id -u)" -eq 0 ] ||
		fail "only root can: sudo sh launchd/$1.sh (--dry-run says" \
		     "what it would do)"
}

has_job() {
	launchctl print "system/$label" >/dev/null 2>&1
}

# launchd ends a job in its own time, and takes no other of its name until then.
stop_job() {
	has_job || return 0
	run launchctl bootout "system/$label"
	waited=0
	while [ ! "$dry" ] && has_job; do
		[ "$waited" -lt "$seconds" ] ||
			fail "launchd has not let go of $label in $seconds" \
			     "seconds: try again, or see" \
			     "'launchctl print system/$label'"
		sleep 1
		waited=$((waited + 1))
	done
}
