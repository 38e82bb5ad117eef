# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole Debian 12 host in QEMU: systemd, polkit, logind, KVM within (emulated AMD SVM) and
vhost-vsock. It runs one program that it finds on a share, then powers off."""

import os
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import fixtures

# What banger's own package would depend on, and what its tests use.
PACKAGES = [
    "systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "udev", "kmod", "polkitd",
    "linux-image-amd64", "initramfs-tools", "qemu-system-x86", "e2fsprogs", "libsqlite3-0",
    "libjson-glib-1.0-0", "libarchive13", "libgnutls30", "libnettle8", "libseccomp2", "libext2fs2",
    "libisal2", "liblzo2-2", "libbz2-1.0", "liblz4-1", "liblzma5", "libzstd1", "zlib1g",
    "libglib2.0-bin", "python3", "python3-gi"]
EXCLUDED = ["/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*"] + [
    "/lib/modules/*/kernel/%s/*" % part for part in (
        "sound", "drivers/gpu", "drivers/media", "drivers/infiniband", "drivers/net/wireless",
        "drivers/net/ethernet", "drivers/iio")]
INITRAMFS = {
    "conf.d/tests": "MODULES=list\nCOMPRESS=gzip\n",
    "modules": "virtio_pci\nvirtio_blk\next4\ncrc32c_generic\n9pnet_virtio\n9p\n"}
# alice and bob may use KVM themselves; carol gets into group banger; erin is nobody special.
USERS = {"alice": "kvm", "bob": "kvm", "carol": "", "erin": ""}
SHARES = ("tests", "root", "cache", "out")
SERVICE = """[Unit]
Description=Run the tests found on the share, then power off
ConditionKernelCommandLine=banger.tests
RequiresMountsFor=/mnt/tests /mnt/root /mnt/cache /mnt/out
After=dbus.service systemd-logind.service multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=exec
Environment=LC_ALL=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
ExecStart=/bin/sh -c 'exec python3 /mnt/tests/tap.py /mnt/tests/system/inside.py >/mnt/out/tap 2>/mnt/out/errors'
ExecStopPost=/bin/sh -c 'journalctl -b -o short-monotonic --no-pager >/mnt/out/journal; echo "$SERVICE_RESULT $EXIT_CODE $EXIT_STATUS" >/mnt/out/result; sync'

[Install]
WantedBy=graphical.target
"""
MASKED = ["apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer",
          "e2scrub_reap.service", "fstrim.timer", "systemd-timesyncd.service", "getty@tty1.service",
          "systemd-pstore.service", "dev-hugepages.mount", "dev-mqueue.mount"]
UNIT = "/etc/systemd/system/banger-tests.service"
FSTAB = "".join("%s /mnt/%s 9p trans=virtio,version=9p2000.L,msize=512000%s 0 0\n" % (
    share, share, "" if share == "out" else ",ro") for share in SHARES)


def hooks():
    """Shell that mmdebstrap runs with the new root in $1."""
    def write(path, text):
        return "mkdir -p \"$1%s\"; cat >\"$1%s\" <<'END'\n%sEND" % (os.path.dirname(path), path, text)

    before = [write("/etc/initramfs-tools/" + path, text) for path, text in INITRAMFS.items()]
    after = [write(UNIT, SERVICE), write("/etc/fstab", FSTAB), "echo host >\"$1/etc/hostname\"",
             "mkdir -p %s" % " ".join('"$1/mnt/%s"' % share for share in SHARES),
             "chroot \"$1\" systemctl enable --quiet banger-tests.service",
             "chroot \"$1\" systemctl mask --quiet %s" % " ".join(MASKED)]
    for name, groups in USERS.items():
        after.append("chroot \"$1\" useradd -m -s /bin/bash -G '%s' %s" % (groups, name))
    return ["--essential-hook=" + "\n".join(before), "--customize-hook=" + "\n".join(after)]


DEBIAN = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=" + ",".join(PACKAGES),
          "--aptopt=APT::Install-Recommends \"false\"",
          *("--dpkgopt=path-exclude=" + path for path in EXCLUDED), *hooks(), fixtures.SUITE]
# Device nodes are devtmpfs' own, and nobody but root could unpack them.
TO_IMAGE = """set -e
mkdir root
tar -C root --exclude './dev/*' --xattrs -xf root.tar
truncate -s 6G image
mke2fs -q -t ext4 -O ^has_journal -E root_owner=0:0 -d root image || status=$?
rm -rf root
exit ${status:-0}
"""


def unpacked(folder, name):
    """The file of the boot folder whose name begins so, out of the root's tar."""
    with tarfile.open(folder / "root.tar") as tar:
        for member in tar:
            if member.isfile() and member.name.startswith("./boot/%s-" % name):
                (folder / name).write_bytes(tar.extractfile(member).read())
                return folder / name
    raise fixtures.FixtureError("the host has no /boot/%s" % name)


