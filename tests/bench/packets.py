"""Packets: one at a time, across a wire, there and back."""
import json
import socket
import subprocess
import threading
import time

from rig import Contestant, Daemon, Failed, Namespace, Skipped
from workload import Player, Workload, with_rings, without_thread

MTU = 1500
TXQUEUELEN = 5000               # of every device, ours and others'
SHORT_QUEUE = 500               # the kernel's own choice for a TUN
FILLED = 4000                   # packets that wait to be read: they fit
SENT = 20000
PINGS = 500
UDP_SMALL, UDP_FULL = 64, 1500  # bytes of the IP packets
UDP_SEGMENTS = 40
SERVER_TRIES, SERVER_PAUSE = 20, 0.2      # seconds
DROP = "1,6 0 0 2"              # return TC_ACT_SHOT, in tc-bpf(8)'s words


class Arena:
    """Two hosts, a daemon on each, and a network for each contestant."""

    def __init__(self, build):
        self.build = build
        self.opened = []
        self.n = 0
        try:
            self.a = self.keep(Namespace())
            self.b = self.keep(Namespace())
            self.daemon_a = self.keep(Daemon(build, self.a))
            self.daemon_b = self.keep(Daemon(build, self.b))
        except Failed:
            self.close()
            raise

    def keep(self, what):
        self.opened.append(what)
        return what

    def close(self):
        for what in reversed(self.opened):
            what.close()

    def traffic(self, namespace, *words):
        return self.keep(Contestant(
            [f"{self.build}/tests/bench/traffic", *words], namespace))

    def start(self, player, workload, mode, two=False, size=UDP_SMALL):
        """A contestant with its device or two; its Side."""
        self.n += 1
        side = Side(self.n)
        words = [workload, mode, *player.words, f"name={side.name}",
                 f"size={size}",
                 f"socket={self.daemon_a.socket}",
                 f"address={side.here}/24,{side.here6}/64"]
        if two:
            words += [f"name-b={side.name}", f"netns-b={self.b.path}",
                      f"socket-b={self.daemon_b.socket}",
                      f"address-b={side.there}/24,{side.there6}/64"]
        side.contestant = self.keep(Contestant(
            [*player.command, *words], self.a, player.unprivileged))
        if not player.configures:
            configure(self.a, side.name, side.here, side.here6)
            if two:
                configure(self.b, side.name, side.there, side.there6)
        return side

    def veth(self):
        """A pair of the kernel's own, instead of a contestant."""
        self.n += 1
        side = Side(self.n)
        self.a.run("ip", "link", "add", side.name, "type", "veth", "peer",
                   "name", side.name, "netns", self.b.path)
        configure(self.a, side.name, side.here, side.here6)
        configure(self.b, side.name, side.there, side.there6)
        return side


class Side:
    """The n-th network: 10.n.0.0/24 and fd00:n::/64."""

    def __init__(self, n):
        self.name = f"tt{n}"
        self.here, self.there = f"10.{n}.0.1", f"10.{n}.0.2"
        self.here6, self.there6 = f"fd00:{n}::1", f"fd00:{n}::2"
        self.contestant = None


def configure(namespace, name, address, address6):
    namespace.run("ip", "addr", "add", f"{address}/24", "dev", name)
    namespace.run("ip", "addr", "add", f"{address6}/64", "dev", name, "nodad")
    namespace.run("ip", "link", "set", name, "mtu", str(MTU), "txqueuelen",
                  str(TXQUEUELEN), "up")


def own(players):
    """Those of libtuntapd: what others do not have, they are not asked for."""
    return [player for player in players if player.name == "ours"]


class OneByOne(Workload):
    """send or recv: ns for each packet."""

    unit, lower_is_better = "ns a packet", True

    def __init__(self, what, mode, size):
        self.what, self.mode, self.size = what, mode, size
        self.name = f"{what}, {mode}, {size} B"
        self.settings = f"MTU {MTU}, queue {TXQUEUELEN}, one thread"

    def begin(self, build, players, blink):
        self.arena = Arena(build)
        self.count = 100 if blink else FILLED if self.what == "recv" else SENT
        if self.what == "recv":
            self.filler = self.arena.traffic(self.arena.a, "fill", "udp")
        alone = [without_thread(player) for player in own(players)]
        return self.each(alone + players, self.player)

    def player(self, player):
        side = self.arena.start(player, self.what, self.mode, size=self.size)
        if self.what == "send":
            self.drop(side.name)

        def play():
            if self.what == "recv":
                self.filler.run(self.count, side.there, self.size)
            return side.contestant.run(self.count)["ns"] / self.count
        return play

    def drop(self, name):
        """What is sent is gone as soon as the host has it."""
        self.arena.a.run("tc", "qdisc", "add", "dev", name, "clsact")
        self.arena.a.run("tc", "filter", "add", "dev", name, "ingress", "bpf",
                         "da", "bytecode", DROP)

    def end(self):
        self.arena.close()


