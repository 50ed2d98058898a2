"""Values of records as templates name them, and how they are written."""

from typing import Any

MINUTE, HOUR = 60.0, 3600.0


class Fields:
    """A value of a JSON file. `a.b` is a field; `a[x]` the row of a list that has x, `a[x/y]` the one with x and y."""

    def __init__(self, value: Any, name: str):
        self.value, self.name = value, name

    def __getattr__(self, field: str) -> "Fields":
        if not isinstance(self.value, dict) or field not in self.value:
            raise KeyError(f"{self.name} has no field '{field}'.")
        return Fields(self.value[field], f"{self.name}.{field}")

    def __getitem__(self, key: str) -> "Fields":
        name = f"{self.name}[{key}]"
        if isinstance(self.value, dict):
            return Fields(self.value[key], name)
        rows = [row for row in self.value if set(str(key).split("/")) <= {str(value) for value in row.values()}]
        if len(rows) != 1:
            raise KeyError(f"{name} is of {len(rows)} rows, expected one.")
        return Fields(rows[0], name)

    def __format__(self, form: str) -> str:
        if form == "time":
            return duration(self.value)
        if isinstance(self.value, str):
            return self.value  # a published value that is written "about"
        if isinstance(self.value, dict | list):
            raise KeyError(f"{self.name} is no number: name one of its fields.")
        return format(self.value, form)


def duration(seconds: float) -> str:
    """Return seconds as people say them: "31 s", "53 minutes", "2.3 hours"."""
    if seconds < 1.5 * MINUTE:
        return f"{seconds:.0f} s"
    if seconds < 1.5 * HOUR:
        return f"{seconds / MINUTE:.0f} minutes"
    return f"{seconds / HOUR:.1f} hours"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, the numbers of all but the first column to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def bold_best(cells: list[str], values: list[float | None], highest: bool = False) -> list[str]:
    """Return cells with the best of their values in bold."""
    known = [value for value in values if value is not None]
    best = max(known) if highest else min(known)
    return [f"**{cell}**" if value == best else cell for cell, value in zip(cells, values, strict=True)]
