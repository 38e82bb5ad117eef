# SPDX-License-Identifier: LGPL-2.1-or-later
"""A kernel that banger takes and nothing can run: what an import looks at, and no more."""

import struct
from pathlib import Path

CONFIG = "".join("CONFIG_%s=y\n" % option for option in (
    "ACPI", "BLK_DEV_INITRD", "BINFMT_ELF", "DEVTMPFS", "PROC_FS", "SYSFS", "TMPFS", "NET", "EPOLL",
    "SIGNALFD", "UNIX98_PTYS", "SERIAL_8250_CONSOLE", "MODULES"))
LOAD_AT = 0x1000000
EHDR, PHDR, SHDR = "<16sHHIQQQIHHHHHH", "<IIQQQQQQ", "<IIQQQQIIQQ"
IDENT = b"\x7fELF\x02\x01\x01" + bytes(9)


def vmlinux(release):
    """An ELF program with a PVH note and the kernel's banner."""
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", LOAD_AT)
    text = b"Linux version %s (a@b) #1 SMP\0" % release.encode()
    start = struct.calcsize(EHDR) + 2 * struct.calcsize(PHDR)
    header = struct.pack(EHDR, IDENT, 2, 62, 1, LOAD_AT, struct.calcsize(EHDR), 0, 0,
                         struct.calcsize(EHDR), struct.calcsize(PHDR), 2, 0, 0, 0)
    load = struct.pack(PHDR, 1, 5, start + len(note), 0, LOAD_AT, len(text), len(text), 4096)
    notes = struct.pack(PHDR, 4, 4, start, 0, 0, len(note), len(note), 4)
    return header + load + notes + note + text


def module(*info):
    names = b"\0.modinfo\0.shstrtab\0"
    said = b"".join(line.encode() + b"\0" for line in info)
    start = struct.calcsize(EHDR)
    sections = (struct.pack(SHDR, *[0] * 10)
                + struct.pack(SHDR, 1, 1, 0, 0, start, len(said), 0, 0, 1, 0)
                + struct.pack(SHDR, 10, 3, 0, 0, start + len(said), len(names), 0, 0, 1, 0))
    header = struct.pack(EHDR, IDENT, 1, 62, 1, 0, 0, start + len(said) + len(names), 0,
                         struct.calcsize(EHDR), 0, 0, struct.calcsize(SHDR), 3, 2)
    return header + said + names + sections


def write_tree(root, release, config=CONFIG):
    """Below @root as an installed system has it."""
    boot, modules = Path(root, "boot"), Path(root, "lib/modules", release)
    (modules / "kernel").mkdir(parents=True)
    boot.mkdir(exist_ok=True)
    (boot / ("vmlinuz-" + release)).write_bytes(vmlinux(release))
    if config is not None:
        (boot / ("config-" + release)).write_text(config, encoding="utf-8")
    for name, *info in (("virtio", "depends="), ("virtio_blk", "depends=virtio"),
                        ("virtio_mmio", "depends=virtio", "alias=acpi*:LNRO0005:*"),
                        ("virtio_console", "depends=virtio"), ("overlay", "depends=")):
        (modules / "kernel" / (name + ".ko")).write_bytes(module("license=GPL", *info))
    (modules / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\n", encoding="utf-8")
    (modules / "modules.order").write_text("", encoding="utf-8")
    return root
