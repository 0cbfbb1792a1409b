#!/usr/bin/env python3
"""backend.py LIBRARY IMAGE...: the macOS backend's machine code against XNU,
played: LIBRARY is xnu/ and shims.c for this system, an IMAGE the backend and
standard.c for x86_64 or arm64.

Prints "ok NAME" or "not ok NAME: WHY" for each test, and a closing line.
"""
import ctypes
import os
import socket
import struct
import sys

import machine

# All that macOS has, <sys/errno.h>; or those that who asks for speed wants.
ERRORS = [int(n) for n in os.environ.get("BACKEND_ERRORS", "").split()] or \
    range(1, 107)
CALLS_MOST = 1000
AF_INET, AF_ROUTE, AF_LINK, AF_INET6, AF_SYSTEM = 2, 17, 18, 30, 32
SOCK_DGRAM, SOCK_RAW, SOL_SOCKET, SO_NOSIGPIPE = 2, 3, 0xffff, 0x1022
F_GETFL, O_NONBLOCK = 3, 4
EPERM, EMFILE, ENETUNREACH = 1, 24, 51
EAGAIN, EPROTONOSUPPORT, EBADMSG = 35, 43, 94
RTF_HOST, RTF_LLINFO, RTF_STATIC = 0x4, 0x400, 0x800
RTF_WASCLONED, RTF_IFSCOPE = 0x20000, 0x1000000
RTA_DST_GATEWAY = 3
POLLIN, ESRCH, EINTR, EIO, ENOMEM, EACCES, EBUSY = 1, 3, 4, 5, 12, 13, 16
EADDRNOTAVAIL, ENOBUFS = 49, 55
RTM_ADD, RTM_GET, RTM_NEWADDR, RTM_DELADDR, RTM_IFINFO = 1, 4, 12, 13, 14
F_SETFD, FD_CLOEXEC = 2, 1
DUMP_MS = 100                   # LIMIT_DUMP_MS
EVENTS_AT_ONCE = 16             # LIMIT_EVENTS_AT_ONCE
LISTS_MOST = 5                  # TRIES of proto/sysctl_darwin.c
CLAIM = "/var/run/tuntapd.claim"
PARENT = 77                     # shims.c
NOBODY = 0xfffffffe
UTUN_UNIT = 7
INFINITE = 0xffffffff


# --- what the requests are to be, byte for byte ------------------------------

def in4(text):
    return struct.pack("BBH4s8x", 16, AF_INET, 0, socket.inet_aton(text))


def in6(text):
    return struct.pack("BBHI16sI", 28, AF_INET6, 0, 0,
                       socket.inet_pton(socket.AF_INET6, text), 0)


def name(text):
    return text.encode().ljust(16, b"\0")


def header(kind, index, length):
    """rt_msghdr: version 5, flags UP|STATIC, addresses DST|GATEWAY|NETMASK."""
    return struct.pack("<HBBHHiiiiiiI", length, 5, kind, index, 0, 0x801, 7, 0,
                       0, 0, 0, 0) + bytes(56)


def route_message(kind, index, family, dst, mask):
    address = in4 if family == AF_INET else in6
    link = struct.pack("BBH16x", 20, AF_LINK, index)
    rest = address(dst) + link + address(mask)
    return header(kind, index, 92 + len(rest)) + rest


def give_route(b, dev, family, dst, flags):
    """As route(8) gives one to a single address; flags beside its own."""
    address = in4 if family == AF_INET else in6
    index = b.xnu.xnu_if_nametoindex(dev.encode())
    rest = address(dst) + struct.pack("BBH16x", 20, AF_LINK, index)
    message = bytearray(header(RTM_ADD, index, 92 + len(rest)) + rest)
    own, = struct.unpack_from("<I", message, 8)
    struct.pack_into("<II", message, 8, own | flags, RTA_DST_GATEWAY)
    fd = b.xnu.xnu_socket(AF_ROUTE, SOCK_RAW, 0)
    check(b.xnu.xnu_write(fd, bytes(message), len(message)) > 0,
          f"no route to {dst}")
    b.xnu.xnu_close(fd)


def standard_requests(index, control):
    """Of the standard open, in their order; of what is read only the number."""
    interface = name(f"utun{UTUN_UNIT}")
    add4 = interface + in4("10.9.0.2") * 2 + in4("255.255.255.0")
    add6 = interface + in6("fd00:9::2") + bytes(28) + \
        in6("ffff:ffff:ffff:ffff::") + struct.pack("<I", 0) + \
        struct.pack("<qqII", 0, 0, INFINITE, INFINITE)
    return [
        ("ioctl 0xc0644e03", struct.pack("<I", 0) +
         b"com.apple.net.utun_control".ljust(96, b"\0")),
        ("connect 0x20", struct.pack("<BBHII20x", 32, AF_SYSTEM, 2, control,
                                     UTUN_UNIT + 1)),
        ("getsockopt 0x20002", b"\0"),
        ("setsockopt 0x20010", struct.pack("<I", 256)),
        ("ioctl 0xc0206933", interface + bytes(16)),
        ("ioctl 0xc0206933", interface + bytes(16)),
        ("ioctl 0x80206934", interface + struct.pack("<I12x", 1420)),
        ("ioctl 0x8040691a", add4),
        ("ioctl 0x8080691a", add6),
        ("write 0x90", route_message(1, index, AF_INET, "10.9.0.0",
                                     "255.255.255.0")),
        ("write 0x90", route_message(1, index, AF_INET, "10.20.0.0",
                                     "255.255.0.0")),
        ("write 0xa8", route_message(1, index, AF_INET6, "fd00:20::",
                                     "ffff:ffff:ffff::")),
    ]


# --- both CPUs ---------------------------------------------------------------

