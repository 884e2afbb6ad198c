"""A table that is printed as it grows, and kept, and plots of its rows."""

import json
from pathlib import Path


class Table:
    """Rows of the same keys; each is printed as Markdown at once, with `digits` digits, and all are kept as JSON."""

    def __init__(self, path: Path, digits: int = 3):
        self.path, self.digits, self.rows = path, digits, list[dict]()
        path.parent.mkdir(parents=True, exist_ok=True)

    def add(self, row: dict) -> None:
        """Print and keep one more row."""
        self.rows.append(row)
        if len(self.rows) == 1:
            print("| " + " | ".join(row) + " |\n" + "|---" * len(row) + "|")
        cells = [f"{value:.{self.digits}g}" if isinstance(value, float) else str(value) for value in row.values()]
        print("| " + " | ".join(cells) + " |", flush=True)
        self.path.write_text(json.dumps(self.rows, indent=1))


def plot(
    path: Path, curves: dict[str, list[dict]], x: str, *measured: str, mark: float | None = None, **names: str
) -> None:
    """Save a panel for each of what was `measured` over `x`, with curves of rows; one row alone is a square."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1 + 5 * len(measured), 4.4), layout="constrained")
    for axes, y in zip(figure.subplots(1, len(measured), squeeze=False)[0], measured, strict=True):
        for label, rows in curves.items():
            points = [[row[name] for row in rows] for name in (x, y)]
            axes.plot(*points, "o-" if len(rows) > 1 else "s", label=label, markersize=4)
        if mark is not None:
            axes.axvline(mark, color="grey", linewidth=0.8, linestyle=":")
        axes.set(**{"xlabel": x, "ylabel": y, "yscale": "log" if y == "Frechet" else "linear"} | names)
        axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
