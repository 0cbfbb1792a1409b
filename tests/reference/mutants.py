#!/usr/bin/env python3
"""mutants.py BUILD: is a wrong policy noticed?

Each mutant below is the evaluator with one thing changed.  It is linked with
the objects in BUILD, and one of the policy's unit tests must fail with it.  A
mutant whose text is not found exactly once is an error: the table is wrong.
"""

import argparse
import os
import subprocess
import sys
import tempfile

DECIDE = "policy/decide.c"
LIMITS = "policy/limits.c"
REQUEST = "policy/request.c"
COVER = "policy/cover.c"
NAMES = "policy/names.c"
KEYS = "policy/keys.c"
VALUES = "policy/values.c"
POLICY = "policy/policy.c"

# file, text as it stands (once), text instead
MUTANTS = [
    # who, kind, name
    (DECIDE, "if (ids->id[i] == id)", "if (ids->id[i] != id)"),
    (DECIDE, "rule->users.any || has_id", "has_id"),
    (DECIDE, "has_id(&rule->users, peer->uid) ||", ""),
    (DECIDE, "has_id(&rule->groups, peer->gid))", "false)"),
    (DECIDE, "has_id(&rule->groups, peer->groups[i])", "false"),
    (DECIDE, "i < peer->n_groups", "i + 1 < peer->n_groups"),
    (DECIDE, "layer == WIRE_TUN ? rule->kinds.tun : rule->kinds.tap",
     "layer == WIRE_TUN ? rule->kinds.tap : rule->kinds.tun"),
    (DECIDE, "return !rule->key_line[KEY_KIND] ||",
     "return rule->key_line[KEY_KIND] &&"),
    (DECIDE, "\t\treturn rule->allow;\n", "\t\treturn true;\n"),
    (DECIDE, "\t\treturn rule->allow;\n", "\t\treturn false;\n"),
    (DECIDE, "pattern_matches(rule->names.text[i], uid, name)",
     "pattern_matches(rule->names.text[0], uid, name)"),
    (DECIDE, "if (how == POLICY_DECIDES)", "if (how != POLICY_OTHER_USER)"),
    (DECIDE, "find(q, name, NULL) == q->rule && ", ""),
    (DECIDE, "&& !is_taken(q, name)", ""),
    (DECIDE, "if (*out->name && is_taken(q, out->name))", "if (false)"),
    (DECIDE, "if (!q.rule->allow)", "if (false)"),
    (DECIDE, "if (out->routes[i].metric == 0)", "if (false)"),
    (DECIDE, "metric = q->rule->metric.min;", "metric = 1000;"),
    (DECIDE, ".guard = rule->guard", ".guard = false"),
    (DECIDE, ".dhcp = rule->dhcp", ".dhcp = true"),
    (DECIDE, ".automatic = rule->sources.automatic", ".automatic = true"),
    (DECIDE, ".tamper_revokes = rule->tamper_revokes",
     ".tamper_revokes = true"),
    (DECIDE, ".mac_chosen = rule->mac_chosen", ".mac_chosen = true"),
    (DECIDE, "rule && rule->allow ? rule : &none", "rule ? rule : &none"),
    (DECIDE, "r = request_check_routes(out, q->ret);", "r = 0;"),
    (DECIDE, "if (POLICY_MTU_KERNEL < mtu->min)",
     "if (POLICY_MTU_KERNEL <= mtu->min && false)"),
    (DECIDE, "else if (POLICY_MTU_KERNEL > mtu->max)", "else if (false)"),
    (DECIDE, ".shadow = rule->shadow", ".shadow = false"),
    # limits
    (LIMITS, "if (prefix_contains(&list->prefix[i], &net))",
     "if (prefix_overlaps(&list->prefix[i], &net))"),
    (LIMITS, "struct prefix net = prefix_network(p);",
     "struct prefix net = prefix_host(p);"),
    (LIMITS, "if (r == 0 && a->peer.family)", "if (false)"),
    (LIMITS, "route->metric < metric->min", "route->metric <= metric->min"),
    (LIMITS, "route->metric > metric->max", "route->metric >= metric->max"),
    (LIMITS, "if (q->rule->default_route)", "if (!q->rule->default_route)"),
    (LIMITS, "if (request_is_default(dst))", "if (dst->len == 0)"),
    (LIMITS, "if (cover_default(q->ask, &covered))", "if (false)"),
    (LIMITS, "\tif (n <= max)\n", "\tif (n < max)\n"),
    (LIMITS, "\tif (n <= max)\n", "\tif (n <= max + 1)\n"),
    (LIMITS, "ask->queues,\n\t\t\t    rule->max_queues",
     "ask->queues,\n\t\t\t    rule->max_routes"),
    (LIMITS, "ask->n_addresses, rule->max_addresses",
     "ask->n_addresses, rule->max_routes"),
    (LIMITS, "ask->n_routes,\n\t\t\t\trule->max_routes",
     "ask->n_routes,\n\t\t\t\trule->max_addresses"),
    (LIMITS, "ask < mtu->min", "ask <= mtu->min"),
    (LIMITS, "ask > mtu->max", "ask >= mtu->max"),
    (LIMITS, "if (request_mtu_min(q->ask) > mtu->max)", "if (false)"),
    (LIMITS, "|| q->rule->mac_chosen)", "|| true)"),
    (LIMITS, "!q->ask->vnet_hdr || q->rule->offload", "true"),
    (LIMITS, "q->usage->devices >= q->rule->max_devices",
     "q->usage->devices > q->rule->max_devices"),
    (LIMITS, "q->usage->all_devices < global->max_devices",
     "q->usage->all_devices <= global->max_devices"),
    (LIMITS, "line ? line : q->rule->line", "q->rule->line"),
    (LIMITS, "check_mac, check_offload, check_mtu,",
     "check_mtu, check_offload, check_mac,"),
    # what no policy can allow
    (REQUEST, "{ { { 127 }, 4, 8 }", "{ { { 127 }, 4, 9 }"),
    (REQUEST, "{ { { 0 }, 4, 8 }", "{ { { 0 }, 4, 9 }"),
    (REQUEST, "{ { { 224 }, 4, 4 }", "{ { { 224 }, 4, 5 }"),
    (REQUEST, "{ { { 255, 255, 255, 255 }, 4, 32 }",
     "{ { { 255, 255, 255, 254 }, 4, 32 }"),
    (REQUEST, "{ { { 0 }, 6, 128 }", "{ { { [15] = 2 }, 6, 128 }"),
    (REQUEST, "{ { { [15] = 1 }, 6, 128 }", "{ { { [15] = 3 }, 6, 128 }"),
    (REQUEST, "{ { { 0xff }, 6, 8 }", "{ { { 0xff }, 6, 9 }"),
    (REQUEST, "[11] = 0xff }, 6, 96 }", "[11] = 0xff }, 6, 97 }"),
    (REQUEST, "if (ask->mac[0] & 1)", "if (ask->mac[0] & 2)"),
    (REQUEST, "if (ask->layer != WIRE_TAP)", "if (false)"),
    (REQUEST, "ask->mtu < request_mtu_min(ask)", "false"),
    (REQUEST, "ask->queues < 1 ||", "false ||"),
    (REQUEST, "ask->txqueuelen > POLICY_TXQUEUELEN_MAX",
     "ask->txqueuelen >= POLICY_TXQUEUELEN_MAX"),
    (REQUEST, "if (!prefix_is_full(&a->local))", "if (false)"),
    (REQUEST, "if (!prefix_is_full(gw))", "if (false)"),
    (REQUEST, "if (r == 0 && !request_is_default(&route->dst))",
     "if (r == 0)"),
    (REQUEST, "if (route->flags)", "if (false)"),
    (REQUEST, "a->len == 0 && b->len == 1", "false"),
    (REQUEST, "p->len < (p->family == 4", "p->len <= (p->family == 4"),
    (REQUEST, "if (prefix_has_host_bits(&route->dst))", "if (false)"),
    # covers
    (COVER, "low->len != high->len || low->len == 0", "low->len == 0"),
    (COVER, "while (n > 1 && join", "if (n > 1 && join"),
    (COVER, "a->peer.family ? &a->peer :", "false ? &a->peer :"),
    (COVER, "r ? r < 0 : a->len < b->len", "r ? r < 0 : a->len > b->len"),
    # names
    (NAMES, "fnmatch(expanded, name, FNM_NOESCAPE)",
     "fnmatch(pattern, name, FNM_NOESCAPE)"),
    (NAMES, "p->n_places + len > WIRE_NAME_MAX",
     "p->n_places + len >= WIRE_NAME_MAX"),
    (NAMES, "k /= p->places[i].n", "k /= p->places[i].n + 1"),
    (NAMES, "return any ? -EEXIST : -ENOENT;", "return -EEXIST;"),
    (NAMES, "if (*c == '%')\n\t\t\treturn \"it has a %\";", ""),
    (NAMES, '"lo", "all", "default"', '"lo", "default"'),
    # defaults and words
    (KEYS, "POLICY_DEFAULT_DEVICES;", "POLICY_DEFAULT_DEVICES + 1;"),
    (KEYS, "POLICY_DEFAULT_QUEUES;", "POLICY_DEFAULT_QUEUES + 1;"),
    (KEYS, "POLICY_DEFAULT_ADDRESSES;", "POLICY_DEFAULT_ADDRESSES + 1;"),
    (KEYS, "POLICY_DEFAULT_ROUTES;", "POLICY_DEFAULT_ROUTES + 1;"),
    (KEYS, "POLICY_DEFAULT_GLOBAL_DEVICES;",
     "POLICY_DEFAULT_GLOBAL_DEVICES - 1;"),
    (KEYS, "{ POLICY_DEFAULT_METRIC, UINT32_MAX }", "{ 1, UINT32_MAX }"),
    (KEYS, '.yes = "chosen", .no = "random"',
     '.yes = "random", .no = "chosen"'),
    (KEYS, "if (lines[i])", "if (false)"),
    (VALUES, "v.max = dash ? row->max : v.min;", "v.max = row->max;"),
    (VALUES, "v < row->min || v > row->max", "v < row->min"),
    (VALUES, "if (prefix_has_host_bits(&p))", "if (false)"),
    (POLICY, "if (!rule->key_line[KEY_NAME])", "if (false)"),
    (POLICY, "if (!rule->key_line[KEY_ACTION])", "if (false)"),
]

