"""Network namespaces, daemons and contestants; see README.md.

All that is made here goes with the processes that are started here: a
namespace with the one that sleeps in it, a device with its contestant.
"""
import os
import select
import shutil
import subprocess
import tempfile

NOBODY, DAEMON = 65534, 65533   # whom the clients and the daemons run as
ANSWER_SECONDS = 60             # for a round, or to get ready
LISTEN_SECONDS = 10

# One rule for all: what a bare device has, a leased one has too, so the guard
# is off but where it is asked for; what it costs is told by bench_guard.
POLICY = """[rule bench]
action = allow
user = 65534
kind = tun, tap
name = tt*
address = 10.0.0.0/8, fd00::/8
route = 10.0.0.0/8, 172.16.0.0/12, fd00::/8
max-routes = {max_routes}
max-addresses = 8
max-devices = 4096
max-queues = 8
offload = yes
source-guard = {guard}
"""


class Failed(Exception):
    """Somebody cannot do it, or did not: in words."""


class Skipped(Exception):
    """This host has not what it takes: in words."""


class Namespace:
    """A network namespace, as long as a process sleeps in it; not longer
    than we are here.
    """

    def __init__(self):
        self.process = subprocess.Popen(
            ["unshare", "--net", "setpriv", "--pdeathsig", "KILL", "sh", "-c",
             "ip link set lo up && echo ready && exec sleep infinity"],
            stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise Failed("no network namespace could be made")
        self.path = f"/proc/{self.process.pid}/ns/net"

    def inside(self, command):
        """The command's words, for it to run in here."""
        return ["nsenter", f"--net={self.path}", *command]

    def run(self, *command, text=None):
        try:
            done = subprocess.run(self.inside(command), input=text, text=True,
                                  capture_output=True, check=False,
                                  timeout=ANSWER_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise Failed(str(late)) from late
        if done.returncode:
            raise Failed(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def close(self):
        end(self.process)


def end(process):
    process.kill()
    process.wait()


class Daemon:
    """tuntapd in a namespace, with a policy that refuses nothing of ours."""

    def __init__(self, build, namespace, max_routes=256, guard="off",
                 arguments=()):
        self.dir = tempfile.mkdtemp(prefix="tuntapd-bench.")
        os.chmod(self.dir, 0o755)
        os.chown(self.dir, DAEMON, DAEMON)
        self.socket = f"{self.dir}/tuntapd.sock"
        policy = f"{self.dir}/policy.d"
        os.mkdir(policy, 0o755)
        with open(f"{policy}/bench.conf", "w", encoding="ascii") as file:
            file.write(POLICY.format(max_routes=max_routes, guard=guard))
        self.log = open(f"{self.dir}/log", "w+", encoding="utf-8")
        self.process = subprocess.Popen(namespace.inside(
            [f"{build}/tuntapd", "--socket", self.socket, "--admin-socket",
             f"{self.dir}/admin.sock", "--policy", policy, "--user",
             str(DAEMON), *arguments]),
            stdout=self.log, stderr=self.log)
        self.wait()

    def wait(self):
        for _ in range(LISTEN_SECONDS * 100):
            if os.path.exists(self.socket):
                return
            if self.process.poll() is not None:
                break
            select.select([], [], [], 0.01)
        self.log.seek(0)
        why = self.log.read().strip()
        self.close()
        raise Failed(f"tuntapd does not listen: {why}")

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)


class Contestant:
    """A program that waits for the word to go, as README.md tells."""

    def __init__(self, command, namespace, unprivileged=False):
        if unprivileged:
            command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}",
                       "--clear-groups", "--no-new-privs", *command]
        self.name = os.path.basename(command[0])
        self.process = subprocess.Popen(
            namespace.inside(command), stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            bufsize=1)
        line = self.line()
        if line != "ready":
            raise Failed(line)

    def line(self):
        """The next line; an error, in words, is raised."""
        ready, _, _ = select.select([self.process.stdout], [], [],
                                    ANSWER_SECONDS)
        line = self.process.stdout.readline().strip() if ready else ""
        if line and not line.startswith("error "):
            return line
        if not ready:
            why = f"no answer in {ANSWER_SECONDS} s"
        else:
            said = self.process.stderr.read().split("\n")
            why = line[len("error "):] or said[0]
        self.close()
        raise Failed(why or "it ended without a word")

    def tell(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass                # line() says why
        except ValueError as closed:
            raise Failed(f"{self.name} has ended before") from closed

    def run(self, *words):
        """A round; what it answers, {"ns": 123.0}."""
        self.tell(" ".join(["run", *map(str, words)]))
        answer = dict(word.split("=") for word in self.line().split())
        return {key: float(value) for key, value in answer.items()}

    def close(self):
        if self.process.stdin and not self.process.stdin.closed:
            try:
                self.process.stdin.close()
            except BrokenPipeError:
                pass
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            end(self.process)
