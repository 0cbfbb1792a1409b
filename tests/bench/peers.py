#!/usr/bin/env python3
"""Other libraries, as contestants of the same kind; see README.md.

peers.py FOLDER builds them there, from their own registries, at the versions
that peers/ names.  Who cannot be built takes part as one who says why.
"""
import os
import shutil
import subprocess
import sys

from workload import Player

BUILD_SECONDS = 900
LINES_OF_WHY = 2
SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "peers")

# What go.mod names and no more: no other Go, no work space's modules.
GO = {"GOFLAGS": "-trimpath -buildvcs=false", "GOTOOLCHAIN": "local",
      "GOWORK": "off"}
CARGO = ["cargo", "build", "--release", "--locked", "--target-dir", "target"]


class Peer:
    """A folder in peers/, the command that builds it, and what comes of it."""

    def __init__(self, source, command, program, name=None):
        self.source = source
        self.command = command
        self.program = program          # in the folder, when it is built
        self.name = name or source      # of the contestant

    def build(self, folder):
        """Nothing, or why there is no program."""
        for old in self.program, "why":
            if os.path.exists(f"{folder}/{self.source}/{old}"):
                os.remove(f"{folder}/{self.source}/{old}")
        try:
            done = subprocess.run(
                self.command, cwd=f"{folder}/{self.source}", text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                stdin=subprocess.DEVNULL, timeout=BUILD_SECONDS,
                env={**os.environ, **GO})
        except FileNotFoundError:
            return f"there is no {self.command[0]}"
        except subprocess.TimeoutExpired:
            return f"not built in {BUILD_SECONDS} s"
        if done.returncode:
            # The last lines are what it was all about.
            last = done.stdout.splitlines()[-LINES_OF_WHY:]
            return " ".join(" ".join(last).split())
        return None

    def player(self, folder):
        program = f"{folder}/{self.source}/{self.program}"
        if os.path.exists(program):
            return Player(self.name, [program])
        with open(f"{folder}/{self.source}/why", encoding="utf-8") as why:
            return Player(self.name, ["printf", "error %s\n", why.read()])


def go(name, *options):
    return Peer(name, ["go", "build", *options, "-o", "program", "."],
                "program")


PEERS = [
    # Its go.sum lacks it, as the registry did not serve it when this was
    # written; with -mod=mod Go asks the public database of hashes.
    go("pktkit", "-mod=mod"),
    go("wireguard-go"),
    go("water"),
    Peer("tun-rs", CARGO, "target/release/tun-rs"),
    Peer("tun-rs", CARGO, "target/release/tun-rs-concurrent",
         "tun-rs concurrent"),
]


def players(folder):
    if not os.path.isdir(folder):
        sys.exit(f"bench: there is no {folder}; `make bench-peers` builds it")
    return [peer.player(os.path.abspath(folder)) for peer in PEERS]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: peers.py FOLDER")
    folder = sys.argv[1]
    # In a copy: a builder that writes beside its sources writes there.
    shutil.copytree(SOURCES, folder, dirs_exist_ok=True)
    for peer in PEERS:
        why = peer.build(folder)
        print(f"bench-peers: {peer.name}: {why or 'built'}", flush=True)
        if why:
            with open(f"{folder}/{peer.source}/why", "w",
                      encoding="utf-8") as file:
                file.write(why)


if __name__ == "__main__":
    main()
