#!/usr/bin/env python3
"""A second implementation of the policy of tuntapd.conf(5), and a
differential test of the first one against it.

Written from the manual page and the line protocol (head of judge.c) alone;
PROTOCOL in comments is the latter.
In three parts: the reference (parse, decide), a generator of random
policies and requests, and the comparison.  Words in quotation marks in
comments are the manual's.
"""

import argparse
import functools
import itertools
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import time

# ======================================================================
# 1. The reference
# ======================================================================

# ---------------------------------------------------------------------
# Addresses.  A prefix is (bits, address, length): bits is 32 or 128 and
# names the family, address is an integer.
# ---------------------------------------------------------------------

IPV4, IPV6 = 32, 128

# "shorter than /8, for IPv6 /16"
SHORTEST = {IPV4: 8, IPV6: 16}


def parse_address(text):
    """(bits, address) of an address; ValueError if it is none."""
    try:
        if ":" in text:
            raw = socket.inet_pton(socket.AF_INET6, text)
        else:
            raw = socket.inet_pton(socket.AF_INET, text)
    except OSError:
        raise ValueError("not an address")
    return len(raw) * 8, int.from_bytes(raw, "big")


def format_address(bits, address):
    raw = address.to_bytes(bits // 8, "big")
    family = socket.AF_INET if bits == IPV4 else socket.AF_INET6
    return socket.inet_ntop(family, raw)


def format_prefix(prefix):
    bits, address, length = prefix
    return "%s/%d" % (format_address(bits, address), length)


def parse_prefix(text):
    """address/length, whatever bits are set behind the length."""
    address_text, slash, length_text = text.partition("/")
    if not slash or not re.fullmatch("[0-9]+", length_text):
        raise ValueError("no length")
    bits, address = parse_address(address_text)
    length = int(length_text)
    if length > bits:
        raise ValueError("length")
    return bits, address, length


def network(prefix):
    """The prefix without the bits behind its length."""
    bits, address, length = prefix
    behind = bits - length
    return bits, address >> behind << behind, length


def lies_in(inner, outer):
    """Does the whole of inner lie in outer?"""
    if inner[0] != outer[0] or inner[2] < outer[2]:
        return False
    behind = outer[0] - outer[2]
    return inner[1] >> behind == outer[1] >> behind


def lies_in_one(prefix, outers):
    return any(lies_in(prefix, outer) for outer in outers)


# "What no policy can allow": "Addresses, peers, gateways and routes in"
# these, "and networks and routes that cover one of these".
FORBIDDEN = [parse_prefix(t) for t in (
    "0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32",
    "::/128", "::1/128", "ff00::/8", "::ffff:0:0/96")]


def in_forbidden(prefix):
    return lies_in_one(prefix, FORBIDDEN)


def covers_forbidden(prefix):
    return any(lies_in(f, prefix) for f in FORBIDDEN)


# ---------------------------------------------------------------------
# Patterns: "glob(7) in which %u stands for the user's uid".  A pattern
# is a list of tokens: ("is", c), ("any",), ("star",) or
# ("set", characters, negated).
# ---------------------------------------------------------------------

DIGITS = "0123456789"
SMALL = "abcdefghijklmnopqrstuvwxyz"
LARGE = SMALL.upper()
# The order in which a set is gone through (key name).
SET_ORDER = DIGITS + SMALL + LARGE + "-_."


def parse_pattern(text):
    """The tokens of a pattern in which %u is already a uid."""
    if ";" in text or "#" in text:
        # "there is no ; and no # in them"
        raise ValueError("begins a comment")
    tokens = []
    i = 0
    while i < len(text):
        c = text[i]
        if c in "\\%":
            # "Escapes ... are not known"; of '%' only %u is.
            raise ValueError("escape or %")
        elif c == "*":
            tokens.append(("star",))
        elif c == "?":
            tokens.append(("any",))
        elif c == "[":
            token, i = parse_set(text, i)
            tokens.append(token)
        elif c not in SET_ORDER:
            # "no pattern has what no name has"
            raise ValueError("no letter of names")
        else:
            tokens.append(("is", c))
        i += 1
    return tokens


def parse_set(text, start):
    """The set at text[start] == '['; its token, and where its ']' is."""
    i = start + 1
    negated = text[i:i + 1] == "!"
    if negated:
        i += 1
    # glob(7): the string in the brackets cannot be empty, so that a ']'
    # that comes first is one of the characters.
    end = text.find("]", i + 1)
    if end < 0:
        raise ValueError("set without an end")
    inner = text[i:end]
    if inner[:1] == "]" or "[" in inner or "%" in inner:
        # "no brackets and no %u"
        raise ValueError("bracket in a set")
    if "\\" in inner or re.search(r"\[[:.=]", text[start + 1:end]):
        # "Escapes and classes like [[:digit:]] are not known."
        raise ValueError("class or escape")
    characters = set()
    k = 0
    while k < len(inner):
        # glob(7): '-' first or last is itself, else it makes a range.
        if k + 2 < len(inner) and inner[k + 1] == "-":
            low, high = ord(inner[k]), ord(inner[k + 2])
            if low > high:
                raise ValueError("range of a set")
            characters.update(chr(o) for o in range(low, high + 1))
            k += 3
        else:
            characters.add(inner[k])
            k += 1
    # "a set holds at least one letter, digit, -, _ or ."
    if not any((c in characters) != negated for c in SET_ORDER):
        raise ValueError("set without a letter")
    return ("set", frozenset(characters), negated), end


@functools.lru_cache(maxsize=50000)
def tokens_of(pattern, uid):
    return parse_pattern(pattern.replace("%u", str(uid)))


@functools.lru_cache(maxsize=50000)
def expression_of(pattern, uid):
    """The regular expression that says what the pattern says."""
    out = []
    for token in tokens_of(pattern, uid):
        if token[0] == "is":
            out.append(re.escape(token[1]))
        elif token[0] == "any":
            out.append(".")
        elif token[0] == "star":
            out.append(".*")
        else:
            characters = "".join(re.escape(c) for c in sorted(token[1]))
            out.append("[%s%s]" % ("^" if token[2] else "", characters))
    return re.compile("".join(out), re.DOTALL)


def name_matches(name, pattern, uid):
    # "A '.' at the beginning of a name is a letter like another."
    return expression_of(pattern, uid).fullmatch(name) is not None


TRIED = 16384       # "At most 16384 names are tried"
NAME_MAX = 15       # "of more than 15 bytes"


def names_of(pattern, uid):
    """The names that a pattern gives to who asks for none, in order."""
    number = None           # where the first '*' is
    places = []
    for token in tokens_of(pattern, uid):
        if token[0] == "is":
            places.append([token[1]])
        elif token[0] == "any":
            places.append(list(DIGITS))     # "every '?' a digit"
        elif token[0] == "set":
            # "and a set one of its letters"
            places.append([c for c in SET_ORDER
                           if (c in token[1]) != token[2]])
        elif number is None:
            number = len(places)            # "a number from 0 on"
            places.append(["0"])
        # "further '*' are nothing"
    if [] in places:
        return
    for n in itertools.count():
        if number is not None:
            places[number] = [str(n)]
        # "The last of these places changes fastest, and the number only
        # when all have been gone through."
        for letters in itertools.product(*places):
            yield "".join(letters)
        if number is None:
            return
        if len("".join(letters)) > NAME_MAX:
            return          # all that follow are longer still


def valid_name(name):
    """"What no policy can allow": names."""
    if len(name.encode()) > NAME_MAX:
        return False
    if name in ("", "lo", "all", "default", ".", ".."):
        return False
    # "of other than letters, digits, -, _ and ."
    return all(c in SET_ORDER for c in name)


# ---------------------------------------------------------------------
# Syntax
# ---------------------------------------------------------------------

class Fault(Exception):
    def __init__(self, line):
        self.line = line


LINE_MAX = 20480
FILE_MAX = 65536
LIST_MAX = 256
RULES_MAX = 1024
ADDRESSES_MAX = 64
ROUTES_MAX = 256
UID_MAX = 4294967294
RULE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,47}")


def words(*known):
    def parse_word(text):
        if text not in known:
            raise ValueError("not one of the words")
        return text
    return parse_word


def parse_decimal(text):
    if not re.fullmatch("[0-9]+", text):
        raise ValueError("not a number")
    return int(text)


def number(low, high):
    def parse_number(text):
        value = parse_decimal(text)
        if not low <= value <= high:
            raise ValueError("out of bounds")
        return value
    return parse_number


def span(low, high):
    """"A range is low-high, low- without an end, or a single number.\""""
    def parse_span(text):
        first, dash, last = text.partition("-")
        start = parse_decimal(first)
        if not dash:
            end = start
        elif last == "":
            end = high
        else:
            end = parse_decimal(last)
        if not low <= start <= end <= high:
            raise ValueError("out of bounds")
        return start, end
    return parse_span


def entries(text):
    """"Entries of a list are separated by commas.\""""
    items = [item.strip(" \t") for item in text.split(",")]
    if len(items) > LIST_MAX or "" in items:
        raise ValueError("list")
    return items


def parse_id(letter, text):
    """A uid or gid, or the name of one: uN and gN are N (PROTOCOL)."""
    match = re.fullmatch("%s?([0-9]+)" % letter, text)
    if not match or int(match[1]) > UID_MAX:
        raise ValueError("no such user or group")
    return int(match[1])


def parse_users(text):
    if text == "any":
        return "any"
    return [parse_id("u", item) for item in entries(text)]


