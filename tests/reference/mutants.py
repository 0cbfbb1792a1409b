#!/usr/bin/env python3
"""mutants.py BUILD [ROOM]: is a wrong policy noticed, and a wrong guard?

Each mutant below is the evaluator, or the source guard of the daemon, with one
thing changed.  It is linked with the objects in BUILD, and one of its room's
unit tests must fail with it.  A mutant whose text is not found exactly once is
an error: the table is wrong.
"""

import argparse
import glob
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
GUARD = "daemon/guard.c"
CODE = "daemon/guard_code.c"
SET = "daemon/guard_set.c"

# file, text as it stands (once), text instead
MUTANTS = [
    # who, kind, name
    (DECIDE, "q->rule->offload ? WIRE_VNET_YES : WIRE_VNET_NO",
     "WIRE_VNET_YES"),
    (DECIDE, "q->rule->offload ? WIRE_VNET_YES : WIRE_VNET_NO",
     "WIRE_VNET_NO"),
    (DECIDE, "out->vnet_hdr == WIRE_VNET_IF_ALLOWED", "false"),
    (DECIDE, "id == (group ? peer->gid : peer->uid)", "true"),
    (DECIDE, "id == (group ? peer->gid : peer->uid)", "id == peer->gid"),
    (DECIDE, "!group || id == peer->gid", "!group"),
    (DECIDE, "if (id == peer->groups[i])", "if (id != peer->groups[i])"),
    (DECIDE, "i < peer->n_groups", "i + 1 < peer->n_groups"),
    (DECIDE, "i < ids->n", "i < 1 && ids->n"),
    (DECIDE, "rule->users.any || has_any", "has_any"),
    (DECIDE, "has_any(peer, false, &rule->users) ||", ""),
    (DECIDE, "has_any(peer, true, &rule->groups);", "false;"),
    (KEYS, "if (!peer_has(peer, key == KEY_GROUP, all->id[i]))",
     "if (false)"),
    (DECIDE, "layer == WIRE_TUN ? rule->kinds.tun : rule->kinds.tap",
     "layer == WIRE_TUN ? rule->kinds.tap : rule->kinds.tun"),
    (DECIDE, "return !rule->key_line[KEY_KIND] ||",
     "return rule->key_line[KEY_KIND] &&"),
    (DECIDE, "\t\treturn rule->allow;\n", "\t\treturn true;\n"),
    (DECIDE, "\t\treturn rule->allow;\n", "\t\treturn false;\n"),
    (DECIDE, "pattern_matches(rule->names.text[i], uid, name)",
     "pattern_matches(rule->names.text[0], uid, name)"),
    (DECIDE, "if (how == POLICY_DECIDES)", "if (how != POLICY_OTHER_USER)"),
    (DECIDE, "if (!rule_about(rule, q->peer) ||", "if ("),
    (DECIDE, "line ? line : rule->line", "rule->line"),
    (DECIDE, ".metric_max = rule->metric.max", ".metric_max = UINT32_MAX"),
    (DECIDE, "!covers_kind(rule, q->ask->layer))\n\t\t\tcontinue",
     "false)\n\t\t\tcontinue"),
    (DECIDE, "i < rule->names.n && r == 0", "i < 1 && r == 0"),
    (DECIDE, "return is_taken(arg, name);", "return false;"),
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
    (LIMITS, "\tif (r > 0)\n", "\tif (false)\n"),
    (LIMITS, "\tif (n <= max)\n", "\tif (n < max)\n"),
    (LIMITS, "\tif (n <= max)\n", "\tif (n <= max + 1)\n"),
    (LIMITS, "ask->queues,\n\t\t\t    rule->max_queues",
     "ask->queues,\n\t\t\t    rule->max_routes"),
    (LIMITS, "ask->n_addresses, rule->max_addresses",
     "ask->n_addresses, rule->max_routes"),
    (LIMITS, "q->usage->routes,\n\t\t\t\trule->max_routes",
     "q->usage->routes,\n\t\t\t\trule->max_addresses"),
    (LIMITS, "ask < mtu->min", "ask <= mtu->min"),
    (LIMITS, "ask > mtu->max", "ask >= mtu->max"),
    (LIMITS, "if (request_mtu_min(q->ask, q->usage) > mtu->max)", "if (false)"),
    (LIMITS, "|| q->rule->mac_chosen)", "|| true)"),
    (LIMITS, "q->ask->vnet_hdr != WIRE_VNET_YES || q->rule->offload", "true"),
    (LIMITS, "q->ask->vnet_hdr != WIRE_VNET_YES", "!q->ask->vnet_hdr"),
    (LIMITS, "q->usage->devices >= q->rule->max_devices",
     "q->usage->devices > q->rule->max_devices"),
    (LIMITS, "q->usage->all_devices >= q->policy->global.max_devices",
     "q->usage->all_devices > q->policy->global.max_devices"),
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
    (REQUEST, "ask->mtu < request_mtu_min(ask, usage)", "false"),
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
    (COVER, "(int)a->len - (int)b->len", "(int)b->len - (int)a->len"),
    (REQUEST, "if (!in_order)", "if (false)"),
    (REQUEST, "sorted[i] < again", "sorted[i] > again"),
    # names
    (NAMES, "fnmatch(expanded, name, FNM_NOESCAPE)",
     "fnmatch(pattern, name, FNM_NOESCAPE)"),
    (NAMES, "p->n_places + len > WIRE_NAME_MAX",
     "p->n_places + len >= WIRE_NAME_MAX"),
    (NAMES, "k /= p->places[i].n", "k /= p->places[i].n + 1"),
    (NAMES, "if (!any)\n\t\treturn -ENOENT;", ""),
    (NAMES, "any_taken ? -EEXIST : -EPERM", "-EEXIST"),
    (NAMES, "if (!strchr(letters, *c))", "if (false)"),
    (NAMES, "!strchr(\"*?[%\", *at) && !strchr(letters, *at)", "false"),
    (NAMES, "if (!may_meet(own, other))", "if (may_meet(own, other))"),
    (NAMES, "places++ == WIRE_NAME_MAX", "++places == WIRE_NAME_MAX"),
    (NAMES, "name = ++behind;", "name++;"),
    (NAMES, "if (is_others(others, name, &work))", "if (false)"),
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
    # the guard: which sources
    (SET, "{ { { 0 }, 4, 8 }, GUARD_END_DROP",
     "{ { { 0 }, 4, 9 }, GUARD_END_DROP"),
    (SET, "{ { { 0 }, 4, 8 }, GUARD_END_DROP, GUARD_END_DROP }",
     "{ { { 0 }, 4, 8 }, GUARD_END_DROP, GUARD_END_ACCEPT }"),
    (SET, "{ { { 0 }, 4, 32 }, GUARD_END_DROP, GUARD_END_ZERO }",
     "{ { { 0 }, 4, 32 }, GUARD_END_DROP, GUARD_END_DROP }"),
    (SET, "{ { { 127 }, 4, 8 }", "{ { { 127 }, 4, 16 }"),
    (SET, "{ { { 224 }, 4, 4 }", "{ { { 224 }, 4, 3 }"),
    (SET, "{ { { 255, 255, 255, 255 }, 4, 32 }",
     "{ { { 255, 255, 255, 254 }, 4, 32 }"),
    (SET, "{ { { 0 }, 6, 128 }", "{ { { 1 }, 6, 128 }"),
    (SET, "{ { { [15] = 1 }, 6, 128 }", "{ { { [15] = 2 }, 6, 128 }"),
    (SET, "[11] = 0xff }, 6, 96 }", "[11] = 0xff }, 6, 97 }"),
    (SET, "{ { { 0xfe, 0x80 }, 6, 10 }", "{ { { 0xfe, 0x80 }, 6, 11 }"),
    (SET, "6, 10 }, GUARD_END_DROP, GUARD_END_LINK",
     "6, 10 }, GUARD_END_DROP, GUARD_END_DROP"),
    (SET, "{ { { 0xff }, 6, 8 }", "{ { { 0xff }, 6, 9 }"),
    (SET, "len > word * WORD_BITS ? len % WORD_BITS : 0",
     "len % WORD_BITS"),
    (SET, "& ~behind(i, l.len)", ""),
    (SET, "l.len = len < bits ? len : bits;", "l.len = len ? len : bits;"),
    (SET, "return a[i] < b[i] ? -1 : 1;", "return (int)(a[i] - b[i]);"),
    (SET, "return a->len < b->len ? -1 : 1;",
     "return a->len > b->len ? -1 : 1;"),
    (SET, "return a->final ? -1 : 1;", "return a->final ? 1 : -1;"),
    (SET, "return (int)a->end - (int)b->end;",
     "return (int)b->end - (int)a->end;"),
    (SET, "\t\tset->n--;\n", "\t\t;\n"),
    (SET, "(l->first[i] | behind(i, l->len)) + carry",
     "(l->first[i] | behind(i, l->len)) + 1"),
    (SET, "carry = carry && ret[i] == 0;", "carry = false;"),
    (SET, "compare_addresses(next, first) > 0",
     "compare_addresses(next, first) >= 0"),
    (SET, "if (first && (!any ||", "if (first && (any &&"),
    (SET, "s->within[s->depth - 2]->end", "s->within[0]->end"),
    (SET, "if (in->final && !l->final)", "if (false)"),
    (SET, "if (in->final && !l->final)", "if (in->final)"),
    (SET, "if (s->depth > 1 && in->len == l->len)", "if (false)"),
    (SET, "s->depth > 1 && in->len == l->len", "in->len == l->len"),
    (SET, "true);\n\t}\n\tfor (size_t i = 0; i < spec->n_own",
     "false);\n\t}\n\tfor (size_t i = 0; i < spec->n_own"),
    (SET, "prefix_bits(family),\n\t\t\t\t\t       GUARD_END_DROP, true",
     "spec->own[i].len,\n\t\t\t\t\t       GUARD_END_DROP, true"),
    (SET, "GUARD_END_DROP, true);", "GUARD_END_DROP, false);"),
    (SET, "if (spec->own[i].family == family)", "if (true)"),
    (SET, "if (net->net.family == family)", "if (true)"),
    (SET, "net->what == GUARD_ALLOW", "net->what != GUARD_ALLOW"),
    # which packets
    (GUARD, "#define IP4_FRAGMENT		AT(6)",
     "#define IP4_FRAGMENT		AT(4)"),
    (GUARD, "#define IP4_SOURCE		AT(12)",
     "#define IP4_SOURCE		AT(16)"),
    (GUARD, "#define IP6_SOURCE		AT(8)",
     "#define IP6_SOURCE		AT(24)"),
    (GUARD, "#define ARP_SENDER		AT(14)",
     "#define ARP_SENDER		AT(24)"),
    (GUARD, "#define IP4_NO_OPTIONS		0x45",
     "#define IP4_NO_OPTIONS		0x46"),
    (GUARD, "0x3fff", "0x1fff"),
    (GUARD, "0x3fff", "0x7fff"),
    (GUARD, "ARPHRD_ETHER << 16", "ARPHRD_IEEE802 << 16"),
    (GUARD, "(68 << 16 | 67)", "(67 << 16 | 68)"),
    (GUARD, "(546 << 16 | 547)", "(547 << 16 | 546)"),
    (GUARD, "ND_ROUTER_SOLICIT, ND", "ND_ROUTER_ADVERT, ND"),
    (GUARD, "ND_NEIGHBOR_SOLICIT, ND_NEIGHBOR_ADVERT,",
     "ND_NEIGHBOR_SOLICIT,"),
    (GUARD, "IPPROTO_ICMPV6, icmp, udp)", "IPPROTO_ICMPV6, icmp, icmp)"),
    (GUARD, "IPPROTO_UDP, udp, DROP)", "IPPROTO_UDP, udp, udp)"),
    (GUARD, "\tif (dhcp)\n", ""),
    (GUARD, "dhcp ? dhcp4(c) : DROP", "dhcp4(c)"),
    (GUARD, "dhcp ? dhcp4(c) : DROP", "dhcp ? ACCEPT : DROP"),
    (GUARD, "IP4_IS_FRAGMENT, DROP, at)", "IP4_IS_FRAGMENT, at, at)"),
    (GUARD, "IP4_PROTOCOL, IPPROTO_UDP, at)",
     "IP4_PROTOCOL, IPPROTO_TCP, at)"),
    (GUARD, "return expect(c, GUARD_WORD, IP4_DESTINATION, "
     "INADDR_BROADCAST, at);", "return at;"),
    (GUARD, "\tat = expect(c, GUARD_BYTE, IP4_VERSION_LENGTH, "
     "IP4_NO_OPTIONS, at);\n", ""),
    (GUARD, "ARP_LENGTHS_AND(ARPOP_REQUEST), ACCEPT)",
     "ARP_LENGTHS_AND(ARPOP_REPLY), ACCEPT)"),
    (GUARD, "ETH_P_ARP, probe, ip4)", "ETH_P_ARP, ACCEPT, ip4)"),
    (GUARD, "ARP_LENGTHS_AND(ARPOP_REPLY), at,",
     "ARP_LENGTHS_AND(ARPOP_RREQUEST), at,"),
    (GUARD, "\treturn expect(c, GUARD_WORD, ARP_TYPES, "
     "ARP_ETHERNET_IP4, at);", "\treturn at;"),
    (GUARD, "return guard_code_load(c, GUARD_WORD, AT_VLAN, at);",
     "return at;"),
    (GUARD, "guard_code_if(c, GUARD_EQUAL, 0, at, DROP)",
     "guard_code_if(c, GUARD_EQUAL, 1, at, DROP)"),
    (GUARD, "ETH_P_IPV6, ip6, other)", "ETH_P_IPV6, ip6, ip4)"),
    (GUARD, "GUARD_EQUAL, ETH_P_IP, ip4, at)",
     "GUARD_EQUAL, ETH_P_IP, ip4, ip6)"),
    (GUARD, "\tif (spec->ethernet)\n\t\tother", "\t\tother"),
    # the tree
    (GUARD, "return change->first[word] < first;",
     "return change->first[word] > first;"),
    (GUARD, "if (change->first[word] != 0)", "if (false)"),
    (GUARD, "\t\tp.end = p.at->end;\n", "\t\t;\n"),
    (GUARD, "first[p.word] > last)", "first[p.word] >= last)"),
    (GUARD, "return after.n == 0 && after.end == s->end;",
     "return after.n == 0;"),
    (GUARD, "return after.n == 0 && after.end == s->end;",
     "return after.end == s->end;"),
    (GUARD, "return after.n == 0 && after.end == s->end;",
     "return false;"),
    (GUARD, "*ret_single = part(s, value, value);",
     "*ret_single = part(s, value, value + 1);"),
    (GUARD, "s->at[s->n / 2].first", "s->at[0].first"),
    (GUARD, "\tif (value == s->first)\n\t\treturn value + 1;\n", ""),
    (GUARD, "part(s, s->first, value - 1)", "part(s, s->first, value)"),
    (GUARD, "high = part(s, value, s->last)",
     "high = part(s, value - 1, s->last)"),
    (GUARD, "\tnext.word++;\n", ""),
    (GUARD, "4 * (int)next.word", "4 * (int)s->word"),
    (GUARD, "return below >= above ? value : value + 1;",
     "return value;"),
    (GUARD, "(set4.n + set6.n) / 2 > code.cap",
     "(set4.n + set6.n) * 2 > code.cap"),
    # instructions
    (CODE, "#define SKIP_MAX	UINT8_MAX",
     "#define SKIP_MAX	(UINT8_MAX + 1)"),
    (CODE, "#define SKIP_MAX	UINT8_MAX", "#define SKIP_MAX	UINT16_MAX"),
    (CODE, "BPF_JMP | BPF_K | BPF_JGE", "BPF_JMP | BPF_K | BPF_JGT"),
    (CODE, "return c->n - number - 1;", "return c->n - number;"),
    (CODE, "number -= i.k + 1;", "number -= i.k;"),
    (CODE, "\tif (i.code == CODE_JUMP) {", "\tif (false) {"),
    (CODE, "if (i.code != CODE_RETURN)", "if (true)"),
    (CODE, "if (number + 1 == c->n)\n\t\treturn;", "return;"),
    (CODE, "\tif (next == GUARD_END_DROP)\n\t\treturn next;\n", ""),
    (CODE, "cap < GUARD_INSNS_MAX ? cap : GUARD_INSNS_MAX", "cap"),
    (CODE, "accept = { CODE_RETURN, 0, 0, 1 }",
     "accept = { CODE_RETURN, 0, 0, 0 }"),
    (CODE, "drop = { CODE_RETURN, 0, 0, 0 }",
     "drop = { CODE_RETURN, 0, 0, 1 }"),
    (CODE, "\tif (yes == no)\n\t\treturn yes;\n", ""),
    (CODE, "to_no = near_by(c, no);", "to_no = near_by(c, yes);"),
    (CODE, "\tput_next(c, place);\n\tif (c->full)", "\tif (c->full)"),
    (CODE, "\tif (c->full)\n\t\treturn -E2BIG;\n", ""),
]