class Imports:
    """What the images call: (function, fixed arguments, variable ones)."""

    def __init__(self, library):
        c = ctypes.CDLL(None)
        self.guard = ctypes.c_uint64(0x1234567890abcdef)
        self.data = {"___stack_chk_guard": ctypes.addressof(self.guard),
                     "dyld_stub_binder": 0}
        self.functions = {}
        for symbol, count in (
                ("memcpy", 3), ("memcmp", 3), ("memchr", 3), ("malloc", 1),
                ("calloc", 2), ("realloc", 2), ("free", 1), ("strchr", 2),
                ("strcmp", 2), ("strlen", 1), ("strncmp", 3), ("strnlen", 2),
                ("strtoul", 3),
                ("bzero", 2), ("__memcpy_chk", 4), ("__memset_chk", 4),
                ("getpid", 0)):
            self.functions["_" + symbol] = (getattr(c, symbol), count, 0)
        self.functions["___bzero"] = (c.bzero, 2, 0)
        # Of one: who compares is the image's, and not called.
        self.functions["_qsort"] = (c.qsort, 4, 0)
        self.functions["_snprintf"] = (c.snprintf, 3, 0)
        self.functions["_vsnprintf"] = (c.vsnprintf, 4, 0)
        for symbol, count, variable in (
                ("error", 0, 0), ("ioctl", 2, 1), ("write", 3, 0),
                ("connect", 3, 0), ("getsockopt", 5, 0),
                ("setsockopt", 5, 0), ("fcntl", 2, 1),
                ("strerror", 1, 0), ("inet_pton", 3, 0), ("inet_ntop", 4, 0),
                ("usleep", 1, 0), ("getifaddrs", 1, 0), ("freeifaddrs", 1, 0),
                ("getdtablesize", 0, 0), ("clock_gettime", 2, 0),
                ("open", 2, 1), ("signal", 2, 0), ("getppid", 0, 0)):
            self.functions["_" + symbol] = (
                getattr(library, "shim_" + symbol), count, variable)
        self.functions["___error"] = self.functions.pop("_error")
        for symbol in ("support_note", "log_line"):
            self.functions["_" + symbol] = (library.shim_nothing, 0, 0)
        for symbol, count in (
                ("socket", 3), ("sysctl", 6), ("close", 1), ("read", 3),
                ("sendmsg", 3), ("recvmsg", 3), ("socketpair", 4),
                ("pipe", 1), ("flock", 2), ("setuid", 1), ("setgid", 1),
                ("setgroups", 2), ("geteuid", 0), ("proc_pidfdinfo", 5),
                ("shutdown", 2),
                ("if_nametoindex", 1), ("if_indextoname", 2)):
            self.functions["_" + symbol] = (
                getattr(library, "xnu_" + symbol), count, 0)


class Failed(Exception):
    """A test has, and why."""


def check(holds, why):
    if not holds:
        raise Failed(why)


class Backend:
    """One image, and the kernel that it meets."""

    def __init__(self, library, path):
        self.xnu = library
        for function in ("xnu_calls", "xnu_state", "xnu_leaks",
                         "xnu_error_name", "xnu_calls", "xnu_who",
                         "shim_noted"):
            getattr(library, function).restype = ctypes.c_char_p
        kind = machine.Native if machine.Image(path).cpu == machine.X86_64 \
            else machine.Emulated
        self.code = kind(path, Imports(library))

    def call(self, what, *args):
        return ctypes.c_int32(
            self.code.call(f"standard_{what}", *args) & 0xffffffff).value

    def why(self):
        return ctypes.string_at(self.code.call("standard_why")).decode()

    def leaks(self):
        return self.xnu.xnu_leaks().decode().splitlines()

    def told(self):
        return ctypes.string_at(self.code.call("standard_told")) \
            .decode().splitlines()

    def begin(self):
        self.xnu.xnu_reset()
        self.xnu.shim_forget()
        self.xnu.shim_pass(DUMP_MS)
        check(self.call("start") == 0, f"os_start: {self.why()}")

    def end(self):
        """Nothing is left; a detach has had its time."""
        self.call("end")
        self.xnu.xnu_settle()
        left = self.leaks()
        check(not left, f"left: {left}")

    def succeed(self, what, *args):
        error = self.call(what, *args)
        check(error == 0, f"{what}: {error}, {self.why()}")


def configured(leaks, kinds=("address", "route")):
    """What of them is an address or a route."""
    return [line for line in leaks if line.split()[0] in kinds]


FLAGS_DOWN, FLAGS_UP = 0x8050, 0x8051


def flags_asked_for(b):
    """Each time that flags were set: UP is all that is changed."""
    return [struct.unpack_from("<H", bytes.fromhex(line.rsplit(" ", 1)[1]),
                               16)[0]
            for line in b.xnu.shim_noted().decode().splitlines()
            if line.startswith("ioctl 0x80206910")]


def opens(b):
    """Each request has the bytes that it should."""
    b.begin()
    b.succeed("open")
    index = b.xnu.xnu_if_nametoindex(f"utun{UTUN_UNIT}".encode())
    noted = [line.rsplit(" ", 1) for line in
             b.xnu.shim_noted().decode().splitlines()]
    control = struct.unpack_from("<I", bytes.fromhex(noted[1][1]), 4)[0]
    want = [(what, data.hex()) for what, data in
            standard_requests(index, control)]
    got = [tuple(each) for each in noted]
    for i, (one, other) in enumerate(zip(want, got)):
        check(one == other, f"request {i}: {other}, not {one}")
    check(len(want) == len(got), f"{len(got)} requests, not {len(want)}")
    check(ctypes.c_uint32(b.code.call("standard_mtu")).value == 1420, "MTU")
    b.end()


def closes_on_exec(b):
    """None of its fds is handed to what it would execute."""
    b.begin()
    b.succeed("open")
    fds = [int(line.split()[1].strip(",")) for line in b.leaks()
           if line.startswith("fd ")]
    check(len(fds) == 5, f"{fds}")
    for fd in fds:
        check(b.xnu.xnu_closes_on_exec(fd), f"fd {fd} does not")
    b.end()


