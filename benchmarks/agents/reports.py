"""Tables and quoted figures of the control benchmark, all made from its rows."""

from collections.abc import Mapping, Sequence
from itertools import product

from benchmarks.agents.aims import aim_table, count_outcomes, list_missed
from benchmarks.agents.pictures import ON
from benchmarks.agents.scores import FAILURES, TESTS
from benchmarks.agents.sizes import SIZES
from benchmarks.harness.rows import Row, by_scene, find_row
from benchmarks.harness.tables import Table
from gw_envs.observation import MODALITIES
from gw_envs.scenes import SCENES

KIND = ("scene", "encoder", "trained on")
"""Headers of the columns that name a kind of agent."""
FAILURE_NAMES = (
    "nothing",
    *(failure.name.replace("_", " ") for failure in FAILURES),
    *(f"no {missing}" for missing in MODALITIES),
)
"""Lines of the table of failing sensors."""
FAILURE_METRICS = {
    "success": "success",
    "success_kept": "of the clean success",
    "success_difference": "less that of `contrastive`",
}
"""Headers of the metrics in the table of failing sensors."""


def tables(rows: Sequence[Row]) -> list[Table]:
    """Return the tables that have lines: aims, success, success kept and return kept on other
    modalities, failing sensors, differences to the contrastive workspace, and its weights."""
    listed = [
        aim_table(rows),
        success_table(rows),
        grid_table(
            rows,
            "success_kept",
            "Success on other modalities, as a share of that on the modalities of training",
        ),
        grid_table(
            rows,
            "share",
            "Return on other modalities, as a share of that of policies trained on them",
        ),
        failure_table(rows),
        grid_table(rows, "success_difference", "Success, less that of `contrastive`"),
        weight_table(rows),
    ]
    return [table for table in listed if table.lines]


def success_table(rows: Sequence[Row]) -> Table:
    """A line for each kind of agent, a column for each set of modalities."""
    lines = []
    for scene, agent in agents_in(rows, "success"):
        own = find_row(rows, "success", scene, **agent, test=agent["train"])
        steps = "not reached"
        for row in rows:
            if row.metric == "steps_to_90" and row.scene == scene and row.matches(**agent):
                steps = f"{row.measured:,.0f}"
        on_each = _on_each(rows, "success", scene, agent)
        lines.append((scene, *agent.values(), str(own.n_seeds), *on_each, steps))
    headers = (*KIND, "seeds", *ON, "steps to 90 %")
    return Table("Success in held-out episodes", headers, lines)


def grid_table(rows: Sequence[Row], metric: str, title: str) -> Table:
    """A line for each kind of agent that has rows of a metric, a column for each set of
    modalities."""
    lines = []
    for scene, agent in agents_in(rows, metric):
        lines.append((scene, *agent.values(), *_on_each(rows, metric, scene, agent)))
    return Table(title, (*KIND, *ON), lines)


def failure_table(rows: Sequence[Row]) -> Table:
    """Success while one of three sensors fails, its share of the clean success, and how much it is
    above that of the contrastive workspace; each without and with attention."""
    columns = tuple(product(FAILURE_METRICS, ("none", "best")))
    failing: dict[tuple[str, str, str], dict[tuple[str, str], str]] = {}
    for row in by_scene(rows):
        if row.metric in FAILURE_METRICS and "failure" in row.condition:
            name = failure_name(row)
            line = failing.setdefault((row.scene, row.condition["encoder"], name), {})
            line[row.metric, row.condition["attention"]] = row.interval
    lines = []
    kinds = list(dict.fromkeys(names[:2] for names in failing))
    for kind, name in product(kinds, FAILURE_NAMES):
        texts = failing.get((*kind, name), {})
        if texts:
            lines.append((*kind, name, *(texts.get(column, "") for column in columns)))
    headers = ["scene", "encoder", "failure"]
    for metric, attention in columns:
        fused = "" if attention == "none" else ", attention"
        headers.append(f"{FAILURE_METRICS[metric]}{fused}")
    title = "Success while one of three sensors fails, of agents trained on all of them"
    return Table(title, tuple(headers), lines)


