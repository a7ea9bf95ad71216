"""The throughput benchmark's arithmetic, from made-up rates: what is measured is the machine's affair."""

import pytest

from benchmarks.network_speed import learning
from benchmarks.throughput import MODALITIES, SIZES, at_each_count, draw_costs, rate, summarise

CLAIMS = (
    ("render/simple_shapes/matplotlib", {}),
    ("render/simple_shapes/copy", {}),
    ("steps/simple_shapes/matplotlib", {}),
    ("camera/full_render", {"size": 64}),
    ("camera/full_render", {"size": 128}),
    ("steps/factory/full_render", {}),
    ("encoding/factory/nature_cnn", {}),
    ("ppo/simple_shapes/nature_cnn", {}),
    ("ppo/simple_shapes/raw_cnn", {}),
    ("ppo/factory/extractor", {"trained": "nothing"}),
    ("ppo/factory/extractor", {"trained": "everything"}),
    ("training/stacked", {}),
)


def made_up(factor: float) -> dict:
    """Rates of one repeat: everything of ours is `factor` times as fast as what it stands beside."""
    steps = {f"{'+'.join(names)} {n}": 100.0 * factor for names in MODALITIES for n in SIZES}
    ours = {f"ours {n}": 100.0 * factor for n in SIZES}
    others = ("matplotlib", "matplotlib_new_figure", "matplotlib_one_patch", "opencv_supersampled")
    render = ours | {f"copy {n}": 100.0 for n in SIZES} | dict.fromkeys(others, 100.0)
    rivals = ("nature_cnn", "raw_cnn", "extractor_nothing", "extractor_everything")
    ppo = {"gw": 100.0 * factor} | dict.fromkeys(rivals, 100.0)
    look = {"ours": 100.0 * factor, "full_render": 100.0}
    return {
        ("simple_shapes", "render"): render,
        ("simple_shapes", "captions"): ours,
        ("factory", "captions"): ours,
        ("simple_shapes", "steps"): steps,
        ("simple_shapes", "encoding"): {"ours": 100.0 * factor, "nature_cnn": 100.0},
        ("factory", "encoding"): {"ours": 100.0 * factor, "nature_cnn": 100.0},
        ("simple_shapes", "training"): {"single": 100.0, "stacked": 100.0 * factor},
        ("simple_shapes", "ppo"): ppo,
        ("factory", "ppo"): ppo,
        ("factory", "camera 64"): look,
        ("factory", "camera 128"): look,
        ("factory", "steps"): steps | {"full_render": 100.0, "physics": 100.0},
    }


def test_ratios_by_hand(tmp_path):
    repeats = [made_up(factor) for factor in (2.0, 3.0, 7.0, 4.0, 4.0)]
    found = {job: [rates[job] for rates in repeats] for job in repeats[0]}
    rows = summarise(found)
    for claim, condition in CLAIMS:
        (row,) = [
            row
            for row in rows
            if row.claim == f"throughput/{claim}"
            and row.metric == "ratio"
            and row.condition.items() >= condition.items()
        ]
        assert (row.measured, row.low, row.high) == pytest.approx((4.0, 2.0, 7.0))
    table = at_each_count(rows)
    assert table.count("4 (2 to 7)") == len(SIZES) * (2 + 3 * len(MODALITIES))
    draw_costs(found, tmp_path / "costs.png")
    assert (tmp_path / "costs.png").stat().st_size > 10_000


def test_rate_counts_calls():
    calls = []
    found = rate(lambda: calls.append(sum(range(20_000))), 5, 0.02)
    assert len(calls) >= 2  # the first one only warms up
    assert 0 < found <= 5 * len(calls) / 0.02


def test_ppo_is_timed_in_each_way():
    found = learning("simple_shapes", 8)
    assert set(found) == set(made_up(1.0)["simple_shapes", "ppo"])
    assert min(found.values()) > 0