def make():
    """The host's disk, kernel and initramfs: three paths, made once as other fixtures are."""
    recipe = (DEBIAN, TO_IMAGE)
    with fixtures.made_once("hostdisk.img", recipe) as (disk, missing), \
            fixtures.made_once("hostkernel.bin", recipe) as (kernel, no_kernel), \
            fixtures.made_once("hostinitrd.bin", recipe) as (initrd, no_initrd):
        if missing or no_kernel or no_initrd:
            with tempfile.TemporaryDirectory(dir=fixtures.CACHE) as name:
                folder = Path(name)
                # Without root, the user namespace's root must get through to here.
                os.chmod(folder, 0o777)
                fixtures.run([*DEBIAN, str(folder / "root.tar")], env=dict(os.environ, LC_ALL="C.UTF-8"))
                unpacked(folder, "vmlinuz").rename(kernel)
                unpacked(folder, "initrd.img").rename(initrd)
                root = [] if os.geteuid() == 0 else ["unshare", "--map-auto", "--map-root-user"]
                fixtures.run([*root, "sh", "-c", TO_IMAGE], cwd=folder)
                (folder / "image").rename(disk)
    return disk, kernel, initrd


def boot(folders, log, seconds):
    """Boots the host with @folders as its shares and waits until it is off. False: it was not in
    time. What is written to its disk is thrown away."""
    disk, kernel, initrd = make()
    argv = [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "q35,smm=off,vmport=off,hpet=off", "-accel", "tcg,thread=multi,tb-size=1024",
        "-cpu", "EPYC,+svm", "-smp", "2", "-m", "3072", "-kernel", str(kernel), "-initrd", str(initrd),
        "-append", "root=/dev/vda rw rootfstype=ext4 console=ttyS0 quiet mitigations=off nokaslr "
        "tsc=reliable audit=0 apparmor=0 systemd.show_status=0 panic=-1 banger.tests",
        "-drive", "if=none,id=disk,file=%s,format=raw,snapshot=on,cache=unsafe" % disk,
        "-device", "virtio-blk-pci,drive=disk", "-device", "virtio-rng-pci",
        "-chardev", "file,id=serial,path=%s" % log, "-serial", "chardev:serial"]
    for share in SHARES:
        argv += ["-fsdev", "local,id=%s,path=%s,security_model=none%s" % (
            share, folders[share], "" if share == "out" else ",readonly=on"),
            "-device", "virtio-9p-pci,fsdev=%s,mount_tag=%s" % (share, share)]
    with open(str(log) + ".errors", "w", encoding="utf-8") as errors:
        try:
            return subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                                  timeout=seconds, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            return False


def missing():
    """Why the host cannot be made here, or None."""
    for program in ("mmdebstrap", "qemu-system-x86_64", "mke2fs"):
        if not shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"):
            return "%s is not installed" % program
    if os.geteuid() != 0 and not shutil.which("newuidmap"):
        return "needs root or uidmap, to make a root file system"
    return None
