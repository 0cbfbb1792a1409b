#!/usr/bin/env python3
"""bench.py BUILD: how fast, beside what, in one run; see README.md.

    --only PATTERN      workloads whose name has it (several: any of them)
    --rounds N          of each contestant (7)
    --blink             one round, as short as can be: that it runs at all
    --peers FOLDER      other programs, as `make bench-peers` builds them
    --json FILE --svg FILE --markdown FILE
    --list              the workloads' names
"""
import argparse
import datetime
import os
import platform
import re
import sys

import control
import packets
import peers
import report
from rig import Failed, Skipped
from workload import own_players

ROUNDS = 7


def play(workload, build, players, rounds, blink):
    """A Result: rounds of all contestants in turn, each time another first."""
    plays, not_run = workload.begin(build, players, blink)
    values = {label: [] for label in plays}
    try:
        for i in range(min(rounds, workload.rounds_most or rounds)):
            labels = [label for label in plays if label not in not_run]
            first = i % max(len(labels), 1)
            for label in labels[first:] + labels[:first]:
                try:
                    values[label].append(plays[label]())
                except Failed as failed:
                    not_run[label] = str(failed)
    finally:
        workload.end()
    played = {label: of for label, of in values.items()
              if label not in not_run}
    return report.Result(workload, played, not_run)


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--only", action="append")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--blink", action="store_true")
    parser.add_argument("--peers")
    parser.add_argument("--json")
    parser.add_argument("--svg")
    parser.add_argument("--markdown")
    parser.add_argument("--list", action="store_true")
    return parser.parse_args()


def slug(workload):
    return "bench-" + re.sub("[^a-z0-9]+", "-", workload.name.lower())


def tell(result):
    """Prints it; as tests/run.sh wants it, too.  Has it failed?

    The peers may be unable to; ours and the limits may not.
    """
    wrong = [f"{label}: {why}" for label, why in result.not_run.items()
             if report.who(label) in ("ours", *report.LIMITS)]
    name = slug(result.workload)
    print(result.text())
    print(f"not ok {name}: {'; '.join(wrong)}" if wrong else f"ok {name}",
          flush=True)
    return bool(wrong)


def wanted(workload, only):
    return not only or any(pattern in workload.name for pattern in only)


def main():
    options = arguments()
    build = os.path.abspath(options.build)
    everyone = packets.WORKLOADS + control.WORKLOADS
    chosen = [w for w in everyone if wanted(w, options.only)]
    if options.list:
        print("\n".join(w.name for w in everyone))
        return 0
    if not chosen:
        sys.exit(f"bench: no workload has {options.only} in its name; "
                 "--list tells what there is")
    if os.geteuid():
        print("SKIP bench: it needs root, for namespaces and raw devices")
        return 77
    players = own_players(build)
    if options.peers:
        players += peers.players(options.peers)
    head = {"date": datetime.date.today().isoformat(),
            "kernel": platform.release(), "processors": os.cpu_count(),
            "command": " ".join(sys.argv)}
    print(", ".join(f"{key} {value}" for key, value in head.items()),
          flush=True)
    results, failed, skipped = [], 0, 0
    rounds = 1 if options.blink else options.rounds
    for workload in chosen:
        try:
            result = play(workload, build, players, rounds, options.blink)
        except Skipped as why:
            skipped += 1
            print(f"\nSKIP {slug(workload)}: {why}", flush=True)
            continue
        failed += tell(result)
        results.append(result)
    if options.json:
        report.write_json(options.json, head, results)
    if options.svg:
        report.write_svg(options.svg, head, results)
    if options.markdown:
        report.write_markdown(options.markdown, head, results)
    print(f"bench: {len(results) - failed} passed, {failed} failed, "
          f"{skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
