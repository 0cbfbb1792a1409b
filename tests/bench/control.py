"""What the daemon does: opening, ending, routes; and what it costs."""
import os
import time

from rig import Contestant, Daemon, Failed, Namespace
from workload import Player, Workload

NAME = "tt"
ADDRESS = "10.1.0.1/24,fd00:1::1/64"
ROUTES_MAX = 256                # of a rule, where the workload has few
OPENS = 30                      # of a round
LEASES = 1000                   # whose memory is measured
END_ROUNDS = 3                  # they take 20 ms a device
BLINK_DEVICES, BLINK_ROUTES, BLINK_PACKETS = 4, 200, 100
BLINK_SECONDS = 0.1
KIB, MIB = 1024, 1024 * 1024

# So that the making of devices that are not measured is not slowed down.
MANY = ["--limit", "request-rate=1000000", "--limit", "request-burst=1000000",
        "--limit", "connections-of-user=4096"]


class Holder(Contestant):
    """Somebody who has that many devices."""

    def __init__(self, build, namespace, daemon, count):
        self.namespace = namespace
        self.all = [f"{build}/tuntapctl", "--socket",
                    f"{daemon.dir}/admin.sock", "close", "--all"]
        super().__init__(
            [f"{build}/tests/bench/control_ours", "hold", "ours",
             f"name={NAME}", f"socket={daemon.socket}", f"count={count}"],
            namespace, unprivileged=True)

    def end_leases(self):
        self.namespace.run(*self.all)

    def close(self):
        """The kernel takes 20 ms for each that a process leaves behind."""
        if self.process.poll() is None:
            self.end_leases()
        super().close()


class Control(Workload):
    """A daemon for ours; the others are where nobody listens to netlink."""

    what = None                 # the contestants' workload
    count = 0                   # of which one round does so many
    lower_is_better = True
    daemon_options = {}

    def begin(self, build, players, blink):
        self.build, self.blink, self.opened = build, blink, []
        try:
            return self.each(self.contestants(), self.start)
        except Failed:
            self.end()
            raise

    def contestants(self):
        """Players whose labels' last word is the mode."""
        raise NotImplementedError

    def program(self, name, which):
        return Player(name, [f"{self.build}/tests/bench/control_{which}"],
                      unprivileged=which == "ours")

    def keep(self, what):
        self.opened.append(what)
        return what

    def end(self):
        for what in reversed(self.opened):
            what.close()
        self.opened.clear()

    def namespace_and_daemon(self):
        namespace = self.keep(Namespace())
        return namespace, self.keep(
            Daemon(self.build, namespace, **self.daemon_options))

    def start(self, player):
        words = [player.name.split()[-1], f"name={NAME}",
                 f"address={ADDRESS}"]
        daemon = None
        if player.unprivileged:
            namespace, daemon = self.namespace_and_daemon()
            words.append(f"socket={daemon.socket}")
        else:
            namespace = self.keep(Namespace())
        contestant = self.keep(Contestant(
            [*player.command, self.what, *words], namespace,
            player.unprivileged))

        def play():
            ns = contestant.run(self.count)["ns"]
            if daemon:
                settle(daemon)
            return self.value(ns)
        return play

    def value(self, ns):
        raise NotImplementedError


class Open(Control):
    """One after the other; each ends before the next, unmeasured."""

    what, unit = "open", "ns an open"
    daemon_options = {"guard": "required"}
    name = "open"
    settings = ("two addresses, MTU, a route, up; ours with a guard, "
                "ip without")

    def contestants(self):
        self.count = BLINK_DEVICES if self.blink else OPENS
        return [self.program("ours", "ours"),
                self.program("raw guarded", "raw"),
                self.program("raw no-guard", "raw"),
                self.program("ip", "raw")]

    def value(self, ns):
        return ns / self.count