def must_have(control):
    """This kernel has the congestion control, if only as a module."""
    with socket.socket() as probe:
        try:
            probe.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION,
                             control.encode())
        except OSError as error:
            raise Skipped(f"this kernel has no {control}") from error


class Wire(Workload):
    """iperf3 from host to host across the contestant: bits a second."""

    unit, lower_is_better = "bit/s", False

    def __init__(self, modes, streams=1, control="cubic", six=False,
                 name="TCP"):
        self.modes, self.streams, self.six = modes, streams, six
        self.control = control
        many = "one stream" if streams == 1 else f"{streams} streams"
        self.name = f"wire, {name}, {many}, {control}" + \
            (", IPv6" if six else "")
        self.settings = f"MTU {MTU}, queue {TXQUEUELEN}, iperf3"

    def begin(self, build, players, blink):
        must_have(self.control)
        self.arena = Arena(build)
        self.until = ["--bytes", "1M"] if blink else ["--time", "2"]
        self.start_ends()
        plays, not_run = {}, {}
        for mode in self.modes:
            who = own(players) if mode == "connect" else players
            more, why = self.each(who, lambda p, m=mode: self.player(p, m),
                                  mode)
            plays.update(more)
            not_run.update(why)
        veth = self.arena.veth()
        plays["veth"] = lambda: self.stream(veth)
        return plays, not_run

    def start_ends(self):
        self.arena.keep(Server(self.arena.b))

    def player(self, player, mode):
        side = self.arena.start(player, "wire", mode, two=True)
        return lambda: self.stream(side)

    def stream(self, side):
        """Once more where the server has not yet done with the one before."""
        for _ in range(SERVER_TRIES):
            try:
                return self.stream_once(side)
            except Failed as failed:
                if "busy" not in str(failed):
                    raise
                time.sleep(SERVER_PAUSE)
        return self.stream_once(side)

    def stream_once(self, side):
        done = self.arena.a.run(
            "iperf3", "--client", side.there6 if self.six else side.there,
            "--port", str(Server.PORT), *self.until, "--json", "--parallel", str(self.streams), "--congestion", self.control)
        told = json.loads(done)
        if "error" in told:
            raise Failed(told["error"])
        return told["end"]["sum_received"]["bits_per_second"]

    def end(self):
        self.arena.close()