def parse_groups(text):
    return [parse_id("g", item) for item in entries(text)]


def parse_kinds(text):
    return [words("tun", "tap")(item) for item in entries(text)]


def parse_names(text):
    items = entries(text)
    for item in items:
        parse_pattern(item.replace("%u", "0"))
    return items


def parse_prefixes(text):
    """"an address and a length, with no bits set behind it\""""
    prefixes = [parse_prefix(item) for item in entries(text)]
    for prefix in prefixes:
        if prefix != network(prefix):
            raise ValueError("bits behind the length")
    return prefixes


def parse_source(text):
    return text if text == "auto" else parse_prefixes(text)


yes_or_no = words("yes", "no")

# "What an absent key means": key, how it is read, what it is if absent.
ABSENT = object()
RULE_KEYS = {
    "action": (words("allow", "deny"), ABSENT),
    "user": (parse_users, []),
    "group": (parse_groups, []),
    "kind": (parse_kinds, ["tun", "tap"]),
    "name": (parse_names, ABSENT),
    "address": (parse_prefixes, []),
    "source": (parse_source, "auto"),
    "route": (parse_prefixes, []),
    "default-route": (yes_or_no, "no"),
    "shadow": (yes_or_no, "no"),
    "metric": (span(1, 4294967295), (1000, 4294967295)),
    "mtu": (span(68, 65535), (68, 65535)),
    "max-devices": (number(1, 65535), 2),
    "max-queues": (number(1, 64), 4),
    "max-addresses": (number(0, 64), 4),
    "max-routes": (number(0, 131072), 32),
    "mac": (words("random", "chosen"), "random"),
    "dhcp": (yes_or_no, "yes"),
    "offload": (yes_or_no, "no"),
    "source-guard": (words("required", "off"), "required"),
    "on-tamper": (words("revoke", "log"), "revoke"),
}
GLOBAL_KEYS = {"max-devices": (number(1, 65535), 4096)}


class Section:
    """A rule or [global]: header's line, and for each key its value and
    line."""

    def __init__(self, name, line, known):
        self.name, self.line, self.known = name, line, known
        self.keys = {}

    def __getitem__(self, key):
        if key in self.keys:
            return self.keys[key][0]
        return self.known[key][1]

    def __contains__(self, key):
        return key in self.keys

    def where(self, key):
        """What a refusal by this key names (PROTOCOL): its line, or that
        of the header."""
        return "p.conf:%d" % (self.keys[key][1] if key in self.keys
                              else self.line)


class Policy:
    def __init__(self):
        self.rules = []
        self.globals = None


def without_comment(line):
    """A line of bytes without its comment and the space around it."""
    line = line.strip(b" \t")
    if line[:1] in (b"#", b";"):
        return b""
    # "and so is what follows a ';' behind white space"
    match = re.search(rb"[ \t];", line)
    if match:
        line = line[:match.start()]
    return line.strip(b" \t")


def end_section(section):
    """What must be there in a rule."""
    if section is None or section.known is GLOBAL_KEYS:
        return
    if "action" not in section:
        raise Fault(section.line)
    if "user" not in section and "group" not in section:
        raise Fault(section.line)
    if section["action"] == "allow":
        if "kind" not in section or "name" not in section:
            raise Fault(section.line)


def begin_section(policy, text, line):
    match = re.fullmatch(r"\[(.*)\]", text)
    inside = match[1].split() if match else []
    if inside == ["global"]:
        if policy.globals is not None:
            raise Fault(line)
        policy.globals = Section(None, line, GLOBAL_KEYS)
        return policy.globals
    if len(inside) != 2 or inside[0] != "rule":
        raise Fault(line)
    if not RULE_NAME.fullmatch(inside[1]):
        raise Fault(line)
    if any(rule.name == inside[1] for rule in policy.rules):
        raise Fault(line)
    if len(policy.rules) == RULES_MAX:
        raise Fault(line)
    policy.rules.append(Section(inside[1], line, RULE_KEYS))
    return policy.rules[-1]


def parse(text):
    """The policy that the text of p.conf is; Fault if it is none."""
    raw = text.encode()
    if len(raw) > FILE_MAX:
        raise Fault(1)      # "told as of its first line"
    policy = Policy()
    section = None
    lines = raw.split(b"\n")
    for line, content in enumerate(lines, 1):
        if len(content) > LINE_MAX:
            raise Fault(line)
        content = without_comment(content)
        if not content.isascii():
            raise Fault(line)
        content = content.decode()
        if content == "":
            continue
        if content.startswith("["):
            end_section(section)
            section = begin_section(policy, content, line)
            continue
        key, equals, value = content.partition("=")
        key, value = key.strip(" \t"), value.strip(" \t")
        if not equals or section is None:
            raise Fault(line)
        if key not in section.known or key in section:
            raise Fault(line)
        try:
            section.keys[key] = (section.known[key][0](value), line)
        except ValueError:
            raise Fault(line)
    end_section(section)
    return policy


# ---------------------------------------------------------------------
# What no policy can allow
# ---------------------------------------------------------------------

class Refused(Exception):
    """Code and rule of the answer, and what refused, for the counts."""

    def __init__(self, code, rule, why):
        self.code, self.rule, self.why = code, rule, why


class Unclear(Exception):
    """The manual and the protocol leave the answer open."""


def parse_mac(text):
    return bytes.fromhex(text.replace(":", ""))


def prefix_faults(prefix):
    """Of an address or a peer: a list of ("invalid" | "short", why)."""
    bits, address, length = prefix
    if in_forbidden((bits, address, bits)):
        return [("invalid", "forbidden range")]
    # "Addresses, and peers, whose own prefix is shorter"; PROTOCOL: after
    # the ranges of its own address (and so before what it covers).
    if length < SHORTEST[bits]:
        return [("short", "short prefix")]
    if covers_forbidden(network(prefix)):
        return [("invalid", "covers forbidden range")]
    return []


def address_faults(addresses):
    faults = []
    seen = set()
    for local, peer in addresses:
        faults += prefix_faults(local)
        if peer is not None:
            faults += prefix_faults(peer)
            if peer[0] != local[0]:
                faults.append(("invalid", "peer of another family"))
            # "an address with a peer whose length is not the full one":
            # the peer has the network's length, the address the full one.
            if local[2] != local[0]:
                faults.append(("invalid", "address with peer not full"))
        if local[:2] in seen:
            faults.append(("invalid", "address twice"))
        seen.add(local[:2])
    return faults


def route_faults(routes):
    faults = []
    for dst, gateway, _ in routes:
        if dst != network(dst):
            faults.append(("invalid", "route with bits set"))
        if in_forbidden(dst):
            faults.append(("invalid", "forbidden range"))
        elif dst[2] >= SHORTEST[dst[0]] and covers_forbidden(dst):
            # "Only a route that is as short as default-route allows may
            # cover them"
            faults.append(("invalid", "covers forbidden range"))
        if gateway is not None:
            if gateway[0] != dst[0]:
                faults.append(("invalid", "gateway of another family"))
            if gateway[2] != gateway[0]:
                faults.append(("invalid", "gateway not one address"))
            if in_forbidden((gateway[0], gateway[1], gateway[0])):
                faults.append(("invalid", "forbidden range"))
    return faults


def made_routes(dst):
    """"The daemon makes 0.0.0.0/0 and ::/0 as their two halves\""""
    bits, address, length = dst
    if length > 0:
        return [dst]
    return [(bits, 0, 1), (bits, 1 << (bits - 1), 1)]


def route_twice(routes, metrics):
    """"a route twice with the same metric\""""
    seen = set()
    for (dst, _, _), metric in zip(routes, metrics):
        for made in made_routes(dst):
            if (made, metric) in seen:
                return True
            seen.add((made, metric))
    return False


def impossible(ask):
    """Refused if no policy can allow it.  All of these are looked at
    before the rules (PROTOCOL)."""
    faults = []

    def invalid(condition, why):
        if condition:
            faults.append(("invalid", why))

    invalid(len(ask["addresses"]) > ADDRESSES_MAX, "addresses")
    invalid(len(ask["routes"]) > ROUTES_MAX, "routes")
    invalid(ask["name"] != "" and not valid_name(ask["name"]), "name")
    invalid(not 1 <= ask["queues"] <= 64, "queues")
    invalid(ask["txqueuelen"] > 10000, "txqueuelen")
    if ask["mac"] is not None:
        mac = parse_mac(ask["mac"])
        invalid(ask["kind"] == "tun", "mac for a tun")
        invalid(mac == bytes(6) or mac[0] & 1, "mac zero or group")
    if ask["mtu"] != 0:
        invalid(not 68 <= ask["mtu"] <= 65535, "mtu")
        invalid(ask["mtu"] < 1280 and has_ipv6(ask), "mtu for IPv6")
    faults += address_faults(ask["addresses"])
    faults += route_faults(ask["routes"])
    asked = [metric for _, _, metric in ask["routes"]]
    invalid(route_twice(ask["routes"], asked), "route twice")

    codes = {code for code, _ in faults}
    if codes == {"invalid", "short"}:
        # Which comes first?  Switch mixed-faults.
        raise Unclear()
    if codes == {"short"}:
        raise Refused("policy", "", faults[0][1])
    if codes:
        raise Refused("invalid", "", faults[0][1])


def has_ipv6(ask):
    return (any(local[0] == IPV6 for local, _ in ask["addresses"])
            or any(dst[0] == IPV6 for dst, _, _ in ask["routes"]))


# ---------------------------------------------------------------------
# Which rule decides
# ---------------------------------------------------------------------