class End(Control):
    """All at once, until the last name is gone."""

    what, unit = "end", "ms"
    daemon_options = {"arguments": MANY}

    def __init__(self, count):
        self.full = count
        self.name = f"{count} leases end at once"
        self.settings = ("ours: their process is killed; raw: one message, "
                         "or one close(2) after the other")
        self.rounds_most = END_ROUNDS

    def contestants(self):
        self.count = BLINK_DEVICES if self.blink else self.full
        return [self.program("ours", "ours"), self.program("raw", "raw"),
                self.program("raw close", "raw")]

    def value(self, ns):
        return ns / 1e6

    def also(self, value):
        return f"  {value * 1e3 / self.count:.0f} us a device"


class CloseAll(End):
    """By the daemon alone: their process lives on."""

    def __init__(self, count):
        super().__init__(count)
        self.name = f"{count} leases are closed at once"
        self.settings = "ours: tuntapctl close --all; raw: one message"
        self.rounds_most = None

    def contestants(self):
        return super().contestants()[:2]

    def start(self, player):
        if not player.unprivileged:
            return super().start(player)
        namespace, daemon = self.namespace_and_daemon()

        def play():
            holder = self.keep(
                Holder(self.build, namespace, daemon, self.count))
            began = time.monotonic()
            holder.end_leases()
            ns = (time.monotonic() - began) * 1e9
            holder.close()
            settle(daemon)
            return self.value(ns)
        return play


class Routes(Control):
    """Those of one device, in one call; they go with it, unmeasured."""

    what, unit, lower_is_better = "routes", "routes/s", False

    def __init__(self, count):
        self.full = count
        self.name = f"{count} routes in one call"
        self.settings = "IPv4, no guard; raw: one answer for each 1000"

    def contestants(self):
        self.count = BLINK_ROUTES if self.blink else self.full
        self.daemon_options = {"max_routes": max(self.count, ROUTES_MAX)}
        return [self.program("ours", "ours"), self.program("raw", "raw"),
                self.program("ip", "raw")]

    def value(self, ns):
        return self.count / ns * 1e9


# --- what it costs ----------------------------------------------------------

class Cost(Control):
    """A figure of ours, beside the one that was wanted."""

    def begin(self, build, players, blink):
        self.build, self.blink, self.opened = build, blink, []
        return {"wanted": lambda: self.wanted, "ours": self.play}, {}

    def play(self):
        """With a daemon of its own each time: memory that was freed stays."""
        try:
            return self.measure()
        finally:
            self.end()

    def measure(self):
        raise NotImplementedError


class EmptyMemory(Cost):
    unit, wanted = "bytes", 4 * MIB
    name = "memory of a daemon without leases"
    settings = "Pss, of all its processes"

    def measure(self):
        _, daemon = self.namespace_and_daemon()
        settle(daemon)
        return memory(daemon)


class LeaseMemory(Cost):
    unit, wanted = "bytes a lease", KIB
    daemon_options = {"arguments": MANY}
    name = f"memory of {LEASES} leases"
    settings = "Pss, of all processes of the daemon; an address each"

    def measure(self):
        count = BLINK_DEVICES if self.blink else LEASES
        namespace, daemon = self.namespace_and_daemon()
        settle(daemon)
        before = memory(daemon)
        self.keep(Holder(self.build, namespace, daemon, count))
        settle(daemon)
        return (memory(daemon) - before) / count


class RouteMemory(Cost):
    unit, wanted = "bytes a route", 64

    def __init__(self, count):
        self.full = count
        self.name = f"memory of {count} routes"
        self.settings = "Pss, of all processes of the daemon; one lease"

    def measure(self):
        count = BLINK_ROUTES if self.blink else self.full
        self.daemon_options = {"max_routes": max(count, ROUTES_MAX)}
        namespace, daemon = self.namespace_and_daemon()
        holder = self.keep(Holder(self.build, namespace, daemon, 1))
        settle(daemon)
        before = memory(daemon)
        holder.run(count)
        settle(daemon)
        return (memory(daemon) - before) / count