def closes_what_it_was_started_with(b):
    """What closes on exec was opened after that, by a library."""
    b.xnu.xnu_reset()
    started_with = b.xnu.xnu_socket(AF_INET, SOCK_DGRAM, 0)
    librarys = b.xnu.xnu_socket(AF_INET, SOCK_DGRAM, 0)
    b.xnu.xnu_fcntl(librarys, F_SETFD, FD_CLOEXEC)
    b.succeed("begin")
    check(b.xnu.xnu_close(started_with) == -1, "it is open")
    check(b.xnu.xnu_close(librarys) == 0, "a library's is closed, too")
    check("fcntl(2," not in b.xnu.xnu_calls().decode(), "a standard one")


def hears_nothing_where_it_only_speaks(b):
    """The routing socket that routes are told by fills with nobody's words."""
    b.begin()
    fds = [int(line.split()[1].strip(",")) for line in b.leaks()
           if line.endswith(f"family {AF_ROUTE}")]
    check(len(fds) == 1, f"{fds}")
    b.succeed("open")
    room = ctypes.create_string_buffer(512)
    check(b.xnu.xnu_read(fds[0], room, len(room)) == 0, "there is something")
    b.end()


def does_not_start_without(b):
    """Each error at each call of its start: told, and nothing is open."""
    for at in range(1, CALLS_MOST):
        for error in ERRORS:
            b.xnu.xnu_reset()
            b.xnu.xnu_fail_call(at, error)
            result = b.call("start")
            if b.xnu.xnu_failures_left():
                b.call("end")
                return
            check(result < 0 and b.why(), f"call {at}, error {error}: started")
            check(not b.leaks(), f"call {at}, error {error}: {b.leaks()}")
    raise Failed("it never ends")


def changes(b):
    """To other addresses and routes, down, up and back: as it was."""
    b.begin()
    b.succeed("open")
    before = sorted(b.leaks())
    for step in range(4):
        b.succeed("change", step)
        flags = FLAGS_DOWN if step == 1 else FLAGS_UP
        check(any(f"flags {flags:#x}" in line for line in b.leaks()),
              f"step {step}: {b.leaks()}")
        gateway = [line for line in b.leaks() if "10.21.0.0/16" in line]
        check(all("10.9.1.9" in line for line in gateway) and
              (len(gateway) == 1) == (step in (0, 2)),
              f"step {step}: {gateway}")
        # An IPv6 address's prefix goes later; one that is back before that
        # gets a route of its interface alone.
        b.xnu.xnu_settle()
    after = sorted(b.leaks())
    check(before == after, f"{before} became {after}")
    check(flags_asked_for(b) == [FLAGS_DOWN, FLAGS_UP],
          f"{flags_asked_for(b)}")
    b.end()


def knows_whether_a_route_is_gone(b):
    """Told that there is none it looks: the change is not done, or it is."""
    b.begin()
    b.succeed("open")
    before = sorted(b.leaks())
    b.xnu.xnu_fail(b"RTM_DELETE", 1, ESRCH)
    error = b.call("change", 0)
    check(error == -EBUSY and "fd00:20::" in b.why(), f"{error}: {b.why()}")
    check(sorted(b.leaks()) == before, f"{before} became {b.leaks()}")
    b.xnu.xnu_fail(b"RTM_DELETE", 1, ESRCH)
    b.xnu.xnu_fail(b"sysctl", 3, EIO)      # the look behind it
    error = b.call("change", 0)
    check(error == -EIO, f"where it cannot look: {error}")
    check(sorted(b.leaks()) == before, f"{before} became {b.leaks()}")
    b.xnu.xnu_fail(b"sysctl", 1, ESRCH)
    error = b.call("change", 0)
    check(error == -EBUSY, f"it cannot look at all: {error}")
    check(sorted(b.leaks()) == before, f"{before} became {b.leaks()}")
    b.succeed("change", 0)
    b.end()


def leaves_routes_of_single_hosts(b):
    """That of an administrator is none of a lease's to one address."""
    b.begin()
    b.succeed("open")
    give_route(b, "utun7", AF_INET, "10.20.0.9", RTF_HOST)
    before = sorted(b.leaks())
    error = b.call("remove_single")
    check(error == -ESRCH, f"{error}")
    check(sorted(b.leaks()) == before, f"{before} became {b.leaks()}")
    check("RTM_DELETE" not in b.xnu.xnu_calls().decode(), "it was asked to go")
    b.succeed("take_down")
    b.end()


def restores(b):
    """What somebody's down took away comes back."""
    b.begin()
    b.succeed("open")
    before = sorted(b.leaks())
    b.succeed("down_by_others")
    check(sorted(b.leaks()) != before, "down took nothing")
    b.succeed("restore")
    check(sorted(b.leaks()) == before, f"{before} became {b.leaks()}")
    b.succeed("address_by_others")
    check(sorted(b.leaks()) != before, "no address went")
    b.succeed("restore")
    check(sorted(b.leaks()) == before, f"{before} became {b.leaks()}")
    b.end()


def routes_all_or_none(b):
    """Of several routes that are added one is the host's: none is there."""
    b.begin()
    b.succeed("open")
    before = sorted(b.leaks())
    b.xnu.xnu_fail(b"RTM_ADD", 3, 17)
    error = b.call("more_routes")
    check(error < 0 and "route" in b.why(), f"{error}: {b.why()}")
    check(sorted(b.leaks()) == before, f"{before} became {b.leaks()}")
    b.end()


def leaves_routes_of_others(b):
    """What an administrator gave to another interface stays there."""
    b.begin()
    b.succeed("open")
    b.succeed("route_by_others")
    theirs = [line for line in b.leaks() if "dev en0" in line]
    check(theirs, "there is none")
    b.succeed("change", 0)
    check(theirs == [line for line in b.leaks() if "dev en0" in line],
          f"{theirs} became {b.leaks()}")
    b.call("end")