TESTS = ["test_policy", "test_policy_show"]


def compile_text(path, text, into):
    """An object of the mutant; its includes are those of the tree."""
    subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O0", "-w", "-iquote",
                    os.path.dirname(path), "-c", "-o", into, "-x", "c", "-"],
                   input=text.encode(), check=True)


def link_test(build, test, path, mutated, into):
    """The unit test with the mutant in the place of the object of path."""
    objects = [build + "/obj/tests/unit/" + test + ".o", mutated]
    for room in ("policy", "proto"):
        for name in os.listdir(build + "/obj/" + room):
            if (name.endswith(".o") and name != "describe.o" and
                    room + "/" + name != path[:-2] + ".o"):
                objects.append(build + "/obj/" + room + "/" + name)
    libs = subprocess.run(["pkg-config", "--libs", "check"], check=True,
                          capture_output=True, text=True).stdout.split()
    subprocess.run(["gcc", "-o", into] + objects + libs + ["-pthread"],
                   check=True)


def noticed(command):
    """Does the command fail, in whatever way?"""
    return subprocess.run(command, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=300,
                          env=dict(os.environ, CK_FORK="yes")).returncode != 0


def mutate(path, old, new):
    with open(path, encoding="ascii") as f:
        text = f.read()
    if text.count(old) != 1:
        sys.exit(f"mutants: {path}: {old!r} stands there "
                 f"{text.count(old)} times, not once")
    return text.replace(old, new)


def try_mutant(build, work, path, text):
    """The test that notices it, or None."""
    mutated = work + "/mutant.o"
    compile_text(path, text, mutated)
    for test in TESTS:
        link_test(build, test, path, mutated, work + "/" + test)
        if noticed([work + "/" + test]):
            return test
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    build = parser.parse_args().build
    os.chdir(os.path.dirname(os.path.abspath(__file__)) + "/../..")
    left = []
    with tempfile.TemporaryDirectory() as work:
        for mutant in MUTANTS:
            if not try_mutant(build, work, mutant[0], mutate(*mutant)):
                left.append(mutant)
                print(f"not noticed: {mutant[0]}: {mutant[1]!r} -> "
                      f"{mutant[2]!r}", flush=True)
    print(f"mutants: {len(MUTANTS) - len(left)} noticed, {len(left)} not")
    sys.exit(1 if left or not MUTANTS else 0)


if __name__ == "__main__":
    main()
