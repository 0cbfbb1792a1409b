#!/usr/bin/env python3
"""mutants.py OUT LIBRARY: one thing at a time is changed in the macOS backend,
and backend.py has to notice.  OUT is what `make macos` has built, LIBRARY the
played XNU (tests/macos.sh makes it).  x86_64 alone: the source is the same.

A row is (file, what is there, what is there instead).  What is never noticed
stands in SURVIVES with the reason.
"""
import os
import shutil
import subprocess
import sys
import tempfile

UTUN, IFCONF, ROUTE = "utun_darwin.c", "ifconf_darwin.c", "route_darwin.c"
MOVE, SYSTEM, WATCH = "move_darwin.c", "os_darwin.c", "watch_darwin.c"
CALLS, MIRROR = "../proto/sys_darwin.c", "mirror.c"
PASSED = "passed_darwin.c"
LIST, HOST = "../proto/sysctl_darwin.c", "../libclient/host_darwin.c"
LINKS, SHOWN = "../ctl/links_darwin.c", "../ctl/routes_darwin.c"
DOCTOR, CONFINE = "../ctl/doctor_host_darwin.c", "confine_darwin.c"
SECONDS = 120

MUTANTS = [
    (UTUN, "(uint32_t)n + 1;", "(uint32_t)n;"),
    (UTUN, ".sc_len = sizeof(to), ", ""),
    (UTUN, ".ss_sysaddr = AF_SYS_CONTROL, ", ""),
    (UTUN, ".sc_id = id, ", ""),
    (UTUN, "fd == -EBUSY && i < BUSY_TRIES", "0"),
    (UTUN, "#define BUSY_TRIES	10", "#define BUSY_TRIES	1"),
    (UTUN, "		error = set_pending(fd);\n", "		error = 0;\n"),
    (UTUN, "#define PENDING_PACKETS	256", "#define PENDING_PACKETS	1"),
    (UTUN, "	if (error && fd >= 0)\n		close(fd);\n", ""),
    (UTUN, "	if (!utun_unit(name))\n", "	if (0)\n"),
    (UTUN, "		error = check_name(fd, name);\n",
     "		error = 0;\n"),
    (UTUN, "if (fd == -EPERM)", "if (0)"),
    (IFCONF, "a->peer.family ? &a->peer : &a->local);\n	put4(&r.ifra_mask",
     "&(struct prefix){ .family = 4 });\n	put4(&r.ifra_mask"),
    (IFCONF, "	put4(&r.ifra_mask, &mask);\n", ""),
    (IFCONF, "0x80 >> (i % 8)", "0x80 >> (i % 7)"),
    (IFCONF, ".ia6t_vltime = ND6_INFINITE_LIFETIME,", ".ia6t_vltime = 0,"),
    (IFCONF, ".ia6t_pltime = ND6_INFINITE_LIFETIME", ".ia6t_pltime = 0"),
    (IFCONF, "		.ifra_prefixmask = in6_of(&mask),\n", ""),
    (IFCONF, "request(darwin.inet6, SIOCAIFADDR_IN6",
     "request(darwin.inet, SIOCAIFADDR_IN6"),
    (IFCONF, "request(darwin.inet6, SIOCDIFADDR_IN6",
     "request(darwin.inet, SIOCDIFADDR_IN6"),
    (IFCONF, "	r6.ifr_ifru.ifru_addr = in6_of(&a->local);\n", ""),
    (IFCONF, "r.ifr_flags | IFF_UP", "IFF_UP"),
    (IFCONF, "r.ifr_flags & ~IFF_UP", "0"),
    (IFCONF, "		return -EALREADY;", "		return 0;"),
    (IFCONF, ".sin_len = sizeof(in),", ""),
    (IFCONF, ".sin6_len = sizeof(in6),", ""),
    (CALLS, "flags & MSG_PEEK && !msg->msg_control", "0"),
    (ROUTE, ".sin_len = sizeof(in),", ""),
    (ROUTE, ".rtm_version = RTM_VERSION, ", ""),
    (ROUTE, "RTF_UP | RTF_STATIC", "RTF_UP"),
    (ROUTE, "RTA_DST | RTA_GATEWAY | RTA_NETMASK", "RTA_DST | RTA_GATEWAY"),
    (ROUTE, "	h.rtm_msglen = (u_short)len;\n", ""),
    (ROUTE, ".sdl_index = (u_short)ifindex", ".sdl_index = 0"),
    (ROUTE, "		h.rtm_flags |= RTF_GATEWAY;", "		;"),
    (ROUTE, "	len += put_mask(ret + len, &route->dst);\n", ""),
    (ROUTE, "i < dst->len", "i + 1 < dst->len"),
    (ROUTE, "return write(darwin.route, message, len) < 0 ? -errno : 0;",
     "return write(darwin.route, message, len) < 0 ? 0 : 0;"),
    (ROUTE, "error = tell(RTM_DELETE", "error = tell(RTM_ADD"),
    (ROUTE, "	if (has <= 0)", "	if (has < 0)"),
    (ROUTE, "	if (error != -ESRCH)\n		return error;\n",
     "	return error;\n"),
    (ROUTE, "has > 0 ? -EBUSY : has < 0", "has < 0"),
    (WATCH, " || r == -ESRCH ? -EBUSY", " ? -EBUSY"),
    (ROUTE, "-EBUSY : has < 0 ? has : -ESRCH", "-EBUSY : -ESRCH"),
    (WATCH, "!(h->rtm_flags & RTF_HOST) &&\n	       r.ifindex",
     "r.ifindex"),
    (WATCH, "r.ifindex == w->ifindex &&", ""),
    (WATCH, ".up = a->ifa_flags & IFF_UP", ".up = true"),
    (WATCH, ".mtu = data ? (uint32_t)data->ifi_mtu : 0", ".mtu = 1500"),
    (WATCH, ".type = dl->sdl_type,", ""),
    (WATCH, "link.layer = WIRE_TUN;", ";"),
    (WATCH, ".going = OS_GOING_DELETED,", ""),
    (WATCH, "ifindex = tell_link(a);", "tell_link(a);"),
    (WATCH, "ret->len = mask_len(a->ifa_netmask, ret->family);", ";"),
    (WATCH, "from + bits / 8 < sa->sa_len &&", ""),
    (WATCH, "		error = each_route(tell_route, NULL);\n", "		;\n"),
    (WATCH, "	if (getifaddrs(&all) < 0)\n		return -errno;",
     "	if (getifaddrs(&all) < 0)\n		return 0;"),
    (WATCH, " | RTF_IFSCOPE) ||", ") ||"),
    (WATCH, "if (!(h->rtm_flags & RTF_HOST))", "if (1)"),
    (WATCH, "if (h->rtm_flags & RTF_GATEWAY)\n", "if (0)\n"),
    (WATCH, ".direct = !(h->rtm_flags & RTF_GATEWAY)", ".direct = true"),
    (WATCH, "error : -ESTALE", "error : 0"),
    (WATCH, "error : -ESTALE", "error : -ENOBUFS"),
    (WATCH, "	return error ? error : -ESTALE", "	return -ESTALE"),
    (WATCH, "return error ? error : -ESTALE;", "return os_watch_again();"),
    (WATCH, "while (most-- > 0 && read_event(&error))", "while (0)"),
    (WATCH, "fcntl(watch.events, F_SETFL, O_NONBLOCK) < 0", "0"),
    (WATCH, "	if (watch.events >= 0)\n		close(watch.events);\n", ""),
    (MIRROR, " && error != -ESTALE", ""),
    (MIRROR, "now_ms() - mirror.dumped < LIMIT_DUMP_MS", "0"),
    (MIRROR, "return now_ms() - mirror.dumped < LIMIT_DUMP_MS ? -EAGAIN :",
     "return 1 ? -EAGAIN :"),
    (MOVE, "	if (is_up(from))\n		remove_routes",
     "	if (0)\n		remove_routes"),
    (MOVE, "		if (connected(to, i, &r))\n", "		if (0)\n"),
    (MOVE, "	set_mtu(ret, from, to);\n", ""),
    (MOVE, "		set_up(ret, false);\n", "		;\n"),
    (MOVE, "		set_up(ret, true);\n", "		;\n"),
    (MOVE, "	remove_addresses(ret, 4, false, from, to);\n", ""),
    (MOVE, "	remove_addresses(ret, 6, false, from, to);\n", ""),
    (MOVE, "	add_addresses(ret, from, to, repair);\n",
     "	add_addresses(ret, from, to, false);\n"),
    (MOVE, "		add_routes(ret, from, to, repair);\n",
     "		add_routes(ret, from, to, false);\n"),
    (MOVE, "	second = error ? undo(s, i, ifindex, ifname) : 0;\n",
     "	second = 0;\n"),
    (MOVE, "	while (n-- > 0) {", "	while (n-- > 1) {"),
    (MOVE, "return ifconf_set_mtu(ifname, step->old_mtu);", "return 0;"),
    (MOVE, "	case STEP_REMOVE_ROUTE:\n		return route_add(",
     "	case STEP_REMOVE_ROUTE:\n		return 0;\n		route_add("),
    (MOVE, "		return error == -EEXIST;", "		return false;"),
    (MOVE, "i < n; i++)\n		add_route_step(ret, STEP_ADD_ROUTE",
     "i < n - 1; i++)\n		add_route_step(ret, STEP_ADD_ROUTE"),
    (SYSTEM, "	if (open->layer == WIRE_TAP)", "	if (0)"),
    (SYSTEM, "	if (open->queues > 1)", "	if (0)"),
    (SYSTEM, "	if (open->vnet_hdr == WIRE_VNET_YES)", "	if (0)"),
    (SYSTEM, "	if (open->txqueuelen)", "	if (0)"),
    (SYSTEM, "	if (guard)\n", "	if (0)\n"),
    (SYSTEM, "darwin_cloexec(fd);\n\n	if (error && fd >= 0)\n		close(fd);"
     "\n	return error ? error : fd;\n}\n\n/* --- one",
     "0;\n\n	return error ? error : fd;\n}\n\n/* --- one"),
    (SYSTEM, ".gid = cred.cr_groups[0]", ".gid = 0"),
    (SYSTEM, ".uid = cred.cr_uid", ".uid = 0"),
    (SYSTEM, "	end(&darwin.route);\n", ""),
    (SYSTEM, "!error && shutdown(fd, SHUT_RD) < 0", "0"),
    (SYSTEM, "		error = -errno;\n		close(fd);\n	}\n	return error ? error : fd;",
     "		error = -errno;\n	}\n	return error ? error : fd;"),
    (SYSTEM, "		error = -errno;\n		close(fd);\n	}\n	return error ? error : fd;",
     "	}\n	return fd;"),
    (PASSED, "fcntl(fd, F_GETFD) == 0", "fcntl(fd, F_GETFD) >= 0"),
    (PASSED, "fcntl(fd, F_GETFD) == 0", "fcntl(fd, F_GETFD) > 0"),
    (SYSTEM, "	if (open->mtu)\n		dev->mtu = open->mtu;\n", ""),
    (SYSTEM, "		error = ifconf_set_up(name, false);\n",
     "		error = 0;\n"),
    (SYSTEM, "		error = ifconf_remove_address(name, &a);\n",
     "		return 0;\n"),
    (SYSTEM, "!error || error == -EALREADY)\n		error = take_routes(name);",
     "!error || error == -EALREADY)\n		error = 0;"),
    (SYSTEM, "	if (getifaddrs(&all) < 0)\n		return -errno;",
     "	if (getifaddrs(&all) < 0)\n		return 0;"),
    (SYSTEM, "fcntl(fd, F_DUPFD_CLOEXEC, 0)", "fcntl(fd, F_DUPFD, 0)"),
    (SYSTEM, "	dev->own = fcntl(fd, F_DUPFD_CLOEXEC, 0);\n",
     "	dev->own = fd;\n"),
    (UTUN, "fi_status & PROC_FP_SHARED", "fi_status & PROC_FP_CLEXEC"),
    (UTUN, "	if (n <= 0)\n		return -errno;\n",
     "	if (n <= 0)\n		return 0;\n"),
    (ROUTE, "error == -ESRCH ? 0 : error;	/* gone", "0;	/* gone"),
    (ROUTE, "error == -ESRCH ? 0 : error;	/* gone", "error;	/* gone"),
    (ROUTE, "i < LOOKS_MOST && n > 0; i++)", "i < 1 && n > 0; i++)"),
    (ROUTE, "return n > 0 ? -EBUSY : n;", "return 0;"),
    (ROUTE, "rtm_type)] = RTM_DELETE;", "rtm_type)] = RTM_ADD;"),
    (WATCH, "h->rtm_index != s->ifindex ||", ""),
    (WATCH, "||\n	    !(h->rtm_flags & RTF_STATIC))\n		return 0;",
     ")\n		return 0;"),
    (WATCH, "	return s->call(message, len);\n",
     "	s->call(message, len);\n	return 0;\n"),
    (WATCH, "RTF_LLINFO | ", ""),
    (WATCH, "RTF_WASCLONED | ", ""),
    (WATCH, " && errno != EINTR\n", "\n"),
    (WATCH, "n >= 0 || errno == ENOBUFS", "n >= 0"),
    (WATCH, "		most = LIMIT_EVENTS_AT_ONCE;\n", "		;\n"),
    (SYSTEM, "(2 * WIRE_ADDRESSES_MAX)", "2"),
    (SYSTEM, "error && error != -EADDRNOTAVAIL", "error"),
    (SYSTEM, "		if (d[i].result == -EPERM)\n", "		if (0)\n"),
    (SYSTEM, "	error = keep_copy(dev, fd, why);\n	if (error)",
     "	(void)keep_copy(dev, fd, why);\n	if (0)"),
    (PASSED, "STDERR_FILENO + 1", "0"),
    (LIST, "#define TRIES	5", "#define TRIES	1"),
    (LIST, "i < TRIES", "i < 100"),
    (SYSTEM, "LOCK_EX | LOCK_NB) < 0 ? errno : 0", "0) < 0 ? 0 : 0"),
    (SYSTEM, "flock(fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0", "0"),
    (SYSTEM, "error == EWOULDBLOCK", "error"),
    (SYSTEM, "	if (error)\n		close(fd);\n	if (error == EWOULD",
     "	if (error == EWOULD"),
    (SYSTEM, "O_CLOEXEC | O_NOFOLLOW", "O_CLOEXEC"),
    (SYSTEM, "O_RDWR | O_CREAT | O_CLOEXEC", "O_RDWR | O_CREAT"),
    (SYSTEM, "	if (claim >= 0)\n		close(claim);\n", ""),
    (SYSTEM, "SIGHUP, SIGINT, SIGTERM", "SIGHUP, SIGINT"),
    (SYSTEM, "fd < keep; fd++)", "fd < 0; fd++)"),
    (SYSTEM, "os_close_from(keep + 1);", ";"),
    (SYSTEM, "os_close_from(keep + 1);", "os_close_from(keep);"),
    (SYSTEM, "return setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 ||",
     "return setgid(NOBODY) < 0 || setgroups(0, NULL) < 0 ||"),
    (SYSTEM, "setgroups(0, NULL) < 0 || ", ""),
    (SYSTEM, "setgid(NOBODY) < 0 ||", ""),
    (SYSTEM, "setuid(NOBODY) < 0 ? -EPERM : 0", "0 ? -EPERM : 0"),
    (SYSTEM, "	if (geteuid() != 0)\n		return 0;\n", ""),
    (SYSTEM, "return getppid() == parent ? 0 : -ESRCH;", "return 0;"),
    (CALLS, "fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||\n	    (!w", "(!w"),
    (CALLS, "(!waits && fcntl", "(waits && fcntl"),
    (CALLS, "SO_NOSIGPIPE, &on, sizeof(on)) < 0)\n		return -errno",
     "SO_NOSIGPIPE, &on, sizeof(on)) < 0)\n		return 0"),
    (CALLS, "error = prepare(fds[1], true);", ";"),
    (CALLS, "		return close_both(fds, error);", "		return error;"),
    (CALLS, "		return close_both(fds, -errno);", "		return -errno;"),
    (CALLS, "	close(fd);\n	return error;", "	return error;"),
    (CALLS, "		fcntl(fd, F_SETFD, FD_CLOEXEC);\n", "		;\n"),
    (CALLS, ", or more wait already than it has room for,", ""),
    (LIST, "	*ret_len += SPARE;", "	*ret_len -= 1;"),
    (LIST, "		if (error != ENOMEM)\n			return -error;\n", ""),
    (LIST, "start.version == RTM_VERSION", "start.version != RTM_VERSION"),
    (HOST, "if (ifindex != w->own)", "if (1)"),
    (HOST, "return w->found != 0;", "return 0;"),
    (HOST, "i != RTAX_GATEWAY && !is_zero(at, family)", "0"),
    (HOST, "if (!w.found)", "if (0)"),
    (HOST, "	if (r < 0)\n		return r;\n	if (!w", "	if (!w"),
    (HOST, "return r == 0 ? 0 : errno == ENXIO ? -ENODEV : -errno;",
     "return 0;"),
    (LINKS, "|| !is_utun(ifm)", ""),
    (LINKS, ".up = ifm->ifm_flags & IFF_UP", ".up = true"),
    (LINKS, ".mtu = ifm->ifm_data.ifi_mtu", ".mtu = 1500"),
    (LINKS, ".ifindex = ifm->ifm_index", ".ifindex = 0"),
    (SHOWN, "rtm->rtm_index != g->ifindex ||", ""),
    (SHOWN, "if (!(rtm->rtm_flags & RTF_HOST))", "if (1)"),
    (SHOWN, "if (rtm->rtm_flags & RTF_GATEWAY && ", "if (0 && "),
    (SHOWN, "	if (r == 0)\n		r = sysctl_dump(AF_INET6",
     "	if (0)\n		r = sysctl_dump(AF_INET6"),
    (DOCTOR, "	if (ioctl(fd, CTLIOCGINFO, &info) < 0)", "	if (0)"),
    (DOCTOR, "	close(fd);\n", ""),
    (CONFINE, "	if (geteuid() != 0)", "	if (0)"),
    (CONFINE, "start it with --user 0", "make it with useradd"),
]