def failure_name(row: Row) -> str:
    """Return the one of `FAILURE_NAMES` that a row is about."""
    missing, failure = row.condition.get("missing"), row.condition["failure"]
    if missing:
        return f"no {missing}"
    return "nothing" if failure == "none" else str(failure).replace("_", " ")


def weight_table(rows: Sequence[Row]) -> Table:
    """The fixed weights of the contrastive workspace, a line for each scene."""
    lines = []
    for scene in SCENES:
        weights = [row for row in rows if row.metric == "fusion_weight" and row.scene == scene]
        if weights:
            error = find_row(rows, "tuned_error_share", scene)
            lines.append((scene, *(row.interval for row in weights), error.interval))
    headers = ("scene", *MODALITIES, "error, of that with even weights")
    return Table("Fixed weights of the contrastive workspace", headers, lines)


def agents_in(rows: Sequence[Row], metric: str) -> list[tuple[str, dict[str, str]]]:
    """List (scene, {"encoder", "train"}) of every kind of agent that has rows of a metric, encoder
    by encoder."""
    listed: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in by_scene(rows):
        if row.metric == metric and "test" in row.condition:
            encoder, train = row.condition["encoder"], row.condition["train"]
            listed[row.scene, encoder, train] = {"encoder": encoder, "train": train}
    return [(scene, agent) for (scene, *_), agent in listed.items()]


def _on_each(
    rows: Sequence[Row], metric: str, scene: str, agent: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the interval of a metric on each set of modalities; nothing where there is no row."""
    texts = dict.fromkeys(TESTS, "")
    for row in rows:
        if row.metric == metric and row.scene == scene and row.matches(**agent):
            texts[row.condition.get("test", "")] = row.interval
    return tuple(texts[test] for test in TESTS)


def quoted(rows: Sequence[Row]) -> dict[str, str]:
    """Return the figures that the page quotes."""
    figures = {"aims": count_outcomes(rows), "missed": list_missed(rows)}
    figures["episodes"] = f"{SIZES['full'].episodes:,}"
    for scene in SCENES:
        figures[f"steps_{scene}"] = f"{SIZES['full'].steps[scene]:,}"
        figures |= _failure_figures(rows, scene)
    for encoder, scene in product(("gw", "contrastive"), SCENES):
        figures |= _transfer_figures(rows, encoder, scene)
    for encoder in ("gw", "unimodal", "raw"):
        agent = {"encoder": encoder, "train": "image"}
        success = find_row(rows, "success", "simple_shapes", **agent, test="image")
        steps = find_row(rows, "steps_to_90", "simple_shapes", **agent)
        figures[f"{encoder}_end"] = f"{success.measured:.1%}"
        figures[f"{encoder}_steps"] = f"{steps.measured:,.0f}"
    return figures


def _transfer_figures(rows: Sequence[Row], encoder: str, scene: str) -> dict[str, str]:
    """Return what policies keep from one set of modalities to another."""

    def measured(metric: str, train: str, test: str) -> float:
        return find_row(rows, metric, scene, encoder=encoder, train=train, test=test).measured

    name = f"{encoder}_{scene}"
    returns = [
        measured("share", *pair) for pair in (("image", "attributes"), ("attributes", "image"))
    ]
    captions = sorted(measured("share", train, "language") for train in ("image", "attributes"))
    return {
        f"transfer_{name}": f"{min(returns):.1%}",
        f"captions_{name}": f"{captions[0]:.1%} to {captions[1]:.1%}",
        f"image_{name}": f"{measured('success', 'image', 'image'):.1%}",
        f"fused_{name}": f"{measured('success', 'image', 'all'):.1%}",
    }


def _failure_figures(rows: Sequence[Row], scene: str) -> dict[str, str]:
    """Return the success of agents while sensors fail or are missing."""
    figures = {}
    gw = {"encoder": "gw"}
    for failure, attention in product(FAILURES, ("none", "best")):
        row = find_row(rows, "success", scene, **gw, failure=failure.name, attention=attention)
        figures[f"{failure.name}_{attention}_{scene}"] = f"{row.measured:.1%}"
    for missing in MODALITIES:
        row = find_row(rows, "success", scene, **gw, missing=missing, attention="best")
        figures[f"no_{missing}_{scene}"] = f"{row.measured:.1%}"
    return figures
