#!/usr/bin/env python3
"""Answers pings to whatever address, with nothing but Python:

tuntapctl run --tun --address 10.50.3.1/24 -- python3 python-echo.py
"""
import os

FD = int(os.environ["TUNTAP_FD"])
LONGEST = 65536

# By version: where the addresses are and how long, the next protocol's number
# and where it is, ICMP's types of an echo, and what the answer's type does to
# the checksum: addresses that change places do nothing to it.
FAMILIES = {4: (12, 4, 9, 1, 8, 0, 0x0800), 6: (8, 16, 6, 58, 128, 129, 0xfeff)}


def answer(packet):
    """The packet, made its answer; or nothing, where it is no echo."""
    version = packet[0] >> 4
    source, length, where, icmp, request, reply, change = FAMILIES[version]
    target, end = source + length, source + 2 * length
    body = (packet[0] & 15) * 4 if version == 4 else end
    if packet[where] != icmp or packet[body:body + 1] != bytes([request]):
        return None
    packet[source:end] = packet[target:end] + packet[source:target]
    packet[body] = reply
    total = int.from_bytes(packet[body + 2:body + 4], "big") + change
    packet[body + 2:body + 4] = (total % 0xffff).to_bytes(2, "big")
    return packet


print("ready on", os.environ["TUNTAP_NAME"], flush=True)
while True:
    echo = answer(bytearray(os.read(FD, LONGEST)))
    if echo:
        os.write(FD, echo)