SURVIVES = {
    # What the kernel itself says is enough, or the standard open has no such.
    (WATCH, "from + bits / 8 < sa->sa_len &&"):
        "what follows is padding, or a length, which is below 0x80",
}


def tree(into):
    """What the backend is built from."""
    for each in ("Makefile", "daemon", "policy", "proto", "libclient", "ctl",
                 "examples", "tests"):
        if os.path.isdir(each):
            shutil.copytree(each, os.path.join(into, each))
        else:
            shutil.copy(each, into)


def build(folder, out, results):
    return subprocess.run(
        ["make", "--no-print-directory", "-f", "tests/darwin/macos.mk",
         f"OUT={out}", f"B={results}", "ARCH=x86_64", "SYSTEM=darwin",
         "WERROR=", "CFLAGS=-O1 -std=gnu11 -w", f"{results}/backend.dylib"],
        cwd=folder, capture_output=True, text=True, check=False)


def notices(folder, library, results):
    try:
        done = subprocess.run(
            ["/usr/bin/python3", "tests/darwin/backend.py", library,
             f"{results}/backend.dylib"], cwd=folder, capture_output=True,
            text=True, check=False, timeout=SECONDS,
            env={**os.environ, "BACKEND_ERRORS": "1 17"})
    except subprocess.TimeoutExpired:
        return True
    return done.returncode != 0


