#!/usr/bin/env python3
"""witness.py GOLDEN IMAGE...: what the backend believes about macOS (vectors.c),
as each image has it, beside GOLDEN; and beside what Go's package x/sys has, which
was made on Macs from Apple's own headers.

GOLDEN has a line "NAME VALUE" for each.
"""
import ctypes
import re
import sys

import machine

GO = "/usr/share/gocode/src/golang.org/x/sys/unix"
WITNESSED_LEAST = 30            # or the package is another one
NUMBER = re.compile(r"^(?:const)?\s*(\w+)\s+= (0x[0-9a-f]+)$", re.M)
GO_ARCH = {machine.X86_64: "amd64", machine.ARM64: "arm64"}


class Vector(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("value", ctypes.c_uint64)]


def vectors(image):
    found, at = {}, image.symbol("vectors")
    while (vector := Vector.from_address(at)).name:
        found[vector.name.decode()] = vector.value
        at += ctypes.sizeof(Vector)
    return found


def of_go(arch):
    numbers = {}
    for kind in ("zerrors", "ztypes"):
        with open(f"{GO}/{kind}_darwin_{arch}.go", encoding="utf-8") as file:
            for name, value in NUMBER.findall(file.read()):
                numbers[name] = int(value, 16)
    return numbers


def golden(path):
    with open(path, encoding="ascii") as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    return {name: int(value, 0) for name, value in lines}


def main():
    want = golden(sys.argv[1])
    passed = failed = 0

    def told(what, wrong):
        nonlocal passed, failed
        passed, failed = passed + (not wrong), failed + bool(wrong)
        print(f"not ok {what}: {wrong}" if wrong else f"ok {what}")

    for path in sys.argv[2:]:
        image = machine.Image(path)
        arch = GO_ARCH[image.cpu]
        has, go = vectors(image), of_go(arch)
        told(f"vectors-{arch}-golden",
             [(name, has.get(name), want.get(name))
              for name in sorted(set(has) | set(want))
              if has.get(name) != want.get(name)])
        both = set(has) & set(go)
        told(f"vectors-{arch}-witness",
             [(name, has[name], go[name]) for name in sorted(both)
              if has[name] != go[name]] or
             len(both) < WITNESSED_LEAST and f"only {len(both)} of them")
        print(f"{len(has)} numbers, {len(both)} of them witnessed")
    print(f"vectors: {passed} passed, {failed} failed, 0 skipped")
    return failed > 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