def is_taken_down(b):
    """Its holder keeps the fd: it is down, and has neither address nor route."""
    b.begin()
    b.succeed("open")
    b.succeed("more_routes")
    b.succeed("address_by_others")
    b.succeed("take_down")
    left = configured(b.leaks())
    check(not left, f"left: {left}")
    check(flags_asked_for(b) == [FLAGS_DOWN], f"{flags_asked_for(b)}")
    asked = [int(line.split("flags ")[1].split(",")[0], 16)
             for line in b.xnu.xnu_calls().decode().splitlines()
             if "RTM_DELETE" in line]
    check(asked and all(flags & RTF_STATIC for flags in asked),
          "what the kernel itself makes was asked to go")
    b.end()


def loses_each_static_route(b):
    """Those of single hosts and of bound sockets, too; en0's stay."""
    for flags in (RTF_HOST, RTF_IFSCOPE, RTF_HOST | RTF_IFSCOPE):
        b.begin()
        b.succeed("open")
        for family, dst in ((AF_INET, "10.20.0.9"), (AF_INET6, "fd00:20::9")):
            give_route(b, "utun7", family, dst, flags)
            give_route(b, "en0", family, dst.replace("20", "21"), flags)
        b.succeed("take_down")
        left = configured(b.leaks())
        check(len(left) == 2 and all("en0" in line for line in left),
              f"flags {flags:#x}: {left}")
        b.call("end")


def goes_on_where_one_is_gone(b):
    """Each of them all the same; and any other error is told."""
    for call, gone in (("SIOCDIFADDR", EADDRNOTAVAIL), ("RTM_DELETE", ESRCH),
                       ("SIOCDIFADDR_IN6", EADDRNOTAVAIL)):
        b.begin()
        b.succeed("open")
        b.xnu.xnu_fail(call.encode(), 1, EIO)
        error = b.call("take_down")
        check(error == -EIO, f"{call}: {error}")
        b.xnu.xnu_fail(call.encode(), 1, gone)
        b.succeed("take_down")
        check(not b.xnu.xnu_failures_left(), f"{call} was not called")
        left = configured(b.leaks())
        check(not left, f"{call}: left: {left}")
        b.end()


def leaves_routes_of_others_when_taken_down(b):
    b.begin()
    b.succeed("open")
    b.succeed("route_by_others")
    b.succeed("take_down")
    theirs = [line for line in b.leaks() if "dev en0" in line]
    check(len(theirs) == 1, f"{b.leaks()}")
    lost = [line for line in b.leaks() if line.startswith("lost")]
    check(not lost, f"{lost}")
    b.call("end")


def is_tried_again_to_take_it_down(b):
    """Each error at each call of it: told, or all is done; then it goes."""
    for at in range(1, CALLS_MOST):
        for error in ERRORS:
            b.begin()
            b.succeed("open")
            b.xnu.xnu_fail_call(at, error)
            result = b.call("take_down")
            if b.xnu.xnu_failures_left():
                b.end()
                return
            left = configured(b.leaks())
            check(result < 0 or not left,
                  f"call {at}, error {error}: 0, but left: {left}")
            check(result != -EPERM, f"call {at}: it is no other device")
            b.succeed("take_down")
            left = configured(b.leaks())
            check(not left, f"call {at}, error {error}: left: {left}")
            b.end()
    raise Failed("it never ends")


def send_fd(b, sock, fd):
    byte = ctypes.create_string_buffer(b"x", 1)
    iov = struct.pack("<QQ", ctypes.addressof(byte), 1)
    control = struct.pack("<IIIi", 16, SOL_SOCKET, 1, fd)
    kept = [ctypes.create_string_buffer(x, len(x)) for x in (iov, control)]
    message = struct.pack("<QIxxxxQixxxxQIi", 0, 0, ctypes.addressof(kept[0]),
                          1, ctypes.addressof(kept[1]), 16, 0)
    check(b.xnu.xnu_sendmsg(sock, message, 0) == 1, "nothing was sent")


def knows_who_has_it(b):
    """A copy of another's, also one on its way, is seen; and an error is."""
    b.begin()
    b.succeed("open")
    check(b.call("shared") == 1, "the client has it, and is not seen")
    b.xnu.xnu_fail(b"proc_pidfdinfo", 1, 3)
    check(b.call("shared") == -3, "an error is not told")
    ends = (ctypes.c_int * 2)()
    b.xnu.xnu_socketpair(1, 1, 0, ends)
    send_fd(b, ends[0], b.call("fd"))
    b.call("let_go")
    check(b.call("shared") == 1, "it is on its way, and not seen")
    for end in ends:
        b.xnu.xnu_close(end)
    check(b.call("shared") == 0, "somebody is seen, and nobody has it")
    check(b.xnu.xnu_if_nametoindex(f"utun{UTUN_UNIT}".encode()),
          "it went with the client's fd")
    b.end()


def never_touches_anothers(b):
    """Another's utun of the same unit has the same name and index."""
    b.begin()
    b.succeed("open")
    index = b.xnu.xnu_if_nametoindex(f"utun{UTUN_UNIT}".encode())
    b.call("let_go")
    check(b.call("taken_by_others") < 0, "it is there, and can be taken")
    b.succeed("take_down")
    b.succeed("close_own")
    b.xnu.xnu_settle()
    check(b.call("taken_by_others") == index, "it has another index")
    before = b.leaks()
    check(configured(before), f"it has no address: {before}")
    b.succeed("take_down")
    check(before == b.leaks(), f"{before} became {b.leaks()}")
    b.end()


def is_busy_for_a_moment(b):
    """A unit that is being left is tried again."""
    b.begin()
    b.succeed("open")
    b.xnu.xnu_detach_takes(20)
    b.call("end")
    check(b.call("start") == 0, b.why())
    b.succeed("open")
    b.end()


def is_refused(b):
    """What macOS has not is refused in words, and nothing is left."""
    for which, word in enumerate(("TAP", "queue", "virtio_net_hdr",
                                  "txqueuelen", "utun", "source-guard")):
        b.begin()
        error = b.call("refused", which)
        check(error < 0, f"{word}: {error}")
        check(word in b.why(), f"{word}: {b.why()}")
        b.end()