def main():
    out, library = (os.path.abspath(each) for each in sys.argv[1:3])
    noticed, survived = 0, []
    with tempfile.TemporaryDirectory() as folder:
        tree(folder)
        results = os.path.join(folder, "results")
        done = build(folder, out, results)
        if done.returncode or notices(folder, library, results):
            print(done.stderr, "not ok mutants: unchanged it fails")
            return 1
        for file, old, new in MUTANTS:
            path = os.path.join(folder, "daemon", file)
            with open(path, encoding="utf-8") as source:
                text = source.read()
            if text.count(old) < 1:
                print(f"not ok mutant: {file} has no {old!r}")
                survived.append(old)
                continue
            with open(path, "w", encoding="utf-8") as source:
                source.write(text.replace(old, new, 1))
            done = build(folder, out, results)
            if done.returncode:
                print(f"not ok mutant: {file}: {new!r} does not compile: "
                      f"{done.stderr[:300]}")
                survived.append(old)
            elif notices(folder, library, results):
                noticed += 1
            elif (file, old) in SURVIVES:
                print(f"survives: {file}: {old!r}: {SURVIVES[file, old]}")
            else:
                print(f"not ok mutant: {file}: {old!r} -> {new!r} is not "
                      "noticed", flush=True)
                survived.append(old)
            with open(path, "w", encoding="utf-8") as source:
                source.write(text)
    print(f"mutants: {noticed} noticed, {len(survived)} not, "
          f"{len(SURVIVES)} explained")
    return len(survived) > 0


if __name__ == "__main__":
    sys.exit(main())
