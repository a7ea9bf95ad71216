"""Tables and quoted figures of translations through the shipped workspaces, all made from
rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import NamedTuple

from benchmarks.harness.rows import Row, rows_before
from benchmarks.harness.tables import Table
from benchmarks.shipped.statements import GRADED, WHOLE
from benchmarks.shipped.translations import (
    ALL,
    CAPTION,
    COARSE,
    DRAWN,
    MATPLOTLIB,
    SEEN,
    TOLD,
)
from gw_envs.scenes import SCENES

SLOTS = ("size", "color", "shape", "place", "direction", WHOLE)
"""Columns of tables about captions."""
ATTRIBUTES = ("position", "rotation", "size", "rgb", "shape")
"""Columns of tables about attributes."""
UNITS = {"rotation": "°", "size": " px", "rgb": " of 255"}
"""Units of errors, after their values; positions depend on the scene and shapes are fractions."""
LENGTHS = {"simple_shapes": " px", "factory": " m"}
"""Units of positions by scene, after their values."""

Aims = Mapping[str, float]
"""What is aimed at, by slot or attribute."""
TRUE_AIMS: Aims = {"color": 0.90, "place": 0.95, "direction": 0.95, WHOLE: 0.85}
"""Least shares of true claims in captions of images."""
WITHIN_AIMS: Aims = dict.fromkeys(GRADED, 0.95)
"""Least shares of images of captions that show what the caption says."""
ERROR_AIMS: Mapping[tuple[str, str], Aims] = {
    ("simple_shapes", SEEN): {"position": 0.25, "rotation": 3.5, "rgb": 4.0},
    ("factory", SEEN): {"position": 0.04, "rotation": 1.5, "rgb": 4.0},
    ("simple_shapes", MATPLOTLIB): {"rotation": 2.5, "rgb": 3.9, "shape": 0.003},
}
"""Largest errors of attributes that are read from images, by scene and source."""


class Source(NamedTuple):
    """The rows that a line of a table shows, beside their scene."""

    metric: str
    source: str

    def aims(self, scene: str) -> Aims:
        """Return what is aimed at."""
        if self == IMAGE_TRUE:
            return TRUE_AIMS
        if self == DRAWN_WITHIN:
            return WITHIN_AIMS
        return ERROR_AIMS.get((scene, self.source), {}) if self.metric == "error" else {}


IMAGE_TRUE, DRAWN_WITHIN = Source("true", "image"), Source("within", DRAWN)
"""How true captions of images are, and whether images of captions show what the caption says."""


@dataclass(frozen=True)
class Layout:
    """How a table shows some figures: a line for each scene and source."""

    title: str
    made: str
    """Header of the column of sources."""
    sources: Mapping[str, Source]
    """The sources by the name that the table gives them."""
    columns: tuple[str, ...]
    note: str = ""


def captions_made(metric: str, names: Mapping[str, str]) -> dict[str, Source]:
    """Return the sources of one metric by their names in tables."""
    return {name: Source(metric, source) for name, source in names.items()}


MADE_FROM = {"image": "image", "attributes": "attributes", "caption": "language", ALL: ALL}
"""Sources of captions that go through the workspace, by their names in tables."""
WRITTEN = {"the environment's caption": CAPTION, "its coarsest form": COARSE}
"""Captions that the environment writes, by their names in tables."""
LAYOUTS = (
    Layout(
        "Captions: share of claims that are true",
        "caption made from",
        captions_made("true", MADE_FROM),
        SLOTS,
        "A caption that the parser cannot read counts as false in every slot.",
    ),
    Layout(
        "Captions: share of fine claims",
        "caption made from",
        captions_made("fine", MADE_FROM | WRITTEN),
        GRADED,
        "All claims are fine but the basic colors, the nine regions and the eight directions.",
    ),
    Layout(
        "Captions: share of other test scenes of which a claim is true too",
        "caption made from",
        captions_made("also_true", MADE_FROM | WRITTEN),
        SLOTS,
        "The smaller the share, the more a caption narrows the scene down.",
    ),
    Layout(
        "Captions of captions: share of claims that stay as coarse or as fine as they were",
        "caption made from",
        {"caption": Source("kept", "language")},
        GRADED,
    ),
    Layout(
        "Attributes read from translations: share that lies in what the environment's caption says",
        "attributes read from",
        {
            "image made from the caption": DRAWN_WITHIN,
            "image made from the caption, coarse claims": Source("within_coarse", DRAWN),
            "image made from the caption, fine claims": Source("within_fine", DRAWN),
            "the caption": Source("within", TOLD),
            "image of the scene": Source("within", SEEN),
            "image of the scene, coarse claims": Source("within_coarse", SEEN),
            "image of the scene, fine claims": Source("within_fine", SEEN),
        },
        SLOTS,
        "The image of the scene shows how strict the judge is: regions of fine claims are small.",
    ),
    Layout(
        "Attributes read from images through the workspace: errors",
        "attributes read from",
        {"image of the scene": Source("error", SEEN), "matplotlib": Source("error", MATPLOTLIB)},
        ATTRIBUTES,
        "Medians over scenes; of shapes the share that is wrong.",
    ),
)

Figures = dict[str, Row]
"""The rows of one metric, scene and source by slot or attribute."""


@cache
def before() -> tuple[Row, ...]:
    """Return the rows of the previous release; none without a summary of it."""
    return tuple(rows_before("captions"))


def pick(rows: Iterable[Row], scene: str, metric: str, source: str) -> Figures:
    """Return the rows of a scene, metric and source by slot or attribute."""
    return {
        row.condition["of"]: row
        for row in rows
        if row.metric == metric and row.scene == scene and row.condition["source"] == source
    }


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return the tables that have lines; figures of the previous release follow those they differ
    from."""
    listed = []
    for layout in LAYOUTS:
        lines = []
        for scene, (name, source) in product(SCENES, layout.sources.items()):
            of_source = _lines(layout, rows, scene, source)
            lines += [(scene, name, *line) for line in of_source]
        if lines:
            headers = ("scene", layout.made, "", *layout.columns)
            listed.append(Table(layout.title, headers, lines, layout.note))
    return listed


