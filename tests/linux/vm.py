"""A machine with Debian's kernel under QEMU, for what the kernel here lacks: ends of tunnels.

It sees this machine's files read-only (9p), with a layer in memory on top, so that whatever is installed here runs
there; one directory is shared for orders and answers. Its eth0 is a tap in a namespace. Nothing is booted but a shell.

Needs qemu-system-x86, busybox-static, kmod, and a linux-image package: installed, or unpacked under YAOKI_VM_KERNEL
(dpkg -x, depmod -b). Without KVM a boot takes some 15 s.
"""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(os.environ.get("YAOKI_VM_KERNEL", "/"))
BOOT_LIMIT_S = 180.0
EARLY = ("virtio_pci", "virtio_net", "9pnet_virtio", "9p", "overlay")
"""Modules without which its files cannot be reached; they bring others along."""
_SHARED = "/shared"
_KERNEL_LINE = "panic=-1 net.ifnames=0 mitigations=off nokaslr tsc=reliable no_timer_check random.trust_cpu=on"
_INIT = """#!/bin/sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
options=trans=virtio,version=9p2000.L,msize=262144
mount -t 9p -o ro,cache=loose,$options root /below
mount -t tmpfs above /above; mkdir /above/files /above/work
mount -t overlay -o lowerdir=/below,upperdir=/above/files,workdir=/above/work all /new
for directory in proc sys dev; do mount --move /$directory /new/$directory; done
mount -t tmpfs run /new/run
mkdir -p /new{shared}; mount -t 9p -o cache=none,$options shared /new{shared}
[ -d /new/lib/modules ] || mkdir -p /new/lib/modules
[ {modules} = /lib/modules ] || mount --bind /new{modules} /new/lib/modules
exec switch_root /new /bin/sh {shared}/obey
"""
_OBEY = """
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t tracefs trace /sys/kernel/tracing 2>/dev/null
cd {shared}; touch ready
while :; do
    if [ -e order ]; then
        sh order > answer 2>&1 < /dev/null; echo $? > status.new; rm order; mv status.new status
    fi
    sleep 0.1
done
"""


def lacks() -> str | None:
    """What is missing to have such a machine; None if nothing is."""
    for program in ("qemu-system-x86_64", "busybox", "modprobe"):
        if shutil.which(program) is None:
            return f"there is no {program}"
    return None if _kernels() else f"there is no kernel with modules under {ROOT}"


class Machine:
    """A machine that has booted."""

    def __init__(self, process: "subprocess.Popen[bytes]", shared: Path) -> None:
        self._process, self._shared = process, shared

    def run(self, *commands: str, limit_s: float = 120.0) -> str:
        """What these commands of a shell print; each must succeed."""
        (self._shared / "order.new").write_text("set -e\n" + "".join(f"{command}\n" for command in commands))
        (self._shared / "order.new").rename(self._shared / "order")
        self._wait("status", limit_s)
        status, answer = (self._shared / "status").read_text().strip(), (self._shared / "answer").read_text()
        (self._shared / "status").unlink()
        assert status == "0", f"exit status {status}: {answer}"
        return answer

    def _wait(self, name: str, limit_s: float) -> None:
        end = time.monotonic() + limit_s
        while not (self._shared / name).exists():
            assert self._process.poll() is None, f"the machine is gone\n{self._console()}"
            assert time.monotonic() < end, f"no {name} within {limit_s:g} s\n{self._console()}"
            time.sleep(0.05)

    def _console(self) -> str:
        files = (self._shared / "console", self._shared.parent / "qemu")
        return "\n".join(file.read_text(errors="replace")[-2000:] for file in files if file.exists())

    def wait_for_boot(self) -> None:
        self._wait("ready", BOOT_LIMIT_S)


@contextmanager
def machine(directory: Path, namespace: str, tap: str) -> Iterator[Machine]:
    """One for the length of a `with`; `tap` is made in `namespace`, and goes with it."""
    version = _kernels()[-1]
    shared = directory / "shared"
    shared.mkdir()
    (shared / "obey").write_text(_OBEY.format(shared=_SHARED))
    command = [
        "ip", "netns", "exec", namespace,
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-smp", "1", "-m", "768M",
        "-kernel", str(ROOT / f"boot/vmlinuz-{version}"), "-initrd", str(_initramfs(directory, version)),
        "-append", f"console=ttyS0 {_KERNEL_LINE}",
        "-serial", f"file:{shared}/console",
        "-netdev", f"tap,id=net,ifname={tap},script=no,downscript=no", "-device", "virtio-net-pci,netdev=net",
        "-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
        "-fsdev", f"local,id=shared,path={shared},security_model=none",
        "-device", "virtio-9p-pci,fsdev=shared,mount_tag=shared",
    ]  # fmt: skip
    with (directory / "qemu").open("wb") as said:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        yield Machine(process, shared)
    finally:
        process.kill()
        process.wait(10)


def _kernels() -> list[str]:
    names = (path.name.removeprefix("vmlinuz-") for path in sorted((ROOT / "boot").glob("vmlinuz-*")))
    return [name for name in names if (ROOT / "lib/modules" / name / "modules.dep").exists()]


def _initramfs(directory: Path, version: str) -> Path:
    """Busybox, the early modules in the order of their needs, and what is done with them."""
    root = directory / "initramfs"
    for name in ("bin", "dev", "proc", "sys", "modules", "below", "above", "new"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox")
    assert busybox is not None
    shutil.copy(busybox, root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    modules = list(_needed(ROOT / "lib/modules" / version))
    for module in modules:
        shutil.copy(module, root / "modules" / module.name)
    (root / "modules/order").write_text("\n".join(module.name for module in modules) + "\n")
    (root / "init").write_text(_INIT.format(shared=_SHARED, modules=shlex.quote(str(ROOT / "lib/modules"))))
    (root / "init").chmod(0o755)
    made = directory / "initramfs.cpio"
    script = f"find . | busybox cpio -o -H newc > {shlex.quote(str(made))}"
    subprocess.run(["sh", "-c", script], cwd=root, check=True, capture_output=True, timeout=60)
    return made


def _needed(directory: Path) -> Iterator[Path]:
    needs = {}
    for line in (directory / "modules.dep").read_text().splitlines():
        module, _, others = line.partition(":")
        needs[module] = others.split()
    by_name = {Path(module).name.partition(".")[0].replace("-", "_"): module for module in needs}
    told = set()

    def walk(module: str) -> Iterator[str]:
        for other in needs[module]:
            yield from walk(other)
        yield module

    for name in EARLY:
        for module in walk(by_name[name]) if name in by_name else ():
            if module not in told:
                told.add(module)
                yield directory / module