# room: the programs that must notice, each with a case of its tests or all of
# them; other rooms that its objects need; and other objects.
ROOMS = {
    "policy": ([("test_policy", None), ("test_policy_show", None)],
               ["proto"], []),
    "daemon": ([("test_guard", case) for case in
                ("sentences", "random", "sizes", "kernel")],
               ["proto"], ["tests/reference/guard_"]),
}
# In the daemon only what is pure.
ONLY = {"daemon": "guard"}


def compile_text(path, text, into):
    """An object of the mutant; its includes are those of the tree."""
    subprocess.run(["gcc", "-std=c11", "-D_GNU_SOURCE", "-O0", "-w", "-iquote",
                    os.path.dirname(path), "-c", "-o", into, "-x", "c", "-"],
                   input=text.encode(), check=True)


def link_test(build, test, path, mutated, into):
    """The unit test with the mutant in the place of the object of path."""
    room = os.path.dirname(path)
    _, rooms, others = ROOMS[room]
    starts = [room + "/" + ONLY.get(room, "")]
    starts += [other + "/" for other in rooms] + others
    objects = [build + "/obj/tests/unit/" + test + ".o", mutated]
    for start in starts:
        for name in glob.glob(build + "/obj/" + start + "*.o"):
            if not name.endswith(("/describe.o", "/" + path[:-2] + ".o")):
                objects.append(name)
    libs = subprocess.run(["pkg-config", "--libs", "check"], check=True,
                          capture_output=True, text=True).stdout.split()
    subprocess.run(["gcc", "-o", into] + objects + libs + ["-pthread"],
                   check=True)


def noticed(command, case):
    """Does the command fail, in whatever way?"""
    env = dict(os.environ, CK_FORK="yes")
    if case:
        env["CK_RUN_CASE"] = case
    return subprocess.run(command, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, timeout=300,
                          env=env).returncode != 0


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
    for test, case in ROOMS[os.path.dirname(path)][0]:
        link_test(build, test, path, mutated, work + "/" + test)
        if noticed([work + "/" + test], case):
            return test
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("room", nargs="?", choices=ROOMS)
    args = parser.parse_args()
    build = args.build
    mutants = [m for m in MUTANTS
               if args.room in (None, os.path.dirname(m[0]))]
    os.chdir(os.path.dirname(os.path.abspath(__file__)) + "/../..")
    left = []
    with tempfile.TemporaryDirectory() as work:
        for mutant in mutants:
            if not try_mutant(build, work, mutant[0], mutate(*mutant)):
                left.append(mutant)
                print(f"not noticed: {mutant[0]}: {mutant[1]!r} -> "
                      f"{mutant[2]!r}", flush=True)
    print(f"mutants: {len(mutants) - len(left)} noticed, {len(left)} not")
    sys.exit(1 if left or not mutants else 0)


if __name__ == "__main__":
    main()
