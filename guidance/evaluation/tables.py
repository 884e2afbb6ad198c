"""A table that is printed as it grows, and kept."""

import json
from pathlib import Path


class Table:
    """Rows of the same keys; each is printed as Markdown at once, with `digits` digits, and all are kept as JSON."""

    def __init__(self, path: Path, digits: int = 3):
        self.path, self.digits, self.rows = path, digits, list[dict]()

    def add(self, row: dict) -> None:
        """Print and keep one more row."""
        self.rows.append(row)
        if len(self.rows) == 1:
            print("| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
        cells = [f"{value:.{self.digits}g}" if isinstance(value, float) else str(value) for value in row.values()]
        print("| " + " | ".join(cells) + " |", flush=True)
        self.path.write_text(json.dumps(self.rows, indent=1))
