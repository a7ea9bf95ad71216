"""The aims of the workspace in control, and which of them the rows meet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from benchmarks.harness.rows import Row, rows_before
from benchmarks.harness.tables import Table
from gw_envs.scenes import SCENES

MET, WITHIN, MISSED = "met", "within the interval", "not met"
"""Outcomes: the mean reaches what is wanted; the interval does; neither does."""


@dataclass(frozen=True)
class Aim:
    """One figure to reach, in both scenes."""

    text: str
    metric: str
    condition: Mapping[str, str]
    """Entries of the row's condition, beside the encoder `gw`."""
    wanted: float | None = None
    """The least value; that of the previous release if None, of which the row must not fall short
    by more than its interval."""


def _kept(text: str, wanted: float, **condition: str) -> Aim:
    return Aim(text, "success_kept", condition, wanted)


AIMS = (
    _kept(
        "trained on images, tested on all: of the success on images",
        0.97,
        train="image",
        test="all",
    ),
    _kept(
        "trained on attributes, tested on all: of the success on attributes",
        0.97,
        train="attributes",
        test="all",
    ),
    Aim("trained on all, tested on all: success", "success", {"train": "all", "test": "all"}, 0.98),
    Aim(
        "trained on all, no image: success",
        "success",
        {"train": "all", "missing": "image", "attention": "none"},
        0.95,
    ),
    Aim(
        "trained on all, no attributes: success",
        "success",
        {"train": "all", "missing": "attributes", "attention": "none"},
        0.95,
    ),
    *(
        Aim(
            f"trained on {source}, tested on captions: success",
            "success",
            {"train": source, "test": "language"},
        )
        for source in ("image", "attributes", "language", "all")
    ),
    Aim(
        "trained on images, tested on attributes: of the return learned on attributes",
        "share",
        {"train": "image", "test": "attributes"},
        0.98,
    ),
    Aim(
        "trained on attributes, tested on images: of the return learned on images",
        "share",
        {"train": "attributes", "test": "image"},
        0.98,
    ),
    *(
        _kept(
            f"one sensor fails ({name.replace('_', ' ')}), attention: of the clean success",
            wanted,
            failure=name,
            attention="best",
        )
        for name, wanted in (
            ("noise", 0.97),
            ("loss", 0.97),
            ("stale", 0.92),
            ("other_scene", 0.92),
        )
    ),
)
"""The figures to reach."""


@dataclass(frozen=True)
class Judged:
    """An aim in a scene, and the row that decides about it."""

    text: str
    wanted: float
    row: Row
    before: Row | None
    """The same row of the previous release, if it has one."""
    is_lenient: bool
    """Whether the interval may reach the wanted value instead of the mean."""

    @property
    def outcome(self) -> str:
        """One of `MET`, `WITHIN`, `MISSED`."""
        if self.row.measured >= self.wanted or (self.is_lenient and self.row.high >= self.wanted):
            return MET
        return WITHIN if self.row.high >= self.wanted else MISSED


def judge(rows: Sequence[Row]) -> list[Judged]:
    """Return every aim that the rows can decide about, scene by scene."""
    judged = []
    for scene in SCENES:
        for aim in AIMS:
            row, before = _find(rows, scene, aim), _find(before_rows(), scene, aim)
            wanted = before.measured if aim.wanted is None and before else aim.wanted
            if row is not None and wanted is not None:
                judged.append(Judged(aim.text, wanted, row, before, aim.wanted is None))
        worst = _worst_difference(rows, scene)
        if worst is not None:
            text = f"success beside `contrastive`, worst test ({describe_test(worst)}): difference"
            judged.append(Judged(text, 0.0, worst, None, True))
    return judged


def _find(rows: Sequence[Row], scene: str, aim: Aim) -> Row | None:
    """Return the row of an aim, if there is one."""
    for row in rows:
        is_wanted = row.metric == aim.metric and row.scene == scene
        if is_wanted and row.matches(encoder="gw", **aim.condition):
            return row
    return None


def _worst_difference(rows: Sequence[Row], scene: str) -> Row | None:
    """Return the test in which `gw` does worst beside `contrastive`, noise apart."""
    compared = []
    for row in rows:
        is_compared = row.metric == "success_difference" and row.scene == scene
        if is_compared and row.matches(encoder="gw") and row.condition.get("failure") != "noise":
            compared.append(row)
    return min(compared, key=lambda row: row.high, default=None)


def describe_test(row: Row) -> str:
    """Describe the test of a row: what the policy was trained on, and what it was shown."""
    condition = row.condition
    shown = f"tested on {condition.get('test')}"
    if condition.get("missing"):
        shown = f"no {condition['missing']}"
    elif condition.get("failure"):
        shown = f"failure: {condition['failure'].replace('_', ' ')}"
    fused = ", attention" if condition.get("attention") == "best" else ""
    return f"trained on {condition['train']}, {shown}{fused}"


@cache
def before_rows() -> tuple[Row, ...]:
    """Return the rows of the previous release that aims are compared with; none without its
    summary."""
    return tuple(rows_before("control"))


def aim_table(rows: Sequence[Row]) -> Table:
    """A line for every aim in every scene."""
    lines = []
    for aim in judge(rows):
        before = "" if aim.before is None else f"{aim.before.measured:.1%}"
        wanted = f"{aim.wanted:.1%}"
        lines.append((aim.row.scene, aim.text, wanted, aim.row.interval, before, aim.outcome))
    headers = ("scene", "aim (encoder gw)", "at least", "measured", "previous release", "outcome")
    return Table("Aims", headers, lines)


def count_outcomes(rows: Sequence[Row]) -> str:
    """Say how many aims are met."""
    outcomes = [aim.outcome for aim in judge(rows)]
    text = f"{outcomes.count(MET)} of {len(outcomes)} aims are met"
    for outcome, what in ((WITHIN, "lie within their intervals"), (MISSED, "are missed")):
        if outcome in outcomes:
            text += f", {outcomes.count(outcome)} {what}"
    return text


def list_missed(rows: Sequence[Row]) -> str:
    """List the aims that are not met, as Markdown."""
    lines = []
    for aim in judge(rows):
        if aim.outcome != MET:
            wanted = f"at least {aim.wanted:.1%} was the aim"
            lines.append(f"- {aim.row.scene}, {aim.text}: {aim.row.interval}; {wanted}.")
    return "\n".join(lines) or "- None: every aim is met."
