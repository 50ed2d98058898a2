"""What people call the parts of their data, in any case of letters."""

PART_NAMES = {
    "train": ("train", "training"),
    "valid": ("valid", "val", "validation", "dev"),
    "test": ("test", "testing"),
}
SETS = {"train": "training", "valid": "validation", "test": "test"}  # what messages say before "set" or "images"


def part_of(name: str) -> str | None:
    """Return the part that a name means, or None."""
    return next((part for part, names in PART_NAMES.items() if name.lower() in names), None)
