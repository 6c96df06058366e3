"""What pictures have in common: each is a PNG and an SVG, the same bytes from the same numbers.

What tells things apart is never a colour alone, so they can be printed in grey.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from taskbank.errors import MissingExtraError

# Colours of Okabe and Ito, which every eye tells apart, with a marker and a dash each.
STYLES = (
    {"color": "#0072B2", "marker": "o", "linestyle": "-"},
    {"color": "#D55E00", "marker": "s", "linestyle": "--"},
    {"color": "#009E73", "marker": "^", "linestyle": "-."},
    {"color": "#CC79A7", "marker": "D", "linestyle": ":"},
    {"color": "#56B4E9", "marker": "v", "linestyle": "-"},
    {"color": "#000000", "marker": "P", "linestyle": "--"},
)
LOOK = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
    "svg.hashsalt": "taskbank",  # else the names of clips differ from run to run
}


def check_matplotlib() -> None:
    """Raise unless pictures can be drawn: better before hours of training than after.

    Raises:
        MissingExtraError: naming the extra.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise MissingExtraError(
            "the pictures need matplotlib: install it with pip install 'taskbank[plots]'"
        ) from None


@contextmanager
def picture(path: Path, layout: str = "constrained", **settings: Any) -> Iterator[tuple[Any, Any]]:
    """Give a figure and its axes, and write them.

    Args:
        path: without an ending.
        layout: how room is made for what stands around the axes.
        settings: of the axes and the figure.
    """
    check_matplotlib()
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with matplotlib.rc_context(LOOK):
        figure, axes = pyplot.subplots(layout=layout, squeeze=False, **settings)
        try:
            yield figure, axes
            # Neither may hold a date, or the version that drew it.
            name = path.name
            figure.savefig(path.with_name(f"{name}.png"), dpi=200, metadata={"Software": None})
            figure.savefig(path.with_name(f"{name}.svg"), metadata={"Date": None, "Creator": None})
        finally:
            pyplot.close(figure)


def legend(figure: Any, note: str) -> None:
    """Say below the axes, where it can lie on nothing that is drawn, what is what.

    Args:
        figure: with labelled lines.
        note: above them, such as which backbone it is.
    """
    figure.legend(
        loc="outside lower left",
        ncols=2,
        fontsize=8,
        title=note or None,
        title_fontsize=7,
        alignment="left",
    )