def _lines(
    layout: Layout, rows: Sequence[Row], scene: str, source: Source
) -> list[tuple[str, ...]]:
    """Return the lines of a source: now, before where it differs, and what is aimed at."""
    now, old = pick(rows, scene, *source), pick(before(), scene, *source)
    if not now:
        return []
    lines = [("now", *_texts(now, layout.columns))]
    if any(name in old and old[name] != now[name] for name in now):
        lines.append(("before", *_texts(old, layout.columns)))
    aims = source.aims(scene)
    if aims:
        texts = []
        for name in layout.columns:
            texts.append(value_text(scene, source.metric, name, aims[name]) if name in aims else "")
        lines.append(("aim", *texts))
    return lines


def _texts(figures: Figures, columns: Sequence[str]) -> list[str]:
    """Return means and intervals by column; nothing where there is no figure."""
    return [row_text(figures[name]) if name in figures else "" for name in columns]


def row_text(row: Row) -> str:
    """Return the mean of a row in its unit, with its interval."""
    metric, of = row.metric, row.condition["of"]
    mean = value_text(row.scene, metric, of, row.measured)
    if is_share(metric, of):
        low, high = (value_text(row.scene, metric, of, value) for value in (row.low, row.high))
        return f"{mean} ({low} to {high})"
    return f"{mean} ({row.low:.3g} to {row.high:.3g})"


def value_text(scene: str, metric: str, of: str, value: float) -> str:
    """Return a share in percent, or an error in the attribute's unit."""
    if is_share(metric, of):
        return percent(value) if value < 0.1 else f"{value:.1%}"
    unit = LENGTHS[scene] if of == "position" else UNITS[of]
    return f"{value:.3g}{unit}"


def is_share(metric: str, of: str) -> bool:
    """Tell whether a figure is a share: all are but errors in units."""
    return metric != "error" or of == "shape"


def percent(share: float) -> str:
    """Return a small share in percent with two digits that count."""
    return f"{100 * share:.2g}%"


def missed(rows: Sequence[Row]) -> list[str]:
    """Describe the aims that are missed by more than the interval."""
    texts = []
    for layout in LAYOUTS:
        for scene, (name, source) in product(SCENES, layout.sources.items()):
            figures = pick(rows, scene, *source)
            for of, aim in source.aims(scene).items():
                if of in figures and not _reached(figures[of], aim):
                    value = row_text(figures[of])
                    texts.append(f"{scene}: {of}, {layout.made} {name}: {value}")
    return texts


def _reached(row: Row, aim: float) -> bool:
    """Tell whether a share or an error is as good as its aim, or not worse by more than the
    interval."""
    return row.low <= aim if row.metric == "error" else row.high >= aim


def quoted(rows: Sequence[Row]) -> dict[str, str]:
    """Return the figures that the page quotes."""
    texts = {"missed": "\n".join(f"- {text}" for text in missed(rows)) or "- none"}
    for scene in SCENES:
        for suffix, known in (("", rows), ("_before", before() or rows)):
            true, within = pick(known, scene, *IMAGE_TRUE), pick(known, scene, *DRAWN_WITHIN)
            for slot in TRUE_AIMS:
                texts[f"{scene}_{slot}{suffix}"] = f"{true[slot].measured:.1%}"
            for slot in WITHIN_AIMS:
                texts[f"{scene}_{slot}_within{suffix}"] = f"{within[slot].measured:.1%}"
            also = pick(known, scene, "also_true", "image")
            texts[f"{scene}_also{suffix}"] = percent(also[WHOLE].measured)
        for source, label in ((CAPTION, "given"), (COARSE, "coarsest")):
            also = pick(rows, scene, "also_true", source)
            texts[f"{scene}_also_{label}"] = percent(also[WHOLE].measured)
        own = pick(rows, scene, "within", SEEN)
        texts[f"{scene}_color_seen"] = f"{own['color'].measured:.1%}"
    return texts