class Server:
    """iperf3's other end."""

    PORT = 5201

    def __init__(self, namespace):
        self.process = subprocess.Popen(
            namespace.inside(["iperf3", "--server", "--forceflush", "--port",
                              str(self.PORT)]),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if "listening" in line:
                # What nobody reads would make it wait one day.
                threading.Thread(target=self.process.stdout.read,
                                 daemon=True).start()
                return
        raise Failed("iperf3 --server does not listen")

    def close(self):
        self.process.kill()
        self.process.wait()


class Udp(Workload):
    """As fast as they can be sent; what arrives is counted."""

    unit, lower_is_better = "bytes/s received", False

    def __init__(self, modes, size, segments):
        self.modes, self.size, self.segments = modes, size, segments
        self.name = f"wire, UDP {size} B" + \
            (", GSO and GRO" if segments > 1 else "")
        self.settings = f"MTU {MTU}, queue {TXQUEUELEN}"

    def begin(self, build, players, blink):
        self.arena = Arena(build)
        self.ms = 50 if blink else 1000
        self.blast = self.arena.traffic(self.arena.a, "blast", "udp")
        self.sink = self.arena.traffic(
            self.arena.b, "sink", "gro" if self.segments > 1 else "plain")
        plays, not_run = {}, {}
        for mode in self.modes:
            more, why = self.each(players, lambda p, m=mode: self.player(p, m),
                                  mode)
            plays.update(more)
            not_run.update(why)
        veth = self.arena.veth()
        plays["veth"] = lambda: self.stream(veth)
        return plays, not_run

    def player(self, player, mode):
        side = self.arena.start(player, "wire", mode, two=True)
        return lambda: self.stream(side)

    def stream(self, side):
        self.sink.run()
        self.blast.run(self.ms, side.there, self.size, self.segments)
        return self.sink.run()["bytes"] / self.ms * 1000

    def end(self):
        self.arena.close()


class Queues:
    """Of a wire, before its class: a long queue beside a short one."""

    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        self.name = f"queue of {SHORT_QUEUE}, {self.name}"

    def begin(self, build, players, blink):
        ours = own(players)
        short = [Player(f"queue-{SHORT_QUEUE}", p.command, p.unprivileged,
                        p.configures, p.words) for p in ours]
        return super().begin(build, ours + short, blink)

    def player(self, player, mode):
        side = self.arena.start(player, "wire", mode, two=True)
        if player.name != "ours":
            for host in (self.arena.a, self.arena.b):
                host.run("ip", "link", "set", side.name, "txqueuelen",
                         str(SHORT_QUEUE))
        return lambda: self.stream(side)


class Rings:
    """Of a wire, before its class: many packets a system call beside one."""

    def __init__(self, *args, **named):
        super().__init__(*args, **named)
        self.name = f"io_uring, {self.name}"

    def begin(self, build, players, blink):
        rings = [with_rings(player) for player in own(players)]
        return super().begin(build, rings + players, blink)


class WireRings(Rings, Wire):
    """TCP."""


class UdpRings(Rings, Udp):
    """A flood."""


class WireQueues(Queues, Wire):
    """TCP."""


class UdpQueues(Queues, Udp):
    """A flood."""


class Ping(Workload):
    """There and back through a contestant that answers each packet."""

    unit, lower_is_better = "ns", True

    def __init__(self, percentile):
        self.percentile = percentile
        self.name = f"ping through an echo, {percentile}"
        self.settings = f"64 B, {PINGS} a round, 0.2 ms between them"

    def begin(self, build, players, blink):
        self.arena = Arena(build)
        self.count = 10 if blink else PINGS
        self.ping = self.arena.traffic(self.arena.a, "ping", "udp")
        plays, not_run = self.each(players, lambda p: self.player(p, "none"))
        more, why = self.each([p for p in players if p.name == "raw"],
                              lambda p: self.player(p, "blocking"),
                              "blocking")
        return {**plays, **more}, {**not_run, **why}

    def player(self, player, mode):
        side = self.arena.start(player, "echo", mode)
        return lambda: self.ping.run(self.count,
                                     side.there)[self.percentile]

    def end(self):
        self.arena.close()


class PingAcross(Wire):
    """From host to host across the contestant, and back."""

    unit, lower_is_better = "ns", True

    def __init__(self, modes):
        super().__init__(modes, name="ping")
        self.name = "wire, ping, p50"
        self.settings = f"64 B, {PINGS} a round, 0.2 ms between them"

    def begin(self, build, players, blink):
        self.count = 10 if blink else PINGS
        return super().begin(build, players, blink)

    def start_ends(self):
        self.ping = self.arena.traffic(self.arena.a, "ping", "udp")
        self.arena.traffic(self.arena.b, "reflect", "udp")

    def stream(self, side):
        return self.ping.run(self.count, side.there)["p50"]


MODES = ["none", "split", "pass"]

WORKLOADS = [
    *[OneByOne(what, mode, size) for what in ("send", "recv")
      for mode in MODES for size in (64, 1400)],
    Wire([*MODES, "connect"]),
    Wire([*MODES, "connect"], control="bbr"),
    Wire(MODES, streams=4),
    Wire(MODES, six=True),
    Udp(MODES, UDP_SMALL, 1),
    Udp(["split", "pass"], UDP_FULL, UDP_SEGMENTS),
    WireQueues(MODES),
    WireQueues(MODES, control="bbr"),
    UdpQueues(MODES, UDP_SMALL, 1),
    UdpRings(["none", "pass"], UDP_SMALL, 1),
    WireRings(["none", "pass"]),
    PingAcross([*MODES, "connect"]),
    Ping("p50"),
    Ping("p99"),
]
