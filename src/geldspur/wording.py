"""Words beside numbers."""

LIST_KINDS = {"material": "reported material", "benign": "known harmless files"}
"""What a hash list holds, by its kind."""


def counted(value: int, noun: str, plural: str | None = None) -> str:
    """`1 payment`, `2 payments`; `1 entry`, `2,000 entries`."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"