def receives_no_fds(b):
    """A client's fds are refused, and not one is among the daemon's."""
    b.begin()
    groups, client = (ctypes.c_uint32 * 1)(20), ctypes.c_int()
    daemon = b.xnu.xnu_accepted(501, groups, 1, ctypes.byref(client))
    sent = b.xnu.xnu_socket(AF_INET, SOCK_DGRAM, 0)
    error = b.call("request", client.value, daemon, -1)
    check(error == -EPROTONOSUPPORT, f"bytes alone: {error}")
    error = b.call("request", client.value, daemon, sent)
    check(error == -EBADMSG, f"with an fd: {error}")
    for fd in (sent, client.value, daemon):
        b.xnu.xnu_close(fd)
    b.end()


def wants_root(b):
    b.xnu.xnu_reset()
    b.xnu.xnu_euid(501)
    b.succeed("start")
    error = b.call("open")
    check(error < 0 and "root" in b.why(), f"{error}: {b.why()}")
    b.end()


def knows_its_peer(b):
    """By what the kernel noted when it connected."""
    b.begin()
    groups = (ctypes.c_uint32 * 3)(20, 12, 61)
    client = ctypes.c_int()
    sock = b.xnu.xnu_accepted(501, groups, 3, ctypes.byref(client))
    check(b.call("peer", sock, 501, 20, 3) == 0, "it is somebody else")
    check(b.call("peer", sock, 502, 20, 3) == 1, "it is anybody")
    b.xnu.xnu_fail(b"LOCAL_PEERCRED", 1, 57)
    check(b.call("peer", sock, 501, 20, 3) < 0, "it is known all the same")
    b.xnu.xnu_close(client)
    b.xnu.xnu_close(sock)
    b.end()


HOST = [
    "link lo0 index 1 up mtu 16384 type 24 layer 0",
    "link en0 index 2 up mtu 1500 type 6 layer 0",
    "address 127.0.0.1/8 index 1",
    "address ::1/128 index 1",
    "address 192.168.1.10/24 index 2",
    "address 2001:db8:1::10/64 index 2",
    "route 127.0.0.0/8 to link index 1 via - direct",
    "route 192.168.1.0/24 to link index 2 via - direct",
    "route 0.0.0.0/0 to link index 2 via 192.168.1.1/32",
    "route ::1/128 to link index 1 via - direct",
    "route 2001:db8:1::10/128 to link index 1 via - direct",
    "route 2001:db8:1::/64 to link index 2 via - direct",
    "route ::/0 to link index 2 via 2001:db8:1::1/128",
]
DEVICE = [
    "link utun7 index 3 up mtu 1420 type 1 layer 3",
    "address 10.9.0.2/24 index 3",
    "address fd00:9::2/64 index 3",
    "route 10.9.0.2/32 to link index 3 via - direct",
    "route 10.9.0.0/24 to link index 3 via - direct",
    "route 10.20.0.0/16 to link index 3 via - direct",
    "route fd00:9::2/128 to link index 1 via - direct",
    "route fd00:9::/64 to link index 3 via - direct",
    "route fd00:20::/48 to link index 3 via - direct",
]


SHOWN = sorted(line.split()[1] for line in DEVICE
               if line.startswith("route") and "index 3" in line)


def tells_what_the_host_has(b):
    """Each link before what is its."""
    b.begin()
    b.succeed("open")
    b.succeed("tells")
    told = b.told()
    check(told[0] == "all" and told[-1] == "end", f"{told}")
    check(sorted(told[1:-1]) == sorted(HOST + DEVICE),
          f"{sorted(set(told) ^ set(HOST + DEVICE))}")
    links = set()
    for line in told[1:-1]:
        index = line.split("index ")[1].split()[0]
        if line.startswith("link"):
            links.add(index)
        check(index in links, f"{line}: too early")
    b.end()


def tells_what_is_down(b):
    b.begin()
    b.succeed("open")
    b.succeed("down_by_others")
    b.succeed("tells")
    check(DEVICE[0].replace(" up", "") in b.told(), f"{b.told()}")
    b.end()


def tells_routes_alone(b):
    """None of bound sockets, of neighbours, and none that was cloned."""
    b.begin()
    b.succeed("open")
    for host, flags in (("10.77.0.1", RTF_IFSCOPE), ("10.77.0.2", RTF_LLINFO),
                        ("10.77.0.3", RTF_WASCLONED), ("10.78.0.1", 0)):
        give_route(b, "en0", AF_INET, host, RTF_HOST | flags)
        check(any(host in line for line in b.leaks()), f"{b.leaks()}")
    b.succeed("tells")
    check(not any("10.77" in line for line in b.told()), f"{b.told()}")
    check(any("10.78.0.1/32" in line for line in b.told()), f"{b.told()}")
    b.call("end")


def tells_or_says_that_it_cannot(b):
    """Each error at each call: all is told to its end, or that it is not."""
    for at in range(1, CALLS_MOST):
        for error in ERRORS:
            b.begin()
            b.succeed("open")
            b.xnu.xnu_fail_call(at, error)
            result = b.call("tells")
            if b.xnu.xnu_failures_left():
                b.end()
                return
            whole = sorted(b.told()) == sorted(["all", "end"] + HOST + DEVICE)
            check((result == 0) == whole,
                  f"call {at}, error {error}: {result}, {b.told()}")
            check(result == 0 or b.why(), f"call {at}, error {error}: no word")
            b.end()
    raise Failed("it never ends")


class Stranger:
    """Who has no rights, and a routing socket all the same."""

    def __init__(self, b):
        self.xnu = b.xnu
        self.xnu.xnu_euid(501)
        self.fd = self.xnu.xnu_socket(AF_ROUTE, SOCK_RAW, 0)
        self.xnu.xnu_euid(0)

    def says(self, kind):
        message = bytearray(route_message(kind, 2, AF_INET, "192.168.1.0",
                                          "255.255.255.0"))
        return self.xnu.xnu_write(self.fd, bytes(message), len(message))

    def close(self):
        self.xnu.xnu_close(self.fd)


def dumps(b):
    """How often all was asked for."""
    return b.xnu.xnu_calls().decode().count("sysctl(net.route, 0, 3)")