def is_about_user(rule, request):
    """"A rule with both is about whom either names\""""
    if rule["user"] == "any" or request["uid"] in rule["user"]:
        return True
    return any(gid in rule["group"]
               for gid in [request["gid"]] + request["groups"])


def is_about_name(rule, name, uid):
    if "name" not in rule:          # a rule that denies
        return True
    if name == "":
        # "the first rule that is about him and the kind and allows names;
        # a rule that denies is about such a request only if it has no
        # name"
        return rule["action"] == "allow"
    return any(name_matches(name, p, uid) for p in rule["name"])


def deciding_rule(rules, request, name):
    """"The first rule that is about the user, the kind of the device and
    its name decides.\""""
    for rule in rules:
        if (is_about_user(rule, request)
                and request["ask"]["kind"] in rule["kind"]
                and is_about_name(rule, name, request["uid"])):
            return rule
    return None


# ---------------------------------------------------------------------
# Limits, in the order of the manual
# ---------------------------------------------------------------------

def routes_are_default(bits, addresses, routes):
    """Is one route of this family shorter than /8 or /16, or are several
    that, together with the prefixes of addresses?"""
    shortest = SHORTEST[bits]
    prefixes = [dst for dst, _, _ in routes if dst[0] == bits]
    for local, peer in addresses:
        prefixes += [network(p) for p in (local, peer)
                     if p is not None and p[0] == bits]
    # What they cover, as intervals that touch none of the others.
    intervals = []
    for _, start, length in sorted(prefixes, key=lambda p: p[1]):
        end = start + (1 << (bits - length))
        if intervals and start <= intervals[-1][1]:
            intervals[-1][1] = max(end, intervals[-1][1])
        else:
            intervals.append([start, end])
    # Is one prefix that is one bit too short in there as a whole?
    size = 1 << (bits - shortest + 1)
    for start, end in intervals:
        first = (start + size - 1) // size * size
        if first + size <= end:
            return True
    return False


def settle_mtu(rule, ask):
    """What the device gets set: 0 if nothing."""
    low, high = rule["mtu"]
    if ask["mtu"] != 0:
        mtu = ask["mtu"]
        holds = low <= mtu <= high
    else:
        # "If 1500, the kernel's own, is outside, the nearest is for who
        # asks for none."
        mtu = min(max(1500, low), high)
        # "IPv6 takes an MTU of 1280, and so a range that reaches there."
        holds = mtu >= 1280 or not has_ipv6(ask)
        if mtu == 1500:
            mtu = 0
    if not holds:
        raise Refused("policy", rule.where("mtu"), "mtu")
    return mtu


def pick_name(policy, rule, request):
    """The first free name of the first pattern."""
    exists_one = taken_one = False
    names = names_of(rule["name"][0], request["uid"])
    for name in itertools.islice(names, TRIED):
        if not valid_name(name):
            continue
        exists_one = True
        # "a name that another rule would have decided about is passed
        # over"
        if deciding_rule(policy.rules, request, name) is not rule:
            continue
        if name not in request["taken"]:
            return name
        taken_one = True
    if exists_one and not taken_one:
        # "where all of them are those of rules before"
        raise Refused("policy", rule.where("name"), "name: of others")
    if not exists_one:
        # PROTOCOL: "a pattern that can give no valid name"
        raise Refused("policy", rule.where("name"), "name: none valid")
    raise Refused("exists", rule.where("name"), "name: none free")


def check_limits(policy, rule, request):
    """The rest of the answer, if all limits of the rule hold."""
    ask = request["ask"]

    def limit(holds, key, code="policy"):
        if not holds:
            raise Refused(code, rule.where(key), key)

    limit(ask["mac"] is None or rule["mac"] == "chosen", "mac")
    limit(ask["vnet_hdr"] != 1 or rule["offload"] == "yes", "offload")
    mtu = settle_mtu(rule, ask)
    limit(ask["queues"] <= rule["max-queues"], "max-queues")
    limit(len(ask["addresses"]) <= rule["max-addresses"], "max-addresses")
    limit(len(ask["routes"]) <= rule["max-routes"], "max-routes")
    # "address for each address and its peer": "with its whole prefix"
    for local, peer in ask["addresses"]:
        limit(lies_in_one(network(local), rule["address"]), "address")
        if peer is not None:
            limit(lies_in_one(network(peer), rule["address"]), "address")
    # "route and metric for each route"
    low, high = rule["metric"]
    metrics = []
    for dst, _, metric in ask["routes"]:
        limit(lies_in_one(dst, rule["route"]), "route")
        # "The lowest is for who asks for none"
        metrics.append(metric if metric != 0 else low)
        limit(low <= metrics[-1] <= high, "metric")
    if rule["default-route"] == "no":
        for bits in (IPV4, IPV6):
            limit(not routes_are_default(bits, ask["addresses"],
                                         ask["routes"]), "default-route")
    limit(request["devices"] < rule["max-devices"], "max-devices", "quota")
    check_global(policy, request)
    # PROTOCOL: looked at again once the default metric is filled in
    if route_twice(ask["routes"], metrics):
        raise Refused("invalid", "", "route twice, default metric")
    if ask["name"] == "":
        name = pick_name(policy, rule, request)
    else:
        name = ask["name"]
        limit(name not in request["taken"], "name", "exists")
    return {"name": name, "mtu": mtu, "metrics": metrics,
            "vnet_hdr": ask["vnet_hdr"] != 0 and rule["offload"] == "yes",
            "shadow": rule["shadow"] == "yes"}


def check_global(policy, request):
    section = policy.globals
    if section is not None and "max-devices" in section:
        if request["all"] >= section["max-devices"]:
            raise Refused("quota", section.where("max-devices"),
                          "max-devices of [global]")
    elif request["all"] >= GLOBAL_KEYS["max-devices"][1]:
        raise Refused("quota", "", "max-devices of [global]")


def parse_request(request):
    """The request with its addresses and routes as prefixes."""
    def prefix_or_none(text):
        return None if text is None else parse_prefix(text)

    def one_or_none(text):
        if text is not None and "/" not in text:
            bits, address = parse_address(text)
            return bits, address, bits
        return prefix_or_none(text)

    ask = dict(request["ask"])
    ask["addresses"] = [
        (parse_prefix(a["local"]), prefix_or_none(a["peer"]))
        for a in ask["addresses"]]
    ask["routes"] = [
        (parse_prefix(r["dst"]), one_or_none(r["gateway"]), r["metric"])
        for r in ask["routes"]]
    return dict(request, ask=ask)


def decide(policy, request):
    """The answer of the protocol, and what refused (None: allowed)."""
    try:
        request = parse_request(request)
        ask = request["ask"]
        impossible(ask)
        rule = deciding_rule(policy.rules, request, ask["name"])
        if rule is None:
            raise Refused("policy", "", "no rule")
        if rule["action"] == "deny":
            raise Refused("policy", rule.where("action"), "action")
        rest = check_limits(policy, rule, request)
        answer = {"allowed": True, "rule": "p.conf:%d" % rule.line}
        answer.update(rest)
        return answer, None
    except Refused as r:
        return {"allowed": False, "code": r.code, "rule": r.rule}, r


# ======================================================================
# 2. Random policies and requests
# ======================================================================

# What is left out until the manual says what it means; --with NAME.
SWITCHES = {
    "mixed-faults": "a prefix that is too short together with what is "
                    "invalid",
}

UIDS = [0, 7, 1000, 1001, 1002, 4000000000]
GIDS = [4, 27, 100, 1000, 1001]

V4 = ["10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16", "10.1.2.0/24",
      "10.1.2.128/25", "10.1.2.3/32", "11.0.0.0/8", "10.0.0.0/7",
      "8.0.0.0/5", "0.0.0.0/0", "0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1",
      "192.168.0.0/16", "172.16.0.0/12", "198.18.0.0/15", "64.0.0.0/2",
      "198.19.0.0/17"]
V6 = ["fd00::/8", "fd00::/16", "fd01::/16", "fd00::/15", "fd00:1::/32",
      "fd00:1:2::/48", "fd00:1:2:3::/64", "fd00:1:2:3::5/128",
      "2001:db8::/32", "::/0", "::/0", "::/1", "8000::/1", "2000::/3",
      "fe80::/64", "fe80::/10", "::/64"]

LITERALS = ["tt", "vpn", "a", "ci-", "x_", "l", "lo", "0", "-", ".",
            "al", "abcdefgh"]
SETS = ["[0-9]", "[a-c]", "[ab1-3Z]", "[!0-9]", "[!a-z]", "[!A-Za-z.]",
        "[x-]", "[-x]", "[]a]", "[!]0-8]", "[_.9]", "[Z-a]", "[+]", "[o]",
        "[l]", "[0-9a-zA-Z]", "[!!]", "[a!]", "[*?]", "[+,-]"]
SETS.remove("[+,-]")        # a comma separates entries

RESERVED_NAMES = ["lo", "all", "default", ".", "..", "a/b", "a%b", "a:b",
                  "a b", "a\tb", "tt\u00e9", "a\x7f", "a\x01", "/", ":"]


def border(rng, low, high):
    """A number in low..high, most often at its ends."""
    return rng.choice([low, high, low, high, min(low + 1, high),
                       max(high - 1, low), rng.randint(low, high)])


