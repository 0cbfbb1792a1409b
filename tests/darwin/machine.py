"""Code for macOS, run here: Mach-O images, on this processor or an emulated one.

An image's imports are bound to functions of this process.  x86_64's calling
convention is the same on both systems, so that its code runs as it is.  arm64's
runs under Unicorn, which sees this process's memory at its own addresses; there
variable arguments are on the stack, as Apple has it, and so a wrong prototype
shows.
"""
import ctypes
import mmap
import struct

PAGE = 4096
MAGIC, X86_64, ARM64 = 0xfeedfacf, 0x01000007, 0x0100000c
LC_SYMTAB, LC_SEGMENT_64 = 0x2, 0x19
LC_DYLD_INFO, LC_DYLD_INFO_ONLY = 0x22, 0x80000022
LC_DYLD_CHAINED_FIXUPS = 0x80000034
N_EXT, N_SECT, N_TYPE = 0x01, 0x0e, 0x0e
RET_ARM64 = 0xd65f03c0
STACK = 1 << 20
TRAP_LEN = 16                   # bytes for each import


class Wrong(Exception):
    """An image that this cannot run, or that calls what nobody bound."""


def uleb(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if not byte & 0x80:
            return value, at


class Image:
    """A Mach-O dylib in this process's memory, with nothing bound yet."""

    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        magic, self.cpu = struct.unpack_from("<2I", self.data)
        if magic != MAGIC:
            raise Wrong(f"{path}: no Mach-O of 64 bits")
        self.segments, self.symbols = [], {}
        self.info = None
        for command, at in self.commands():
            self.take(command, at)
        if not self.info:
            raise Wrong(f"{path}: no LC_DYLD_INFO; link it with -no_fixup_chains")
        self.load()
        self.rebase()

    def commands(self):
        count, at = struct.unpack_from("<I", self.data, 16)[0], 32
        for _ in range(count):
            command, size = struct.unpack_from("<2I", self.data, at)
            yield command, at
            at += size

    def take(self, command, at):
        if command == LC_SEGMENT_64:
            self.segments.append(struct.unpack_from("<4Q", self.data, at + 24))
        elif command in (LC_DYLD_INFO, LC_DYLD_INFO_ONLY):
            self.info = struct.unpack_from("<10I", self.data, at + 8)
        elif command == LC_SYMTAB:
            self.take_symbols(*struct.unpack_from("<4I", self.data, at + 8))
        elif command == LC_DYLD_CHAINED_FIXUPS:
            raise Wrong("chained fixups")

    def take_symbols(self, at, count, strings, _size):
        for i in range(count):
            name, kind, _, _, value = struct.unpack_from(
                "<IBBHQ", self.data, at + 16 * i)
            if kind & N_TYPE == N_SECT and kind & N_EXT:
                start = strings + name
                end = self.data.index(b"\0", start)
                self.symbols[self.data[start:end].decode()] = value

    def load(self):
        low = min(at for at, _, _, _ in self.segments)
        high = max(at + size for at, size, _, _ in self.segments)
        self.memory = mmap.mmap(-1, high - low, prot=mmap.PROT_READ |
                                mmap.PROT_WRITE | mmap.PROT_EXEC)
        self.slide = address_of(self.memory) - low
        for at, _, offset, size in self.segments:
            start = at - low
            self.memory[start:start + size] = \
                self.data[offset:offset + size]

    def part(self, at):
        return self.data[self.info[at]:self.info[at] + self.info[at + 1]]

    def address(self, segment, offset):
        return self.segments[segment][0] + self.slide + offset

    def symbol(self, name):
        return self.symbols["_" + name] + self.slide

    def rebase(self):
        data, at, address = self.part(0), 0, 0

        def slide(count, skip=0):
            nonlocal address
            for _ in range(count):
                word = ctypes.c_uint64.from_address(address)
                word.value += self.slide
                address += 8 + skip

        while at < len(data):
            op, low = data[at] & 0xf0, data[at] & 0x0f
            at += 1
            if op == 0x00:
                break
            if op == 0x20:
                value, at = uleb(data, at)
                address = self.address(low, value)
            elif op == 0x30:
                value, at = uleb(data, at)
                address += value
            elif op == 0x40:
                address += low * 8
            elif op == 0x50:
                slide(low)
            elif op == 0x60:
                value, at = uleb(data, at)
                slide(value)
            elif op == 0x70:
                value, at = uleb(data, at)
                slide(1, value)
            elif op == 0x80:
                count, at = uleb(data, at)
                value, at = uleb(data, at)
                slide(count, value)
            elif op != 0x10:
                raise Wrong(f"rebase opcode {op:#x}")

    def bind(self, find):
        """Each import is what find(name) says."""
        for part in (2, 4, 6):          # bind, weak, lazy
            self.bind_part(self.part(part), part == 6, find)

    def bind_part(self, data, lazy, find):
        at, address, name, addend = 0, 0, "", 0

        def put():
            ctypes.c_uint64.from_address(address).value = find(name) + addend

        while at < len(data):
            op, low = data[at] & 0xf0, data[at] & 0x0f
            at += 1
            if op == 0x00:
                if not lazy:
                    break
            elif op == 0x20:
                _, at = uleb(data, at)
            elif op == 0x40:
                end = data.index(b"\0", at)
                name, at = data[at:end].decode(), end + 1
            elif op == 0x60:
                addend, at = uleb(data, at)
            elif op == 0x70:
                value, at = uleb(data, at)
                address = self.address(low, value)
            elif op == 0x80:
                value, at = uleb(data, at)
                address = (address + value) & (1 << 64) - 1
            elif op == 0x90:
                put()
                address += 8
            elif op == 0xa0:
                put()
                value, at = uleb(data, at)
                address += 8 + value
            elif op == 0xb0:
                put()
                address += 8 + low * 8
            elif op == 0xc0:
                count, at = uleb(data, at)
                value, at = uleb(data, at)
                for _ in range(count):
                    put()
                    address += 8 + value
            elif op not in (0x10, 0x30, 0x50):
                raise Wrong(f"bind opcode {op:#x}")


def address_of(memory):
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def pointer(function):
    return ctypes.cast(function, ctypes.c_void_p).value


class Native:
    """An x86_64 image on this processor."""

    name, cpu = "x86_64", X86_64

    def __init__(self, path, imports):
        self.image = Image(path)
        if self.image.cpu != self.cpu:
            raise Wrong(f"{path} is not for {self.name}")
        self.imports = imports
        self.kept = []
        self.image.bind(self.find)

    def find(self, name):
        if name in self.imports.data:
            return self.imports.data[name]
        if name in self.imports.functions:
            return pointer(self.imports.functions[name][0])
        return self.nobody(name)

    def nobody(self, name):
        """Who calls that ends the test."""
        def call():
            print(f"{name} was called, and is bound to nothing", flush=True)
            ctypes.CDLL(None).abort()
        self.kept.append(ctypes.CFUNCTYPE(None)(call))
        return pointer(self.kept[-1])

    def call(self, name, *args):
        function = ctypes.CFUNCTYPE(
            ctypes.c_int64, *[ctypes.c_int64] * len(args))
        return function(self.image.symbol(name))(*args)


class Emulated:
    """An arm64 image under Unicorn."""

    name, cpu = "arm64", ARM64

    def __init__(self, path, imports):
        import unicorn              # only who runs this wants it
        from unicorn import arm64_const
        self.unicorn, self.registers = unicorn, arm64_const
        self.image = Image(path)
        if self.image.cpu != self.cpu:
            raise Wrong(f"{path} is not for {self.name}")
        self.imports = imports
        self.names = []
        self.traps = mmap.mmap(-1, 16 * PAGE)
        self.traps[:] = struct.pack("<I", RET_ARM64) * (len(self.traps) // 4)
        self.trap_base = address_of(self.traps)
        self.end = self.trap_base + len(self.traps) - PAGE
        self.stack = mmap.mmap(-1, STACK)
        self.failed = None
        self.image.bind(self.find)
        self.uc = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self.uc.hook_add(unicorn.UC_HOOK_MEM_UNMAPPED, self.on_unmapped)
        self.uc.hook_add(unicorn.UC_HOOK_CODE, self.on_trap,
                         begin=self.trap_base, end=self.end)

    def find(self, name):
        if name in self.imports.data:
            return self.imports.data[name]
        if name not in self.names:
            self.names.append(name)
        return self.trap_base + TRAP_LEN * self.names.index(name)

    def on_unmapped(self, uc, _access, address, _size, _value, _user):
        """This process's memory is the emulated one's."""
        page = address & ~(PAGE - 1)
        if page == 0:
            return False
        uc.mem_map_ptr(page, PAGE, self.unicorn.UC_PROT_ALL, page)
        return True

    def register(self, n):
        return self.uc.reg_read(self.registers.UC_ARM64_REG_X0 + n)

    def on_trap(self, uc, address, _size, _user):
        if address >= self.end:
            uc.emu_stop()
            return
        name = self.names[(address - self.trap_base) // TRAP_LEN]
        try:
            result = self.serve(name)
        except Wrong as wrong:
            self.failed = wrong
            uc.emu_stop()
            return
        uc.reg_write(self.registers.UC_ARM64_REG_X0, result & (1 << 64) - 1)

    def serve(self, name):
        stack = self.uc.reg_read(self.registers.UC_ARM64_REG_SP)
        if name == "_snprintf":
            return self.format(*[self.register(i) for i in range(3)], stack)
        if name == "_vsnprintf":
            return self.format(*[self.register(i) for i in range(4)])
        if name not in self.imports.functions:
            raise Wrong(f"{name} was called, and is bound to nothing")
        function, fixed, variable = self.imports.functions[name]
        args = [self.register(i) for i in range(fixed)]
        args += [word(stack + 8 * i) for i in range(variable)]
        function.restype = ctypes.c_int64
        return function(*map(ctypes.c_uint64, args)) or 0

    @staticmethod
    def format(into, size, form, arguments):
        """snprintf(3), as far as the backend uses it."""
        text = formatted(ctypes.string_at(form), arguments)
        if size:
            cut = text[:size - 1]
            ctypes.memmove(into, cut + b"\0", len(cut) + 1)
        return len(text)

    def call(self, name, *args):
        top = address_of(self.stack) + STACK // 2
        for i, arg in enumerate(args):
            self.uc.reg_write(self.registers.UC_ARM64_REG_X0 + i, arg)
        self.uc.reg_write(self.registers.UC_ARM64_REG_SP, top)
        self.uc.reg_write(self.registers.UC_ARM64_REG_LR, self.end)
        self.uc.emu_start(self.image.symbol(name), 0)
        if self.failed:
            raise self.failed
        return self.register(0)


def word(at):
    return ctypes.c_uint64.from_address(at).value


def formatted(form, at):
    """What printf(3) makes of this, with arguments of eight bytes each."""
    text, i = b"", 0

    def argument():
        nonlocal at
        at += 8
        return word(at - 8)

    while i < len(form):
        if form[i:i + 1] != b"%":
            text += form[i:i + 1]
            i += 1
            continue
        i += 1
        most = None
        if form[i:i + 2] == b".*":
            most, i = argument() & 0xffffffff, i + 2
        while form[i:i + 1] in (b"l", b"z", b"h"):
            i += 1
        what, i = form[i:i + 1], i + 1
        if what == b"%":
            text += b"%"
        elif what == b"s":
            text += ctypes.string_at(argument())[:most]
        elif what in (b"u", b"x"):
            text += (b"%d" if what == b"u" else b"%x") % (
                argument() & 0xffffffff)
        elif what == b"d":
            text += b"%d" % ctypes.c_int32(argument() & 0xffffffff).value
        else:
            raise Wrong(f"printf's %{what.decode()} is not known here")
    return text