def readable(b):
    """Would the loop be told of it again?"""
    poll = ctypes.create_string_buffer(
        struct.pack("<iHH", b.call("watch_fd"), POLLIN, 0), 8)
    return b.xnu.xnu_poll(poll, 1, 0) != 0


def says_that_it_cannot_read(b):
    b.begin()
    b.succeed("mirror")
    b.xnu.xnu_fail(b"read", 1, EIO)
    check(b.call("update") == 0, "it is blind for good")
    check(b.call("missed") == 1, "what it missed is not made whole")
    b.end()


def reads_on_behind_what_is_no_fault(b):
    """A signal, and that there was no room: all is asked for anyway."""
    for error in (EINTR, ENOBUFS):
        b.begin()
        b.succeed("mirror")
        stranger = Stranger(b)
        stranger.says(RTM_GET)
        b.xnu.xnu_fail(b"read", 1, error)
        b.succeed("update")
        check(b.call("missed") == 0, f"{error} is a fault")
        check(readable(b) == (error == EINTR), f"{error}")
        stranger.close()
        b.end()


def reads_little_before_it_decides(b):
    """What the messages say is nothing to it."""
    b.begin()
    b.succeed("mirror")
    stranger = Stranger(b)
    for _ in range(100):
        stranger.says(RTM_GET)
    b.xnu.xnu_forget_calls()
    b.succeed("update")
    n = b.xnu.xnu_calls().decode().count("read(")
    check(0 < n <= EVENTS_AT_ONCE, f"{n} messages")
    while readable(b):
        b.call("follow")
    stranger.close()
    b.end()


def lists_what_grows_meanwhile(b):
    """The list is longer than it was said to be: not for ever."""
    b.begin()
    b.succeed("open")
    b.xnu.xnu_fail(b"sysctl", 3, ENOMEM)   # behind the one of getifaddrs(3)
    b.succeed("tells")
    b.end()
    b.begin()
    for i in range(LISTS_MOST):
        b.xnu.xnu_fail(b"sysctl", 2 * i + 3, ENOMEM)
    error = b.call("tells")
    check(error == -EBUSY, f"{error}")
    check(not b.xnu.xnu_failures_left(), "it was not tried so often")
    b.end()


def is_not_kept_busy_by_anybody(b):
    """Whoever asks for a route, or is refused, has everybody told."""
    b.begin()
    b.succeed("open")
    b.succeed("mirror")
    stranger = Stranger(b)
    for kind in (RTM_GET, RTM_ADD, RTM_NEWADDR, RTM_DELADDR, RTM_IFINFO):
        b.xnu.shim_pass(DUMP_MS)
        before = dumps(b)
        for _ in range(20):
            stranger.says(kind)
            error = b.call("follow")
            check(error in (0, -EAGAIN), f"{kind}: {error}")
            check(not readable(b), f"{kind}: it is not read")
        check(dumps(b) - before == 1, f"{kind}: {dumps(b) - before} dumps")
        check(b.call("has_device") and b.call("has_address"),
              f"{kind} is believed")
    check(b.call("missed") == 0, "devices were made whole again for it")
    stranger.close()
    b.end()


def hears_beside_a_stranger(b):
    """Who fills its socket keeps nothing from it."""
    b.begin()
    b.succeed("open")
    b.succeed("mirror")
    stranger = Stranger(b)
    b.xnu.shim_pass(DUMP_MS)
    b.succeed("follow")
    for _ in range(100):
        stranger.says(RTM_GET)
    b.succeed("address_by_others")
    check(b.call("follow") == -EAGAIN, "it does not wait")
    check(b.call("has_address"), "it knows before it looks")
    b.xnu.shim_pass(DUMP_MS)
    b.succeed("follow")
    check(not b.call("has_address"), "it has not heard")
    stranger.close()
    b.end()


def decides_by_what_is_now(b):
    """Of an interface that comes or goes there is no message."""
    b.begin()
    b.succeed("mirror")
    b.succeed("bare")
    b.succeed("update")
    check(b.call("has_device"), "it has not come")
    b.call("close")
    b.succeed("update")
    check(not b.call("has_device"), "it has not gone")
    check(b.call("deleted"), "it may be somewhere else")
    b.end()


def stays_root(b):
    """Without a user of its own; and nobody else can be it."""
    b.begin()
    check(b.call("no_user") < 0 and "--user 0" in b.why() and
          "useradd" not in b.why(), b.why())
    b.succeed("confine")
    check(who(b).startswith("uid 0 0 0"), who(b))
    b.xnu.xnu_euid(501)
    check(b.call("confine") < 0 and "sudo" in b.why(), b.why())
    b.end()


def claims_once(b):
    """A second daemon is refused, and one that comes after it is not."""
    b.begin()
    b.succeed("claim")
    check(all(b.xnu.xnu_closes_on_exec(fd) for fd in fds_of(b)), "at exec")
    error = b.call("claim")
    check(error < 0 and "another tuntapd" in b.why(), f"{error}: {b.why()}")
    b.succeed("unclaim")
    b.succeed("claim")
    b.succeed("unclaim")
    for call, error in (("open", 5), ("flock", 45)):
        b.xnu.xnu_fail(call.encode(), 1, error)
        check(b.call("claim") < 0 and CLAIM in b.why() and
              "another" not in b.why(), b.why())
    b.xnu.xnu_euid(501)
    check(b.call("claim") < 0 and "EACCES" in b.why(), b.why())
    b.end()


def claims_no_link(b):
    """Whoever could put one there would choose the file."""
    b.begin()
    b.xnu.xnu_symlink(CLAIM.encode())
    check(b.call("claim") < 0 and "ELOOP" in b.why(), b.why())
    b.end()


def fds_of(b):
    return [int(line.split()[1].strip(",")) for line in b.leaks()
            if line.startswith("fd ")]


def who(b):
    return b.xnu.xnu_who().decode()


