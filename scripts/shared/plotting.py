"""Draws figures in one style, as PNG and SVG files that are byte-identical for equal data.

Series differ in marker and dash as well as colour, so a figure can be printed in grey.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taskbank.errors import MissingExtraError

# The Okabe-Ito palette, safe for colour-blind readers, with a marker and a dash per colour.
STYLES = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    {"color": "#009E73", "marker": "^", "linestyle": "-."},
    {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
    {"color": "#56B4E9", "marker": "v", "linestyle": "-"},
    {"color": "#000000", "marker": "P", "linestyle": "--"},
)
SETTINGS = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "svg.hashsalt": "taskbank",  # without it, element ids differ from run to run
}


def check_matplotlib() -> None:
    """Raise unless matplotlib is installed. Call it before hours of training, not after.

    Raises:
        MissingExtraError: naming the extra to install.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError(
            "figures need matplotlib: install it with pip install 'taskbank[plots]'"
        ) from None


@contextmanager
def saved_figure(
    path: Path, layout: str = "constrained", **settings: Any
) -> Iterator[tuple[Any, Any]]:
    """Yield a figure and its 2-D array of axes; write both files when the block ends.

    Args:
        path: the files' path without suffix.
        layout: matplotlib's layout engine.
        settings: passed to `pyplot.subplots`.
    """
    check_matplotlib()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context(SETTINGS):
        figure, axes = pyplot.subplots(layout=layout, squeeze=False, **settings)
        try:
            yield figure, axes
            # No date and no version of matplotlib: equal data must give equal bytes.
            name = path.name
            figure.savefig(path.with_name(f"{name}.png"), dpi=200, metadata={"Software": None})
            figure.savefig(path.with_name(f"{name}.svg"), metadata={"Date": None, "Creator": None})
        finally:
            pyplot.close(figure)


def add_legend(figure: Any, note: str) -> None:
    """Put the legend below the axes, where it covers no data.

    Args:
        figure: with labelled lines.
        note: title of the legend, such as the backbone; may be empty.
    """
    figure.legend(
        loc="outside lower left",
        ncols=2,
        fontsize=8,
        title=note or None,
        title_fontsize=7,
        alignment="left",
    )