class PolicyMaker:
    """A policy as a list of [header, [[key, value], ...]]."""

    def __init__(self, rng, switches):
        self.rng, self.switches = rng, switches

    def chance(self, p):
        return self.rng.random() < p

    def users(self):
        some = self.rng.sample(UIDS, self.rng.choice([1, 1, 2, 3]))
        return ", ".join(self.rng.choice(["%d", "%d", "u%d"]) % u
                         for u in some)

    def groups(self):
        some = self.rng.sample(GIDS, self.rng.choice([1, 1, 2]))
        return ", ".join(self.rng.choice(["%d", "%d", "g%d"]) % g
                         for g in some)

    def pattern(self):
        rng = self.rng
        while True:
            parts = [rng.choice(LITERALS)]
            if self.chance(0.15):
                parts = []
            for _ in range(rng.choice([0, 1, 1, 2, 2, 3])):
                parts.append(rng.choice(
                    [rng.choice(LITERALS), "%u", "*", "*", "?",
                     rng.choice(SETS), rng.choice(SETS)]))
            text = "".join(parts)
            if text in ("", "lo", "all", "default", ".", ".."):
                continue
            if self.chance(0.04):
                text = rng.choice(["al[l]", "l[o]", "abcdefghijkl%u",
                                   "abcdefghijk%u", "abcde%u", "abcdef%u",
                                   "abcdefghijklmn*", "abcdefghijklmno*",
                                   "a[+]", "*", "?", "l?", "[l][n-p]",
                                   "t[0-3][ab]*", "%u", "%u%u"])
            return text

    def patterns(self, earlier):
        some = [self.pattern()
                for _ in range(self.rng.choice([1, 1, 1, 2, 3]))]
        if earlier and self.chance(0.35):
            some[0] = self.rng.choice(earlier)
        earlier += some
        return some

    def narrower(self, pattern):
        """A pattern that takes a part of what another one gives."""
        how = self.rng.randrange(4)
        if how == 0 and "*" in pattern:
            return pattern.replace("*", self.rng.choice(
                ["?", "[0-4]", "0", "[!5]", "??", "*0"]), 1)
        if how == 1 and "?" in pattern:
            return pattern.replace("?", self.rng.choice(
                ["[0-7]", "0", "[!9]"]), 1)
        if how == 2:
            return pattern.replace("%u", "*", 1)
        return pattern

    def prefixes(self, pool_bias=0.6):
        rng = self.rng
        pools = rng.choice([V4, V6, V4 + V6, V4 + V6])
        some = []
        for _ in range(rng.choice([1, 1, 2, 3])):
            some.append(rng.choice(pools))
        if some and self.chance(0.3):
            # overlapping: a part of the one before
            bits, address, length = parse_prefix(some[-1])
            length = min(bits, length + rng.choice([0, 1, 2, 8]))
            address |= rng.getrandbits(bits) & ((1 << (bits - parse_prefix(
                some[-1])[2])) - 1)
            some.append(format_prefix(network((bits, address, length))))
        rng.shuffle(some)
        return ", ".join(some)

    def span(self, low, high, points):
        rng = self.rng
        a, b = sorted([rng.choice(points), rng.choice(points)])
        return rng.choice(["%d-%d" % (a, b), "%d-%d" % (a, b), "%d-" % a,
                           "%d" % a])

    def limits(self):
        rng = self.rng
        keys = []

        def maybe(p, key, value):
            if self.chance(p):
                keys.append([key, str(value())])

        maybe(0.75, "address", self.prefixes)
        if self.chance(0.75):
            if self.chance(0.25):
                keys.append(["route", rng.choice([
                    "0.0.0.0/0, ::/0", "0.0.0.0/0", "8.0.0.0/5, ::/0",
                    "0.0.0.0/1, 128.0.0.0/1", "::/1, 8000::/1",
                    "10.0.0.0/7, fd00::/15"])])
            else:
                keys.append(["route", self.prefixes()])
        maybe(0.5, "default-route",
              lambda: rng.choice(["yes", "yes", "no"]))
        maybe(0.3, "shadow", lambda: rng.choice(["yes", "no"]))
        maybe(0.4, "metric", lambda: self.span(1, 4294967295, [
            1, 1, 2, 5, 100, 999, 1000, 1001, 4294967294, 4294967295]))
        maybe(0.4, "mtu", lambda: self.span(68, 65535, [
            68, 69, 576, 1000, 1279, 1280, 1281, 1400, 1499, 1500, 1501,
            9000, 65534, 65535]))
        maybe(0.5, "max-devices",
              lambda: rng.choice([1, 1, 2, 3, 5, 200, 65535]))
        maybe(0.4, "max-queues",
              lambda: rng.choice([1, 1, 2, 3, 8, 63, 64]))
        maybe(0.4, "max-addresses",
              lambda: rng.choice([0, 1, 1, 2, 3, 5, 64]))
        maybe(0.4, "max-routes",
              lambda: rng.choice([0, 1, 1, 2, 3, 5, 33, 256]))
        maybe(0.5, "mac", lambda: rng.choice(["chosen", "chosen", "random"]))
        maybe(0.45, "offload", lambda: rng.choice(["yes", "yes", "no"]))
        maybe(0.1, "dhcp", lambda: rng.choice(["yes", "no"]))
        maybe(0.1, "source-guard",
              lambda: rng.choice(["required", "off"]))
        maybe(0.1, "on-tamper", lambda: rng.choice(["revoke", "log"]))
        maybe(0.1, "source", lambda: rng.choice(["auto", self.prefixes()]))
        return keys

    def rule(self, earlier):
        rng = self.rng
        deny = self.chance(0.25)
        keys = [["action", "deny" if deny else "allow"]]
        who = rng.choice(["user", "user", "group", "both", "any"])
        if who == "any":
            keys.append(["user", "any"])
        if who in ("user", "both"):
            keys.append(["user", self.users()])
        if who in ("group", "both"):
            keys.append(["group", self.groups()])
        if not deny or self.chance(0.3):
            keys.append(["kind", rng.choice(
                ["tun", "tap", "tun, tap", "tap,tun", "tun, tap"])])
        if not deny:
            keys.append(["name", ", ".join(self.patterns(earlier))])
            keys += self.limits()
        elif self.chance(0.75):
            some = [self.pattern()]
            if earlier and self.chance(0.5):
                some = [self.narrower(rng.choice(earlier))]
            keys.append(["name", ", ".join(some)])
        rng.shuffle(keys)
        return keys

    def sections(self):
        rng = self.rng
        earlier = [self.pattern() for _ in range(2)]
        out = []
        for i in range(rng.choice([1, 1, 2, 2, 3, 4, 6])):
            name = rng.choice(["r%d", "%d", "A-_.%d", "rule%d"]) % i
            out.append(["[rule %s]" % name, self.rule(earlier)])
        if self.chance(0.3):
            keys = []
            if self.chance(0.85):
                keys = [["max-devices", str(rng.choice(
                    [1, 2, 3, 5, 500, 65535]))]]
            out.insert(rng.randrange(len(out) + 1), ["[global]", keys])
        return out

    def render(self, sections):
        """The text, with comments and white space where they may be."""
        rng = self.rng
        plain = self.chance(0.5)
        comments = ["; caf\u00e9", " ; a = b", "\t;", " ;; [rule z]"]
        lines = []

        def add(text):
            if not plain:
                if self.chance(0.1):
                    lines.append(rng.choice(
                        ["", "# = [", "; [rule r1]", "#\u00e9", " "]))
                if self.chance(0.1):
                    text += rng.choice([" ", "\t"] + comments[1:])
                if self.chance(0.1):
                    text += " " + comments[0]
            lines.append(text)

        for header, keys in sections:
            add(header)
            for key, value in keys:
                if plain:
                    add("%s = %s" % (key, value))
                else:
                    equals = rng.choice(["=", " = ", "\t=\t", "   ="])
                    comma = rng.choice([", ", ",", " ,\t"])
                    add(key + equals + value.replace(", ", comma))
        return "\n".join(lines) + rng.choice(["\n", "\n", ""])

    # -- broken ones, and ones at the border of being broken --

    def broken(self):
        rng = self.rng
        sections = self.sections()
        rules = [s for s in sections if s[0] != "[global]"]
        rule = rng.choice(rules)
        keys = rule[1]

        def put(key, value):
            for pair in keys:
                if pair[0] == key:
                    pair[1] = value
                    return
            keys.insert(rng.randrange(len(keys) + 1), [key, value])

        def drop(*names):
            keys[:] = [k for k in keys if k[0] not in names]

        def deny_to_allow():
            put("action", "allow")
            put("kind", "tun")
            put("name", "tt*")
            put("user", "any")

        def bad_value():
            deny_to_allow()
            put(*rng.choice([
                ("action", "permit"), ("action", "allow, deny"),
                ("user", "nobody"), ("user", "g1000"),
                ("user", "1000, nobody"), ("user", "4294967296"),
                ("group", "u1000"), ("group", "any"), ("group", "staff"),
                ("kind", "tunnel"), ("kind", "any"), ("kind", "tun tap"),
                ("name", "tt\\*"), ("name", "tt[[:digit:]]"),
                ("name", "tt[[:alpha:]0]"), ("name", "a%d"),
                ("name", "a[0-9"), ("name", "a%"),
                ("address", "10.0.0.1/8"), ("address", "10.0.0.0/33"),
                ("address", "10.0.0/8"), ("address", "fd00::1/64"),
                ("address", "fd00::/129"), ("address", "all"),
                ("address", "10.0.0.0/8 11.0.0.0/8"),
                ("address", "10.0.0.0/8,, 11.0.0.0/8"),
                ("address", "10.0.0.0/8,"), ("address", "10.0.0.0/"),
                ("route", "256.0.0.0/8"), ("route", "0.0.0.0/-1"),
                ("route", "128.0.0.0/0"), ("route", "10.0.0.0/x"),
                ("route", "10.0.0.0/8/8"), ("route", "fd00:::/16"),
                ("source", "none"), ("source", "10.0.0.1/8"),
                ("default-route", "true"), ("default-route", "allow"),
                ("shadow", "1"), ("metric", "0"), ("metric", "0-5"),
                ("metric", "1-4294967296"), ("metric", "5-4"),
                ("metric", "-5"), ("metric", "-"), ("metric", "1-2-3"),
                ("metric", "low"), ("mtu", "67"), ("mtu", "67-1500"),
                ("mtu", "1280-65536"), ("mtu", "1500-1400"),
                ("mtu", "65536-"), ("max-devices", "0"),
                ("max-devices", "65536"), ("max-devices", "-1"),
                ("max-devices", "two"), ("max-devices", "1-2"),
                ("max-devices", "3 # three"), ("max-devices", "3;three"),
                ("max-queues", "0"), ("max-queues", "65"),
                ("max-queues", "0x4"), ("max-addresses", "65"),
                ("max-addresses", "1.5"), ("max-routes", "131073"),
                ("max-routes", "99999999999999999999"),
                ("mac", "02:00:5e:10:00:01"), ("mac", "fixed"),
                ("dhcp", "maybe"), ("offload", "on"),
                ("source-guard", "yes"), ("on-tamper", "kill"),
                (rng.choice([k for k in RULE_KEYS]), ""),
                ("name", "tt\u00e9*"), ("max-queues", "\u0664"),
            ]))

        def good_border():
            deny_to_allow()
            put(*rng.choice([
                ("metric", "1"), ("metric", "4294967295"),
                ("metric", "4294967295-"), ("mtu", "68"),
                ("mtu", "65535"), ("mtu", "65535-"), ("mtu", "68-68"),
                ("max-devices", "1"), ("max-devices", "65535"),
                ("max-queues", "64"), ("max-addresses", "64"),
                ("max-addresses", "0"), ("max-routes", "0"),
                ("max-routes", "131072"), ("user", "4294967294"),
                ("address", "10.0.0.0/32"), ("route", "::/128"),
            ]))

        def unknown_key():
            put(rng.choice(["colour", "maxdevices", "max-device", "names",
                            "users", "routes", "metrics", "max-mtu"]), "1")

        def key_twice():
            pair = rng.choice(keys)
            keys.insert(rng.randrange(len(keys) + 1), list(pair))

        def missing_action():
            drop("action")

        def missing_who():
            drop("user", "group")

        def missing_kind():
            deny_to_allow()
            drop("kind")

        def missing_name():
            deny_to_allow()
            drop("name")

        def empty_rule():
            del keys[:]

        def bad_header():
            rule[0] = rng.choice([
                "[rule]", "[rule ]", "[rule %s]" % ("n" * 48),
                "[rule a b]", "[rule a/b]", "[rule a+b]", "[rule \u00e9]",
                "[rules a]", "[other]", "[]", "[rule a", "[rulea]",
                "[rule a] x", "[global a]"])

        def rule_twice():
            sections.append([rng.choice(rules)[0], self.rule([])])

        def global_twice():
            for _ in range(2):
                sections.insert(rng.randrange(len(sections) + 1),
                                ["[global]", []])

        def global_key():
            sections[:] = [s for s in sections if s[0] != "[global]"]
            sections.insert(rng.randrange(len(sections) + 1), [
                "[global]", [rng.choice([
                    ["max-devices", "0"], ["max-devices", "65536"],
                    ["max-queues", "4"], ["action", "allow"],
                    ["colour", "1"], ["max-devices", ""]])]])

        def long_name():
            rule[0] = "[rule %s]" % ("n" * 47)

        def list_size():
            deny_to_allow()
            count = rng.choice([255, 256, 257, 258])
            put("user", ",".join(str(n) for n in range(count)))

        def many_rules():
            count = rng.choice([1023, 1024, 1025])
            sections[:] = [["[rule x%d]" % n,
                            [["action", "deny"], ["user", "5"]]]
                           for n in range(count)]

        text_level = None

        def key_first():
            nonlocal text_level
            text_level = lambda t: "action = allow\n" + t

        def no_equals():
            nonlocal text_level
            extra = rng.choice(["shadow yes", "what", "yes", "]", "rule x"])
            text_level = lambda t: t.rstrip("\n") + "\n" + extra + "\n"

        def line_length():
            nonlocal text_level
            size = rng.choice([20479, 20480, 20481, 20482])
            where = rng.choice(["comment", "after", "key"])

            def lengthen(t):
                lines = t.rstrip("\n").split("\n")
                if where == "comment":
                    i = rng.randrange(len(lines) + 1)
                    lines.insert(i, "#" + "x" * (size - 1))
                elif where == "after":
                    i = rng.randrange(len(lines))
                    add = size - len(lines[i].encode()) - 2
                    lines[i] += " ;" + "x" * add
                else:
                    # of white space behind
                    i = rng.randrange(len(lines))
                    add = size - len(lines[i].encode())
                    lines[i] += " " * add
                return "\n".join(lines) + rng.choice(["", "\n"])
            text_level = lengthen

        def file_size():
            nonlocal text_level
            size = rng.choice([65535, 65536, 65537, 65600])

            def pad(t):
                t = t.rstrip("\n") + "\n"
                missing = size - len(t.encode())
                full, rest = divmod(missing, 1000)
                t += ("#" + "x" * 998 + "\n") * full
                return t + "#" * rest
            text_level = pad

        breaks = [(bad_value, 30), (unknown_key, 4), (key_twice, 4),
                  (missing_action, 3), (missing_who, 3), (missing_kind, 3),
                  (missing_name, 3), (empty_rule, 2), (bad_header, 5),
                  (rule_twice, 3), (global_twice, 3), (global_key, 4),
                  (key_first, 2), (no_equals, 3), (good_border, 6),
                  (long_name, 2), (list_size, 4), (many_rules, 1),
                  (line_length, 5), (file_size, 2)]
        how, = rng.choices([b for b, _ in breaks],
                           [weight for _, weight in breaks])
        how()
        if self.chance(0.15):
            # A second fault of another kind, so that the first counts.
            rng.choice([unknown_key, missing_action, missing_who,
                        bad_value])()
        text = self.render(sections)
        return text_level(text) if text_level else text


