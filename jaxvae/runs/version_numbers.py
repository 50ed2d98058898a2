"""Versions of packages as whole numbers, for files in which every byte counts."""

import re


def version_number(text: str) -> int:
    """Return a version as a number, "0.2.0" as 1024 * 0 + 32 * 2 + 0; what follows its first three numbers is lost."""
    major, minor, patch = _numbers(text)
    return 1024 * major + 32 * min(minor, 31) + min(patch, 31)


def version_text(number: int) -> str:
    """Return the version of a number, "0.2.0"."""
    return f"{number // 1024}.{number // 32 % 32}.{number % 32}"


def leading_number(text: str) -> int:
    """Return the leading number of a version: 2 * minor of 0.minor, 2 * major + 1 of others.

    Versions of the same leading number are to understand each other.
    """
    major, minor, _ = _numbers(text)
    return 2 * major + 1 if major else 2 * minor


def leading_text(number: int) -> str:
    """Return what versions of a leading number begin with, "0.5" or "1"."""
    return str(number // 2) if number % 2 else f"0.{number // 2}"


# ---------- private


def _numbers(text: str) -> tuple[int, int, int]:
    """The first three numbers of a version: 0, 3, 0 of "0.3rc1"."""
    found = re.match(r"(\d+)(?:\.(\d+))?(?:\.(\d+))?", text)
    major, minor, patch = (int(number or 0) for number in found.groups()) if found else (0, 0, 0)
    return major, minor, patch