def becomes_nobody(b):
    """A child without rights: uid, groups, all fds but one, no signals."""
    b.begin()
    b.xnu.xnu_groups(0, (ctypes.c_uint32 * 2)(20, 80), 2)
    keep = b.xnu.xnu_socket(AF_INET, SOCK_DGRAM, 0)
    b.xnu.xnu_socket(AF_INET, SOCK_DGRAM, 0)
    b.succeed("child", keep)
    nobody = f"{NOBODY} {NOBODY} {NOBODY}"
    check(who(b) == f"uid {nobody} gid {nobody} groups {NOBODY}", who(b))
    check(fds_of(b) == [keep], f"{fds_of(b)}")
    check(b.xnu.xnu_setuid(0) == -1, "it is root again")
    ignored = [line.split()[1] for line in b.xnu.shim_noted().decode()
               .splitlines() if line.startswith("ignore")]
    check(ignored == ["0x1", "0x2", "0xf"], f"{ignored}")
    b.xnu.xnu_close(keep)
    b.end()


def is_no_child_with_rights(b):
    """What cannot be given up is told."""
    for call in ("setgroups", "setgid", "setuid"):
        b.begin()
        b.xnu.xnu_fail(call.encode(), 1, EPERM)
        check(b.call("child", 3) < 0, f"{call} is not told")
        b.end()
    b.xnu.xnu_reset()
    b.xnu.xnu_euid(501)
    check(b.call("child", 3) == 0, "who has no rights is refused")
    b.xnu.xnu_reset()


def keeps_children(b):
    """Its user, and the one fd; not when its parent has ended."""
    b.begin()
    keep = b.xnu.xnu_socket(AF_INET, SOCK_DGRAM, 0)
    check(b.call("keeper", keep, PARENT + 1) < 0, "it has no parent")
    check(b.call("keeper", keep, PARENT) == 0, "its parent is there")
    check(who(b).startswith("uid 0 0 0"), who(b))
    check(fds_of(b) == [keep], f"{fds_of(b)}")
    b.xnu.xnu_close(keep)
    b.end()


def option(b, fd, level, name):
    value, size = ctypes.c_uint32(), ctypes.c_uint32(4)
    check(b.xnu.xnu_getsockopt(fd, level, name, ctypes.byref(value),
                               ctypes.byref(size)) == 0, "getsockopt")
    return value.value


def has_sockets_that_close(b):
    """Close-on-exec, without SIGPIPE; one waits if it was asked to."""
    for call, n in (("pair", 2), ("pipe", 2), ("socket", 1)):
        for waits in (0, 1):
            b.begin()
            before = fds_of(b)
            pair = (ctypes.c_int * 2)()
            result = b.call(call, waits if n == 1 else
                            ctypes.addressof(pair))
            fds = [result] if n == 1 else list(pair)
            check(result >= 0 and sorted(fds) == sorted(
                set(fds_of(b)) - set(before)), f"{call}: {result}, {fds}")
            for fd in fds:
                check(b.xnu.xnu_closes_on_exec(fd), f"{call}: {fd} stays")
                check(call == "pipe" or
                      option(b, fd, SOL_SOCKET, SO_NOSIGPIPE),
                      f"{call}: {fd} raises SIGPIPE")
                blocks = not b.xnu.xnu_fcntl(fd, F_GETFL, 0) & O_NONBLOCK
                check(blocks == (n == 2 or waits == 1), f"{call}: {fd} waits")
                b.xnu.xnu_close(fd)
            b.end()


def has_sockets_or_none(b):
    """Each error at each call: no fd is left."""
    pair = (ctypes.c_int * 2)()
    for call, argument in (("pair", ctypes.addressof(pair)), ("socket", 0),
                           ("pipe", ctypes.addressof(pair))):
        for at in range(1, CALLS_MOST):
            b.begin()
            before = fds_of(b)
            b.xnu.xnu_fail_call(at, EMFILE)
            result = b.call(call, argument)
            if b.xnu.xnu_failures_left():
                break
            check(result < 0, f"{call}: call {at} is not told")
            check(fds_of(b) == before, f"{call}: call {at}: {fds_of(b)}")
            b.end()
        b.xnu.xnu_reset()


def receives_what_closes(b):
    """An fd that comes is not handed to what is executed."""
    b.begin()
    ends = (ctypes.c_int * 2)()
    b.xnu.xnu_socketpair(1, 1, 0, ends)
    sent = b.xnu.xnu_socket(AF_INET, SOCK_DGRAM, 0)
    send_fd(b, ends[0], sent)
    fd = b.call("receive", ends[1])
    check(fd >= 0 and fd != sent, f"{fd}")
    check(b.xnu.xnu_closes_on_exec(fd), "it stays open")
    for each in (fd, sent, ends[0], ends[1]):
        b.xnu.xnu_close(each)
    b.end()


def says_both_of_refused(b):
    """ECONNREFUSED: unp_connect(), where sonewconn() finds no room."""
    words = ctypes.string_at(b.code.call("standard_refusal")).decode()
    check("nobody listens" in words and "room" in words, words)


def protects(b):
    """A socket of the program goes by the host's own default route."""
    b.begin()
    b.succeed("open")
    own = b.xnu.xnu_if_nametoindex(b"utun7")
    root = b.xnu.xnu_socket(AF_ROUTE, SOCK_RAW, 0)
    half = route_message(RTM_ADD, own, AF_INET, "0.0.0.0", "128.0.0.0")
    check(b.xnu.xnu_write(root, half, len(half)) > 0, "no half")
    b.xnu.xnu_close(root)
    for family, domain in ((4, AF_INET), (6, AF_INET6)):
        sock = b.xnu.xnu_socket(domain, SOCK_DGRAM, 0)
        check(b.call("protect", sock, family, 2) == -ENETUNREACH,
              "there is another")
        check(b.xnu.xnu_bound_if(sock) == 0, "it is bound")
        b.succeed("protect", sock, family, own)
        check(b.xnu.xnu_bound_if(sock) == 2, f"{b.xnu.xnu_bound_if(sock)}")
        b.xnu.xnu_close(sock)
        for at in range(1, CALLS_MOST):
            sock = b.xnu.xnu_socket(domain, SOCK_DGRAM, 0)
            b.xnu.xnu_fail_call(at, EIO)
            result = b.call("protect", sock, family, own)
            left = b.xnu.xnu_failures_left()
            check(result == (0 if left else -EIO), f"call {at}: {result}")
            check((result == 0) == (b.xnu.xnu_bound_if(sock) == 2),
                  f"call {at}: {b.xnu.xnu_bound_if(sock)}")
            if left:
                break
            b.xnu.xnu_close(sock)
        b.xnu.xnu_reset()
        b.begin()
        b.succeed("open")
    b.end()