class RequestMaker:
    """Requests that a policy might allow, and such as it just does not."""

    def __init__(self, rng, policy, switches):
        self.rng, self.policy, self.switches = rng, policy, switches
        self.allowing = [r for r in policy.rules if r["action"] == "allow"]

    def chance(self, p):
        return self.rng.random() < p

    # -- names --

    def sample(self, pattern, uid):
        """A name that the pattern matches, as a rule."""
        out = ""
        for token in tokens_of(pattern, uid):
            if token[0] == "is":
                out += token[1]
            elif token[0] == "any":
                out += self.rng.choice("059azZ-_.+")
            elif token[0] == "star":
                out += self.rng.choice(["", "0", "1", "10", "x", "0-b", "!"])
            else:
                some = [c for c in map(chr, range(33, 127))
                        if (c in token[1]) != token[2] and c not in "/%:"]
                out += self.rng.choice(some) if some else "0"
        return out

    def name(self, rule, uid):
        for _ in range(6):
            name = self.sample(self.rng.choice(rule["name"]), uid)
            if valid_name(name):
                return name
        return "tt0"

    # -- addresses --

    def host_in(self, prefix, length):
        bits, address, fixed = prefix
        behind = bits - fixed
        address |= self.rng.choice([
            self.rng.getrandbits(bits), self.rng.getrandbits(bits),
            1, 2, (1 << bits) - 1, (1 << bits) - 2]) & ((1 << behind) - 1)
        return bits, address, length

    def length_in(self, prefix, least):
        bits, _, fixed = prefix
        low = max(fixed, least)
        return self.rng.choice([
            low, min(low + 1, bits), bits, min(max(low, bits - 8), bits),
            self.rng.randint(low, bits)])

    def good_prefix(self, prefixes, of_route=False, short=False):
        """A prefix that lies in one of those and that a policy could
        allow."""
        if not prefixes:
            return None
        for _ in range(8):
            prefix = self.rng.choice(prefixes)
            least = 0 if short else SHORTEST[prefix[0]]
            length = self.length_in(prefix, least)
            made = self.host_in(prefix, length)
            if of_route:
                made = network(made)
                if in_forbidden(made):
                    continue
                if length >= SHORTEST[made[0]] and covers_forbidden(made):
                    continue
                return made
            if not prefix_faults(made):
                return made
        return None

    def good_address(self, rule):
        local = self.good_prefix(rule["address"])
        if local is None:
            return None
        peer = None
        if self.chance(0.15):
            same = [p for p in rule["address"] if p[0] == local[0]]
            peer = self.good_prefix(same)
            if peer is not None:
                local = (local[0], local[1], local[0])
                if peer[:2] == local[:2]:
                    peer = None
        return self.address(local, peer)

    @staticmethod
    def address(local, peer=None):
        return {"local": format_prefix(local),
                "peer": None if peer is None else format_prefix(peer)}

    def gateway(self, bits):
        base = "10.1.2.0/24" if bits == IPV4 else "fd00:1:2:3::/64"
        made = self.host_in(parse_prefix(base), bits)
        text = format_address(bits, made[1])
        return text if self.chance(0.5) else "%s/%d" % (text, bits)

    def metric(self, rule):
        if self.chance(0.5):
            return 0
        return border(self.rng, *rule["metric"])

    def route(self, dst, metric=0, gateway=None):
        return {"dst": format_prefix(dst), "gateway": gateway,
                "metric": metric}

    def good_route(self, rule):
        short = rule["default-route"] == "yes" and self.chance(0.5)
        dst = self.good_prefix(rule["route"], True, short)
        if dst is None:
            return None
        return self.route(dst, self.metric(rule),
                          self.gateway(dst[0]) if self.chance(0.2) else None)

    # -- a request that the rule allows, if none before it decides --

    def count(self, most):
        return min(most, self.rng.choice([0, 0, 1, 1, 1, 2, 3, most, most])
                   if most < 6 or self.chance(0.05)
                   else self.rng.choice([0, 1, 1, 2, 3, 4]))

    def fitting(self, rule):
        rng = self.rng
        uid = rng.choice(UIDS)
        gid = rng.choice(GIDS)
        groups = rng.sample(GIDS, rng.choice([0, 0, 1, 2]))
        users = [] if rule["user"] == "any" else rule["user"]
        if users and (not rule["group"] or self.chance(0.5)):
            uid = rng.choice(users)
        if rule["group"] and uid not in users:
            if self.chance(0.5):
                gid = rng.choice(rule["group"])
            else:
                groups.append(rng.choice(rule["group"]))
                rng.shuffle(groups)
        ask = {"kind": rng.choice(rule["kind"]), "name": "", "mtu": 0,
               "txqueuelen": rng.choice([0, 0, 1, 500, 10000]),
               "queues": border(rng, 1, rule["max-queues"]),
               "vnet_hdr": rng.choice([0, 2, 1 if rule["offload"] == "yes"
                                       else 2]),
               "mac": None, "addresses": [], "routes": []}
        if self.chance(0.6):
            ask["name"] = self.name(rule, uid)
        if self.chance(0.5):
            ask["queues"] = 1
        if ask["kind"] == "tap" and rule["mac"] == "chosen":
            if self.chance(0.6):
                ask["mac"] = rng.choice(["02:00:5e:10:00:01",
                                         "fe:ff:ff:ff:ff:ff",
                                         "00:00:00:00:00:01"])
        seen = set()
        for _ in range(self.count(rule["max-addresses"])):
            address = self.good_address(rule)
            if address and address["local"].split("/")[0] not in seen:
                seen.add(address["local"].split("/")[0])
                ask["addresses"].append(address)
        seen = set()
        for _ in range(self.count(rule["max-routes"])):
            route = self.good_route(rule)
            if route and route["dst"] not in seen:
                seen.add(route["dst"])
                ask["routes"].append(route)
        if self.chance(0.5):
            low, high = rule["mtu"]
            if ":" in json.dumps([ask["addresses"], ask["routes"]]):
                low = min(max(low, 1280), high)
            ask["mtu"] = border(rng, low, high)
        most = rule["max-devices"]
        devices = rng.choice([0, 0, most - 1, max(0, most - 2)])
        request = {"uid": uid, "gid": gid, "groups": groups,
                   "devices": devices, "all": devices, "taken": [],
                   "ask": ask}
        top = 4096
        if self.policy.globals is not None:
            top = self.policy.globals["max-devices"]
        request["devices"] = min(devices, top - 1)
        request["all"] = max(request["devices"], rng.choice(
            [0, 0, 1, top - 1, min(top - 1, 10)]))
        self.take_some(request, rule)
        return request

    def take_some(self, request, rule):
        """Names of the host, among them the first ones of the rule."""
        rng = self.rng
        taken = []
        if self.chance(0.5):
            first = itertools.islice(
                names_of(rule["name"][0], request["uid"]),
                rng.choice([1, 1, 2, 3, 5, 11]))
            taken += [n for n in first
                      if valid_name(n) and self.chance(0.9)]
        if self.chance(0.2):
            taken += ["eth0", "lo"]
        request["taken"] = [n for n in taken
                            if n != request["ask"]["name"]]

    # -- what makes it another --

    def change(self, request, rule):
        changes = [
            self.other_user, self.other_kind, self.other_name,
            self.name_taken, self.all_taken, self.bad_name,
            self.change_mtu, self.change_mtu, self.change_queues,
            self.change_txqueuelen, self.change_offload, self.change_mac,
            self.more_addresses, self.address_twice, self.address_outside,
            self.address_outside, self.address_forbidden,
            self.address_short, self.address_peer, self.more_routes,
            self.route_twice, self.route_outside, self.route_outside,
            self.route_forbidden, self.route_bits, self.route_gateway,
            self.default_route, self.default_route, self.route_parts,
            self.route_parts, self.change_metric, self.change_metric,
            self.change_devices, self.change_devices, self.change_all,
            self.change_all]
        self.rng.choice(changes)(request, request["ask"], rule)

    def other_user(self, request, ask, rule):
        request["uid"] = self.rng.choice(UIDS + [1, 65534])
        if self.chance(0.5):
            request["gid"] = self.rng.choice(GIDS + [9])
            request["groups"] = []

    def other_kind(self, request, ask, rule):
        ask["kind"] = "tap" if ask["kind"] == "tun" else "tun"
        if ask["kind"] == "tun":
            ask["mac"] = None

    def other_name(self, request, ask, rule):
        rng = self.rng
        name = ask["name"] or self.name(rule, request["uid"])
        i = rng.randrange(len(name))
        name = rng.choice([
            name[:i] + rng.choice("0az.-_+]!") + name[i + 1:],
            name[:i] + name[i + 1:], name + "0", name[:i] + "x" + name[i:],
            (name * 15)[:15], (name * 16)[:16], "tun0", name.upper(),
            name.replace(str(request["uid"]), "1000"), "LO", "lo0", "all0"])
        ask["name"] = name

    def name_taken(self, request, ask, rule):
        if ask["name"] == "":
            ask["name"] = self.name(rule, request["uid"])
        request["taken"].append(ask["name"])

    def all_taken(self, request, ask, rule):
        ask["name"] = ""
        names = names_of(rule["name"][0], request["uid"])
        request["taken"] = [
            n for n in itertools.islice(names, 300) if valid_name(n)]
        if self.chance(0.3) and request["taken"]:
            request["taken"].pop(self.rng.randrange(len(request["taken"])))

    def bad_name(self, request, ask, rule):
        ask["name"] = self.rng.choice(RESERVED_NAMES)

    def change_mtu(self, request, ask, rule):
        low, high = rule["mtu"]
        ask["mtu"] = self.rng.choice([
            low - 1, low, high, high + 1, 0, 0, 67, 68, 65535, 65536, 1279,
            1280, 1500])

    def change_queues(self, request, ask, rule):
        most = rule["max-queues"]
        ask["queues"] = self.rng.choice(
            [most, most + 1, most + 1, 0, 64, 65])

    def change_txqueuelen(self, request, ask, rule):
        ask["txqueuelen"] = self.rng.choice([10000, 10001, 65535])

    def change_offload(self, request, ask, rule):
        ask["vnet_hdr"] = self.rng.choice([1, 1, 2])

    def change_mac(self, request, ask, rule):
        if self.chance(0.7) and "tap" in rule["kind"]:
            ask["kind"] = "tap"
        ask["mac"] = self.rng.choice([
            "02:00:5e:10:00:01", "02:00:5e:10:00:02", "00:00:00:00:00:00",
            "01:00:5e:00:00:01", "ff:ff:ff:ff:ff:ff", "03:00:00:00:00:00"])

    def more_addresses(self, request, ask, rule):
        most = rule["max-addresses"]
        if most > 5 and self.chance(0.7):
            return
        goal = most + self.rng.choice([0, 1, 1, 2])
        seen = {a["local"].split("/")[0] for a in ask["addresses"]}
        for _ in range(3 * goal):
            if len(ask["addresses"]) >= goal:
                break
            local = self.good_prefix(
                rule["address"] or [parse_prefix("10.0.0.0/8")])
            if local is None:
                break
            text = format_address(*local[:2])
            if text not in seen:
                seen.add(text)
                ask["addresses"].append(self.address(local))

    def address_twice(self, request, ask, rule):
        if not ask["addresses"]:
            return
        again = dict(self.rng.choice(ask["addresses"]))
        if self.chance(0.3) and again["peer"] is None:
            bits, address, length = parse_prefix(again["local"])
            again["local"] = format_prefix(
                (bits, address, min(bits, length + 1)))
        elif self.chance(0.3):
            # another address of the same network
            bits, address, length = parse_prefix(again["local"])
            again["local"] = format_prefix((bits, address ^ 1, length))
        ask["addresses"].append(again)

    def neighbour(self, prefix):
        """The prefix beside one, or the one bit shorter that holds it."""
        bits, address, length = prefix
        if length == 0:
            return prefix
        if self.chance(0.5):
            return bits, address, length - 1
        return bits, address ^ (1 << (bits - length)), length

    def address_outside(self, request, ask, rule):
        some = rule["address"] or [parse_prefix(self.rng.choice(V4 + V6))]
        prefix = self.neighbour(self.rng.choice(some))
        length = self.rng.choice([prefix[2], max(prefix[2], 8), prefix[0]])
        local = self.host_in(network(prefix), length)
        if self.chance(0.2) and ask["addresses"]:
            old = parse_prefix(ask["addresses"][0]["local"])
            if old[0] == local[0]:
                ask["addresses"][0] = self.address(
                    (old[0], old[1], old[0]), local)
                return
        self.put_address(ask, rule, local)

    def put_address(self, ask, rule, local, peer=None):
        made = self.address(local, peer)
        if ask["addresses"] and self.chance(0.7):
            i = self.rng.randrange(len(ask["addresses"]))
            ask["addresses"][i] = made
        else:
            ask["addresses"].append(made)

    FORBIDDEN_TEXTS = [
        "0.0.0.0/8", "0.0.0.0/32", "0.1.2.3/24", "127.0.0.1/8",
        "127.255.255.255/32", "224.0.0.0/4", "224.0.0.5/24",
        "239.255.255.255/32", "255.255.255.255/32", "240.0.0.1/24",
        "255.255.255.1/24", "255.255.255.254/32", "255.255.255.253/31",
        "255.255.255.254/31", "223.255.255.255/8", "1.0.0.0/8",
        "126.255.255.255/8", "128.0.0.1/8", "254.0.0.1/8",
        "255.0.0.1/8", "::/128", "::1/128", "::2/128", "::2/127",
        "::2/64", "::3/126", "::4/126", "ff00::/8", "ff02::1/128",
        "feff:ffff::1/16", "feff:ffff::1/64", "::ffff:0:0/96",
        "::ffff:1:2/128", "::fffe:ffff:ffff/128", "::1:0:0:0/96",
        "::fffe:0:1/95", "::1:0:1/95", "0:0:0:1::/64", "0:0:0:1::/63",
        "1::1/16", "0:1::1/16", "fe80::1/64", "fe80::1/10"]

    def address_forbidden(self, request, ask, rule):
        local = parse_prefix(self.rng.choice(self.FORBIDDEN_TEXTS))
        if self.chance(0.25):
            host = self.good_prefix(
                [p for p in rule["address"] if p[0] == local[0]])
            if host is not None:
                self.put_address(ask, rule, (host[0], host[1], host[0]),
                                 local)
                return
        self.put_address(ask, rule, local)

    def address_short(self, request, ask, rule):
        some = rule["address"] or [parse_prefix("10.0.0.0/8")]
        prefix = self.rng.choice(some)
        bits = prefix[0]
        length = SHORTEST[bits] + self.rng.choice([0, 0, -1, -1, -2, -7])
        local = self.host_in(prefix, length)
        if self.chance(0.3):
            peer = local
            host = self.host_in(prefix, bits)
            if host[1] != peer[1]:
                self.put_address(ask, rule, host, peer)
        else:
            self.put_address(ask, rule, local)

    def address_peer(self, request, ask, rule):
        some = rule["address"] or [parse_prefix("10.0.0.0/8")]
        prefix = self.rng.choice(some)
        bits = prefix[0]
        local = self.host_in(prefix, bits)
        peer = self.host_in(prefix, self.length_in(prefix, SHORTEST[bits]))
        how = self.rng.randrange(5)
        if how == 0:
            peer = parse_prefix(self.rng.choice(
                ["10.1.2.9/24", "fd00:1:2:3::9/64"]))
        elif how == 1:
            local = local[:2] + (bits - 1,)
        elif how == 2:
            local = local[:2] + (24,)
        elif how == 3:
            peer = self.host_in(network(self.neighbour(prefix)), bits)
        if local[:2] != peer[:2]:
            self.put_address(ask, rule, local, peer)

    def more_routes(self, request, ask, rule):
        most = rule["max-routes"]
        if most > 5 and self.chance(0.9):
            return
        goal = most + self.rng.choice([0, 1, 1, 2])
        some = rule["route"] or [parse_prefix("10.0.0.0/8")]
        low, high = rule["metric"]
        seen = {r["dst"] for r in ask["routes"]}
        for _ in range(3 * goal):
            if len(ask["routes"]) >= goal:
                break
            dst = self.good_prefix(some, True)
            if dst is None:
                break
            if format_prefix(dst) in seen:
                continue
            seen.add(format_prefix(dst))
            ask["routes"].append(self.route(dst, self.metric(rule)))

    def route_twice(self, request, ask, rule):
        low, high = rule["metric"]
        if not ask["routes"]:
            made = self.good_route(rule)
            if made is None:
                return
            ask["routes"].append(made)
        again = dict(self.rng.choice(ask["routes"]))
        again["metric"] = self.rng.choice(
            [again["metric"], 0, low, min(low + 1, high)])
        if self.chance(0.3):
            again["gateway"] = self.gateway(parse_prefix(again["dst"])[0])
        ask["routes"].insert(
            self.rng.randrange(len(ask["routes"]) + 1), again)

    def put_route(self, ask, rule, dst, metric=None, gateway=None):
        if metric is None:
            metric = self.metric(rule)
        made = self.route(dst, metric, gateway)
        if ask["routes"] and self.chance(0.7):
            i = self.rng.randrange(len(ask["routes"]))
            ask["routes"][i] = made
        else:
            ask["routes"].append(made)

    def route_outside(self, request, ask, rule):
        some = rule["route"] or [parse_prefix(self.rng.choice(V4 + V6))]
        prefix = self.neighbour(self.rng.choice(some))
        length = self.rng.choice([prefix[2], max(prefix[2], 8), prefix[0]])
        self.put_route(ask, rule,
                       network(self.host_in(network(prefix), length)))

    def route_forbidden(self, request, ask, rule):
        text = self.rng.choice(self.FORBIDDEN_TEXTS + [
            "0.0.0.0/7", "126.0.0.0/7", "224.0.0.0/3", "192.0.0.0/2",
            "240.0.0.0/4", "240.0.0.0/5", "255.0.0.0/8", "254.0.0.0/7",
            "255.255.0.0/16", "224.0.0.0/5", "::/16", "::/15", "::/32",
            "ff00::/7", "fe00::/7", "ff00::/9", "fe00::/8", "::/8",
            "::ffff:0:0/95", "::fffe:0:0/95", "::/80", "::/96"])
        self.put_route(ask, rule, network(parse_prefix(text)))

    def route_bits(self, request, ask, rule):
        dst = self.good_prefix(rule["route"] or
                               [parse_prefix("10.0.0.0/8")], True)
        if dst is None or dst[2] == dst[0]:
            return
        bits, address, length = dst
        address |= 1 << self.rng.choice([0, bits - length - 1])
        self.put_route(ask, rule, (bits, address, length))

    def route_gateway(self, request, ask, rule):
        if not ask["routes"]:
            made = self.good_route(rule)
            if made is None:
                return
            ask["routes"].append(made)
        self.rng.choice(ask["routes"])["gateway"] = self.rng.choice([
            "10.1.2.1", "10.1.2.1/32", "10.1.2.1/24", "10.1.2.0/31",
            "fd00::1", "fd00::1/128", "fd00::1/64", "fe80::1", "0.0.0.0",
            "127.0.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1",
            "::", "::1", "ff02::1", "::ffff:102:304", "::2", "8.8.8.8"])

    def default_route(self, request, ask, rule):
        """Default routes, and halves of them, of one or both families."""
        rng = self.rng
        low, high = rule["metric"]
        texts = rng.choice([
            ["0.0.0.0/0"], ["::/0"], ["0.0.0.0/0", "::/0"],
            ["0.0.0.0/0", "128.0.0.0/1"], ["0.0.0.0/1", "0.0.0.0/0"],
            ["0.0.0.0/1", "128.0.0.0/1"], ["::/0", "8000::/1"],
            ["::/1", "8000::/1"], ["::/1", "::/0"],
            ["0.0.0.0/0", "0.0.0.0/0"], ["0.0.0.0/0", "0.0.0.0/2"],
            ["128.0.0.0/1"], ["8000::/1"], ["10.0.0.0/7"], ["fd00::/15"],
            ["0.0.0.0/1", "::/1"]])
        if self.chance(0.4):
            ask["routes"] = []
        for text in texts:
            ask["routes"].append(self.route(
                parse_prefix(text),
                rng.choice([0, 0, low, min(low + 1, high)])))

    def split(self, prefix, pieces):
        parts = [prefix]
        while len(parts) < pieces:
            i = self.rng.randrange(len(parts))
            bits, address, length = parts[i]
            if length == bits:
                break
            parts[i:i + 1] = [
                (bits, address, length + 1),
                (bits, address | 1 << (bits - length - 1), length + 1)]
        return parts

    def route_parts(self, request, ask, rule):
        """Routes that are a too short one together, or would be but for
        one of them; one of them may be the prefix of an address."""
        rng = self.rng
        some = [p for p in rule["route"] if p[2] < SHORTEST[p[0]]]
        if some and self.chance(0.9):
            base = rng.choice(some)
        else:
            base = parse_prefix(rng.choice(
                ["10.0.0.0/7", "fd00::/15", "64.0.0.0/7", "128.0.0.0/7"]))
        for _ in range(8):
            block = network(self.host_in(base, SHORTEST[base[0]] - 1))
            if not covers_forbidden(block) and not in_forbidden(block):
                break
        parts = self.split(block, rng.choice([2, 2, 3, 4, 6, 10]))
        how = rng.randrange(6)
        if how == 0:
            del parts[rng.randrange(len(parts))]
        elif how == 1:
            # the same size, but over a border
            size = 1 << (block[0] - SHORTEST[block[0]])
            top = 1 << block[0]
            parts = [(b, (a + size) % top, n) for b, a, n in parts]
            parts = [network(p) for p in parts]
        elif how in (2, 3):
            part = parts.pop(rng.randrange(len(parts)))
            local = self.host_in(part, part[2])
            if self.chance(0.3):
                host = self.host_in(part, part[0])
                if host[1] != local[1]:
                    ask["addresses"].append(self.address(host, local))
            else:
                ask["addresses"].append(self.address(local))
        rng.shuffle(parts)
        if self.chance(0.7):
            ask["routes"] = []
        metric = self.metric(rule)
        for part in parts:
            if self.chance(0.2):
                metric = self.metric(rule)
            ask["routes"].append(self.route(part, metric))

    def change_metric(self, request, ask, rule):
        low, high = rule["metric"]
        if not ask["routes"]:
            made = self.good_route(rule)
            if made is None:
                return
            ask["routes"].append(made)
        self.rng.choice(ask["routes"])["metric"] = self.rng.choice([
            0, max(low - 1, 0), max(low - 1, 0), low, high,
            min(high + 1, 4294967295), 1, 999, 1000, 4294967295])

    def change_devices(self, request, ask, rule):
        most = rule["max-devices"]
        request["devices"] = self.rng.choice([
            most - 1, most, most, most + 1])
        request["all"] = max(request["all"], request["devices"])

    def change_all(self, request, ask, rule):
        top = 4096
        if self.policy.globals is not None:
            top = self.policy.globals["max-devices"]
        request["all"] = max(request["devices"], self.rng.choice(
            [top - 1, top, top, top + 1, 4095, 4096]))

    # --

    def request(self):
        if not self.allowing:
            everyone = Section("x", 0, RULE_KEYS)
            everyone.keys = {"user": ("any", 0), "name": (["tt*"], 0)}
            rule = everyone
        else:
            rule = self.rng.choice(self.allowing)
        request = self.fitting(rule)
        for _ in range(self.rng.choice([0, 0, 0, 0, 0, 1, 1, 1, 2])):
            self.change(request, rule)
        return request


