"""How fast scenes are drawn and described."""

from functools import partial

import numpy as np

from benchmarks.speed.other_renderers import Matplotlib, supersampled
from benchmarks.speed.timing import Budget, Rates, Series, one_by_one, rate
from gw_envs.dataset import Sampler
from gw_envs.factory.camera import FactoryCamera
from gw_envs.language import tokens
from gw_envs.simple_shapes import render

CAMERA_SCENES = 64
"""Factory scenes of the comparison with PyBullet's render."""


def shape_pictures(budget: Budget) -> Rates:
    """Return Simple Shapes pictures a second, ours and others'."""
    state = Sampler("simple_shapes", "test").states(0, max(budget.sizes))
    pictures, matplotlib = render(state), Matplotlib()
    others = {
        "matplotlib": matplotlib.one_figure,
        "matplotlib_new_figure": matplotlib.new_figure,
        "matplotlib_one_patch": matplotlib.one_patch,
        "opencv_supersampled": supersampled,
    }
    rates = {}
    for name, draw in others.items():
        rates[Series(name)] = rate(one_by_one(draw, state), 1, budget.seconds)
    matplotlib.close()
    for count in budget.sizes:
        ours = partial(render, state[:count])
        rates[Series("ours", count)] = rate(ours, count, budget.seconds)
        rates[Series("copy", count)] = rate(pictures[:count].copy, count, budget.seconds)
    return rates


def factory_pictures(size: int, budget: Budget) -> Rates:
    """Return Factory pictures a second, ours and PyBullet's own of everything."""
    camera = FactoryCamera(size)
    count = max(CAMERA_SCENES, *budget.sizes)
    state = Sampler("factory", "test", modalities=("attributes",)).states(0, count)
    assert np.array_equal(camera.render(state[:8]), camera.render_full(state[:8], shadow=False))

    def full(states: object, row: int) -> object:
        return camera.render_full(state[row : row + 1], shadow=False)

    rates = {Series("full_render"): rate(one_by_one(full, state), 1, budget.seconds)}
    for scenes in sorted({CAMERA_SCENES, *budget.sizes}):
        ours = partial(camera.render, state[:scenes])
        rates[Series("ours", scenes)] = rate(ours, scenes, budget.seconds)
    camera.close()
    return rates


def captions(scene: str, budget: Budget) -> Rates:
    """Return captions a second, as token ids."""
    state = Sampler(scene, "test", modalities=("language",)).states(0, max(budget.sizes))
    rates = {}
    for count in budget.sizes:
        ours = partial(tokens, state[:count])
        rates[Series("ours", count)] = rate(ours, count, budget.seconds)
    return rates