def shows(b):
    """tuntapctl: devices, their routes, and whether there is utun."""
    b.begin()
    b.succeed("open")
    b.succeed("links")
    check(b.told() == ["link 3 up mtu 1420"], f"{b.told()}")
    b.succeed("routes")
    check(sorted(b.told()) == SHOWN, f"{b.told()}")
    b.succeed("change", 0)
    b.succeed("routes")
    check("10.21.0.0/16 via 10.9.1.9/32" in b.told(), f"{b.told()}")
    b.succeed("down_by_others")
    b.succeed("links")
    check(b.told() == ["link 3 mtu 1380"], f"{b.told()}")
    for what in ("links", "routes"):
        b.xnu.xnu_fail(b"sysctl", 2, EIO)
        check(b.call(what) == -EIO, f"{what} are all the same")
    before = fds_of(b)
    check(b.call("doctor") == 0, "there is utun")
    b.xnu.xnu_fail(b"ioctl", 1, 2)
    check(b.call("doctor") == 1, "there is none")
    check(fds_of(b) == before, f"{fds_of(b)}")
    b.end()


def state(b):
    return sorted(configured(b.leaks(), ("address", "route", "interface")))


def whole_device(b):
    b.begin()
    b.succeed("open")
    whole = state(b)
    b.end()
    return whole


def routes_told(b):
    """Those that the backend itself has made."""
    return sorted(line for line in configured(b.leaks(), ("route",))
                  if "static" in line)


def changed_routes(b):
    b.begin()
    b.succeed("open")
    b.succeed("change", 0)
    changed = routes_told(b)
    b.end()
    return changed


def fails_and_leaves_nothing(b, what, before=()):
    """Each error at each call of it; what is opened all the same is whole."""
    kinds = ("address", "route", "interface") if before else \
        ("address", "route")
    done = refused = 0
    whole, changed = whole_device(b), changed_routes(b)
    for at in range(1, CALLS_MOST):
        for error in ERRORS:
            b.begin()
            for step in before:
                b.succeed(step)
            was = sorted(configured(b.leaks(), kinds))
            b.xnu.xnu_fail_call(at, error)
            result = b.call(what, *([0] if what == "change" else []))
            if b.xnu.xnu_failures_left():
                b.end()
                return done, refused
            done += 1
            if result < 0:
                refused += 1
                check(b.why(), f"call {at}, error {error}: no word")
                now = sorted(configured(b.leaks(), kinds))
                check(now == was, f"call {at}, error {error}: {was} "
                      f"became {now} ({b.why()})")
            elif what == "open":
                check(state(b) == whole, f"call {at}, error {error}: {whole} "
                      f"is {state(b)}")
                check(b.call("own") >= 0, f"call {at}, error {error}: it is "
                      "not known")
            elif what == "change":
                check(routes_told(b) == changed, f"call {at}, error {error}: "
                      f"{changed} are {routes_told(b)}")
            b.end()
    raise Failed("it never ends")


def open_fails_and_leaves_nothing(b):
    done, refused = fails_and_leaves_nothing(b, "open")
    check(refused > done * 3 // 4, f"{refused} of {done} were told")


def routes_fail_and_leave_nothing(b):
    fails_and_leaves_nothing(b, "more_routes", ["open"])


def change_fails_and_leaves_it(b):
    fails_and_leaves_nothing(b, "change", ["open"])


def restore_fails_and_leaves_it(b):
    fails_and_leaves_nothing(b, "restore", ["open"])


TESTS = [opens, closes_on_exec, closes_what_it_was_started_with,
         hears_nothing_where_it_only_speaks, does_not_start_without, changes,
         knows_whether_a_route_is_gone, leaves_routes_of_single_hosts, restores,
         routes_all_or_none, leaves_routes_of_others, is_taken_down,
         leaves_routes_of_others_when_taken_down, loses_each_static_route,
         goes_on_where_one_is_gone,
         is_tried_again_to_take_it_down, knows_who_has_it,
         never_touches_anothers, is_busy_for_a_moment, is_refused,
         receives_no_fds, wants_root, knows_its_peer, tells_what_the_host_has,
         tells_what_is_down, tells_routes_alone, says_that_it_cannot_read,
         reads_on_behind_what_is_no_fault, reads_little_before_it_decides,
         lists_what_grows_meanwhile, tells_or_says_that_it_cannot,
         is_not_kept_busy_by_anybody, hears_beside_a_stranger,
         decides_by_what_is_now, stays_root, claims_once, claims_no_link,
         becomes_nobody, is_no_child_with_rights, keeps_children,
         has_sockets_that_close, has_sockets_or_none, receives_what_closes,
         says_both_of_refused, protects, shows, open_fails_and_leaves_nothing,
         routes_fail_and_leave_nothing, change_fails_and_leaves_it,
         restore_fails_and_leaves_it]


def main():
    library = ctypes.CDLL(sys.argv[1])
    passed = failed = 0
    for path in sys.argv[2:]:
        backend = Backend(library, path)
        for test in TESTS:
            what = f"backend-{backend.code.name}-{test.__name__}".replace(
                "_", "-")
            try:
                test(backend)
                passed += 1
                print(f"ok {what}", flush=True)
            except (Failed, machine.Wrong) as why:
                failed += 1
                print(f"not ok {what}: {why}", flush=True)
    print(f"backend: {passed} passed, {failed} failed, 0 skipped")
    return failed > 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