# A pattern's 16384 names, and where they end.  (deny patterns, taken,
# pattern)
def last_names(rng):
    pattern, deny, numbers = rng.choice([
        ("a*", ["a?", "a??", "a???", "a????", "a1[0-5]???", "a16[0-2]??",
                "a163[0-7]?"], ("a%d", 16380, 16384)),
        ("a*", ["a?", "a??", "a???", "a????", "a1[0-6]???"],
         ("a%d", 17000, 17001)),
        ("a*x[0-3]", ["a?x?", "a??x?", "a???x?", "a[1-3]???x?",
                      "a40[0-8]?x?", "a409[0-4]x?"],
         ("a%dx3", 4095, 4097)),
        ("a????[0-9]", ["a0*", "a1[0-5]*", "a16[0-2]*", "a163[0-7]*"],
         ("a%05d", 16380, 16384)),
        ("b[!a-zA-Z]*-[ab]*", ["b[-_.]*", "b[0-8]*", "b9?-*", "b9??-*",
                               "b9[0-4]??-*"], ("b9%d-b", 500, 640)),
    ])
    form, first, end = numbers
    taken = [form % n for n in range(first, end)]
    if rng.random() < 0.6:
        taken.pop(rng.randrange(len(taken)))
    text = ("[rule no]\naction = deny\nuser = any\nname = %s\n"
            "[rule yes]\naction = allow\nuser = any\nkind = tun\n"
            "name = %s\n" % (", ".join(deny), pattern))
    request = {"uid": 1000, "gid": 100, "groups": [], "devices": 0,
               "all": 0, "taken": taken, "ask": {
                   "kind": "tun", "name": "", "mtu": 0, "txqueuelen": 0,
                   "queues": 1, "vnet_hdr": 0, "mac": None,
                   "addresses": [], "routes": []}}
    return text, request