class Rest(Cost):
    unit, wanted = "ticks of CPU and switches", 0
    daemon_options = {"arguments": MANY}
    name = "a daemon at rest"

    def __init__(self, leases, seconds):
        self.leases, self.seconds = leases, seconds
        self.settings = f"{leases} leases, {seconds} s"

    def measure(self):
        namespace, daemon = self.namespace_and_daemon()
        self.keep(Holder(self.build, namespace, daemon,
                         BLINK_DEVICES if self.blink else self.leases))
        settle(daemon)
        before = activity(daemon)
        time.sleep(BLINK_SECONDS if self.blink else self.seconds)
        return activity(daemon) - before


class Allocations(Cost):
    """Calls of malloc() and its like, in whatever way packets go."""

    unit, wanted = "allocations", 0
    name = "allocations for packets"
    ways = [(way, mode) for way, modes in [
        ("recv", ("none", "split")),
        ("send", ("none", "split", "pass")),
        ("batch", ("none", "split", "pass")),
        ("handler", ("none", "split")),
        ("connect", ("none", "split", "pass"))] for mode in modes]

    def __init__(self, packets):
        self.packets = packets
        self.settings = f"{packets} packets each, after the first ones"

    def begin(self, build, players, blink):
        super().begin(build, players, blink)
        self.namespace, self.daemon = self.namespace_and_daemon()
        plays, not_run = {"wanted": lambda: self.wanted}, {}
        for way, mode in self.ways:
            label = f"ours {way}, {mode}"
            try:
                plays[label] = self.counter(way, mode, len(plays))
            except Failed as failed:
                not_run[label] = str(failed)
        return plays, not_run

    def counter(self, way, mode, n):
        counter = self.keep(Contestant(
            [f"{self.build}/tests/bench/allocations", way, mode,
             f"name={NAME}{n}", f"address=10.{n}.0.1/24",
             f"name-b={NAME}{n}b", f"address-b=10.{n}.1.1/24",
             f"socket={self.daemon.socket}"],
            self.namespace, unprivileged=True))
        count = BLINK_PACKETS if self.blink else self.packets
        return lambda: counter.run(count)["allocations"]


# --- the daemon's processes, as /proc tells ---------------------------------

QUIET_SECONDS = 0.1
SETTLE_SECONDS = 10


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def stat(pid):
    """Its fields from the third on: the second one may hold anything."""
    return read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def family(daemon):
    """The daemon's pid, and those of its children and theirs."""
    parents = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            parents[int(pid)] = int(stat(pid)[1])
        except OSError:
            pass                # it has ended
    pids = [daemon.process.pid]
    for pid in pids:            # which grows meanwhile
        pids += [child for child, of in parents.items() if of == pid]
    return pids


def memory(daemon):
    """Bytes: what several share is parted among them."""
    return KIB * sum(
        int(line.split()[1]) for pid in family(daemon)
        for line in read(f"/proc/{pid}/smaps_rollup").splitlines()
        if line.startswith("Pss:"))


def activity(daemon):
    """Ticks of CPU, and how often a thread of it began to wait."""
    return sum(ticks(pid) + switches(pid) for pid in family(daemon))


def ticks(pid):
    return int(stat(pid)[11]) + int(stat(pid)[12])


def switches(pid):
    return sum(int(line.split()[1])
               for thread in os.listdir(f"/proc/{pid}/task")
               for line in read(f"/proc/{pid}/task/{thread}/status")
               .splitlines() if "ctxt_switches" in line)


def settle(daemon):
    """Until it has done what followed from the last thing it was asked; not
    for ever, as one may never rest.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    now = activity(daemon)
    while time.monotonic() < deadline:
        before = now
        time.sleep(QUIET_SECONDS)
        now = activity(daemon)
        if now == before:
            return


WORKLOADS = [
    Open(),
    End(64), End(1000), CloseAll(64), CloseAll(1000),
    Routes(10000), Routes(100000),
    EmptyMemory(), LeaseMemory(), RouteMemory(10000), RouteMemory(100000),
    Rest(leases=100, seconds=3),
    Allocations(packets=10000),
]
