"""How large data may be, compared with what headers claim before anything is decoded or allocated."""

import os
from pathlib import Path

from jaxvae.errors import UserError

MAX_SIDE = 8192  # pixels of an image's longer side: images that are resized are squares of that side first
MAX_IMAGE_SIZE = 4096  # pixels that images are resized to
MAX_CLASSES = 1_000_000
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # of containers
MAX_UNPACKED = 2**29  # bytes that may be packed at any ratio
MAX_RATIO = 500  # unpacked to packed, of what is larger: no set of images, but one of nothing


def check_sides(height: int, width: int, name: str) -> None:
    """Raise a `UserError` for images that are too large to be handled."""
    if max(height, width) > MAX_SIDE:
        raise UserError(
            f"{name}: {width}x{height} pixels, expected at most {MAX_SIDE} on either side; make it smaller first."
        )


def check_image_size(image_size: int | None) -> None:
    """Raise a `UserError` unless a size that images are to be resized to is sound."""
    if image_size is None:
        return
    if isinstance(image_size, bool) or not hasattr(image_size, "__index__"):
        raise UserError(f"The image size is {image_size!r}, expected a whole number of pixels.")
    if not 1 <= image_size <= MAX_IMAGE_SIZE:
        raise UserError(f"The image size is {image_size}, expected at least 1 and at most {MAX_IMAGE_SIZE} pixels.")


def check_memory(num_bytes: int, name: str) -> None:
    """Raise a `UserError` for data that would take more than half of the machine's memory."""
    if num_bytes > (most := machine_memory() // 2):
        raise UserError(
            f"{name} would take {num_bytes / 1e9:,.1f} GB in memory, expected at most {most / 1e9:,.1f} GB, half of "
            "this machine's: take fewer images, or smaller ones (--image-size N for a folder)."
        )


def check_packed(num_bytes: int, packed: int, name: str) -> None:
    """Raise a `UserError` for what is said to unpack to more than images can."""
    if num_bytes > MAX_UNPACKED and num_bytes > MAX_RATIO * packed:
        raise UserError(
            f"{name} would unpack {packed:,} bytes to {num_bytes:,}, more than {MAX_RATIO} times as many: these are no "
            "images, or the file is damaged."
        )
    check_memory(num_bytes, name)


def available_memory() -> int:
    """Return the bytes that this process may still take, as far as the system says so; else all of the machine's."""
    try:
        lines = (line.partition(":") for line in Path("/proc/meminfo").read_text().splitlines())
        kilobytes = {name: int(value.split()[0]) for name, _, value in lines}
        return min(machine_memory(), 1024 * (kilobytes["MemAvailable"] + kilobytes["SwapFree"]))
    except (OSError, KeyError, ValueError, IndexError):  # no Linux
        return machine_memory()


def machine_memory() -> int:
    """Return the bytes of memory that this process may use, those of its container where there is one."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # no POSIX system
        memory = 16 * 2**30
    for name in LIMITS:
        try:
            limit = Path(name).read_text().strip()
        except OSError:
            continue
        memory = min(memory, int(limit)) if limit.isdecimal() else memory
    return memory