# ======================================================================
# 3. The comparison
# ======================================================================

LIMIT_KEYS = ["mac", "offload", "mtu", "max-queues", "max-addresses",
              "max-routes", "address", "route", "metric", "default-route",
              "max-devices", "max-devices of [global]", "name",
              "name: none free", "name: none valid", "name: of others"]
CODES = ["invalid", "policy", "quota", "exists"]
PER_POLICY = 20


class Counts:
    def __init__(self):
        self.requests = self.policies = self.faults = self.unclear = 0
        self.allowed = 0
        self.codes = {code: 0 for code in CODES}
        self.whys = {}
        self.absent = {}

    def add(self, answer, refused, policy):
        self.requests += 1
        if refused is None:
            self.allowed += 1
            return
        self.codes[refused.code] += 1
        why = refused.why
        self.whys[why] = self.whys.get(why, 0) + 1
        if any(refused.rule == "p.conf:%d" % r.line for r in policy.rules):
            # The key is not in the rule.
            self.absent[why] = self.absent.get(why, 0) + 1

    def missing(self):
        out = [c for c in CODES if not self.codes[c]]
        out += [k for k in LIMIT_KEYS if not self.whys.get(k)]
        if not self.allowed:
            out.append("allowed")
        return out


def generate(seed, count, switches):
    """(line to judge, answer expected, Refused or None, policy)"""
    rng = random.Random(seed)
    maker = PolicyMaker(rng, switches)
    counts = Counts()
    while counts.requests < count:
        requests = None
        if rng.random() < 0.06:
            text = maker.broken()
        elif rng.random() < 0.004:
            text, request = last_names(rng)
            requests = [request]
        else:
            text = maker.render(maker.sections())
        counts.policies += 1
        try:
            policy = parse(text)
        except Fault as fault:
            counts.faults += 1
            yield {"policy": text}, {"policy": "fault",
                                     "line": fault.line}, counts
            continue
        yield ({"policy": text},
               {"policy": "ok", "rules": len(policy.rules)}, counts)
        if requests is None:
            asker = RequestMaker(rng, policy, switches)
            requests = []
            requests = [asker.request() for _ in range(PER_POLICY)]
        for request in requests:
            if counts.requests == count:
                return
            try:
                answer, refused = decide(policy, request)
            except Unclear:
                counts.unclear += 1
                if "mixed-faults" not in switches:
                    continue
                answer = refused = None
            if answer is not None:
                counts.add(answer, refused, policy)
            yield request, answer, counts


def same(expected, got):
    """Equal in all that the protocol names; more may be in the answer."""
    if not isinstance(got, dict):
        return False
    got = {key: value for key, value in got.items() if key in expected
           or key in ("code", "allowed", "policy")}
    return (json.dumps(expected, sort_keys=True)
            == json.dumps(got, sort_keys=True))


def show(number, policy_text, line, expected, got):
    print("--- difference %d" % number)
    if "policy" in line:
        text = line["policy"]
        if len(text) > 6000:
            text = text[:3000] + "\n[...]\n" + text[-3000:]
        print(text)
    else:
        print(policy_text)
        print("request:   " + json.dumps(line))
    print("reference: " + json.dumps(expected))
    print("judge:     " + json.dumps(got))


def compare(folder, judge, differences_shown=10):
    """Runs the judge and compares; the number of differences."""
    with open(os.path.join(folder, "in")) as source, \
            open(os.path.join(folder, "out"), "w") as sink:
        status = subprocess.run([judge], stdin=source, stdout=sink)
    if status.returncode != 0:
        print("judge: exit status %d" % status.returncode)
    differences = 1 if status.returncode != 0 else 0
    policy_text = None
    with open(os.path.join(folder, "in")) as source, \
            open(os.path.join(folder, "out"), errors="replace") as sink, \
            open(os.path.join(folder, "expected")) as wanted:
        for line_text, expected_text in zip(source, wanted):
            line = json.loads(line_text)
            if "policy" in line:
                policy_text = line["policy"]
            expected = json.loads(expected_text)
            got_text = sink.readline()
            try:
                got = json.loads(got_text)
            except ValueError:
                got = got_text
            if expected is None:
                continue
            if same(expected, got):
                continue
            differences += 1
            if differences <= differences_shown:
                show(differences, policy_text, line, expected, got)
            if got_text == "":
                print("judge: no more answers")
                break
        else:
            if sink.readline() != "":
                differences += 1
                print("judge: more answers than lines")
    return differences


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--judge", help="without it nothing is compared")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--with", dest="switches", action="append",
                        default=[], choices=sorted(SWITCHES))
    parser.add_argument("--keep", help="folder for what was fed")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or temporary
        os.makedirs(folder, exist_ok=True)
        counts = Counts()
        with open(os.path.join(folder, "in"), "w") as source, \
                open(os.path.join(folder, "expected"), "w") as wanted:
            for line, expected, counts in generate(
                    args.seed, args.count, set(args.switches)):
                source.write(json.dumps(line, ensure_ascii=False) + "\n")
                wanted.write(json.dumps(expected) + "\n")
        differences = 0
        if args.judge:
            differences = compare(folder, args.judge)

    print("allowed %d, %s; %d policies with a fault, %d requests left out"
          % (counts.allowed,
             ", ".join("%s %d" % c for c in counts.codes.items()),
             counts.faults, counts.unclear))
    whys = [k for k in LIMIT_KEYS if k in counts.whys]
    whys += sorted(k for k in counts.whys if k not in LIMIT_KEYS)
    print("refused by (of these by an absent key): " + ", ".join(
        "%s %d (%d)" % (k, counts.whys[k], counts.absent.get(k, 0))
        if k in LIMIT_KEYS else "%s %d" % (k, counts.whys[k])
        for k in whys))
    missing = counts.missing()
    if missing:
        print("never came up: " + ", ".join(missing))
    print("differential: %d requests, %d policies, %d differences"
          % (counts.requests, counts.policies, differences))
    return 1 if differences or missing else 0


if __name__ == "__main__":
    sys.exit(main())
