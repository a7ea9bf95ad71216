"""The encoder of patches, and its distillation from a trained image domain."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from gw_agents import pretrain
from gw_agents.domains.image import ImageDomain
from gw_agents.domains.patches import PatchEncoder
from gw_agents.learning.distillation import distil, distil_scene
from gw_agents.learning.domains import draw_pool
from gw_agents.learning.loop import FitConfig
from gw_agents.learning.recipes import Student
from gw_agents.pretrain import Folders, PretrainDomains
from gw_agents.pretrained import load_domain, save_domain
from gw_envs.dataset import Sampler
from gw_envs.errors import InputError

WIDTHS = (6, 8, 12)
CONFIG = FitConfig(steps=30, batch_size=16, learning_rate=3e-3, seed=2)


def pictures(count=64, height=16, width=16, seed=0):
    """A bright rectangle on a gradient that never changes."""
    rng = np.random.default_rng(seed)
    ground = np.linspace(0, 80, height * width * 3).reshape(height, width, 3)
    images = np.tile(ground.astype(np.uint8), (count, 1, 1, 1))
    for image in images:
        y, x = rng.integers(0, height - 6), rng.integers(0, width - 6)
        image[y : y + 6, x : x + 6] = rng.integers(100, 256, 3)
    return images


def teacher_of(images, **arguments):
    """A domain whose weights are random, prepared and standardized as a trained one is."""
    torch.manual_seed(0)
    size = images.shape[1:3]
    domain = ImageDomain(size, latent_width=4, channels=(8, 8), hidden=32, **arguments)
    observations = torch.from_numpy(images)
    domain.prepare(observations)
    domain.standardize(lambda index: observations, 1)
    return domain.freeze()


@pytest.mark.parametrize(
    ("height", "width", "patch"),
    [(32, 32, (4, 4)), (64, 64, (8, 8)), (20, 45, (3, 6)), (5, 9, (1, 2))],
)
def test_every_size_has_eight_by_eight_patches(height, width, patch):
    encoder = PatchEncoder(height, width, WIDTHS, 3)
    assert encoder.patch == patch
    images = torch.randint(0, 256, (7, height, width, 3), dtype=torch.uint8)
    outputs = encoder(images)
    assert outputs.shape == (7, 3)
    assert torch.allclose(encoder(images[2:3]), outputs[2:3], atol=1e-5)
    assert encoder(images[:0]).shape == (0, 3)


def test_patches_are_cut_block_after_block():
    images = torch.randint(0, 256, (2, 20, 30, 3), dtype=torch.uint8)
    encoder = PatchEncoder(20, 30, WIDTHS, 3)
    patches = encoder.patches(images).view(2, 4, 4, 2, 2, 3, 4, 3)
    padded = torch.zeros(2, 24, 32, 3)
    padded[:, :20, :30] = images
    for row, column in ((0, 0), (1, 0), (4, 7), (6, 3)):
        pixels = padded[:, 3 * row : 3 * row + 3, 4 * column : 4 * column + 4]
        place = (row // 2, column // 2, row % 2, column % 2)
        assert torch.equal(patches[(slice(None), *place)], pixels)


def test_a_folded_encoder_reads_images_as_it_read_differences():
    images = torch.from_numpy(pictures(height=20, width=21))
    background = images.median(0).values
    encoder = PatchEncoder(20, 21, WIDTHS, 3)
    before = encoder(images.float() - background)
    encoder.fold_background(background)
    assert torch.allclose(encoder(images), before, atol=1e-5)
    mean, scale = torch.tensor([1.0, -2.0, 0.0]), torch.tensor([2.0, 0.5, 3.0])
    encoder.fold_scale(mean, scale)
    assert torch.allclose(encoder(images), before * scale + mean, atol=1e-4)


def test_a_student_comes_close_to_its_teacher_and_keeps_its_decoder():
    images, fresh = pictures(4000), torch.from_numpy(pictures(200, seed=1))
    teacher = teacher_of(images)
    config = FitConfig(steps=600, batch_size=64, learning_rate=4e-3)
    student = distil(teacher, (16, 24, 32), lambda: images, config)
    assert (student.encode(fresh) - teacher.encode(fresh)).square().mean() < 0.1
    latents = torch.randn(5, 4)
    assert torch.equal(student.decode(latents), teacher.decode(latents))
    assert torch.equal(student.latent_mean, teacher.latent_mean)
    assert not student.training
    assert not any(parameter.requires_grad for parameter in student.parameters())
    assert not {"down", "to_latent"} & {name.split(".")[0] for name in student.state_dict()}


def test_an_interrupted_distillation_resumes_and_a_finished_one_draws_nothing(tmp_path):
    images = pictures()
    teacher = teacher_of(images)
    whole = distil(teacher, WIDTHS, lambda: images, CONFIG)
    original, drawn = torch.Tensor.addcmul_, []

    def interrupted(*arguments, **named):
        drawn.append(1)
        if len(drawn) == 11:
            os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "addcmul_", interrupted)
        with pytest.raises(KeyboardInterrupt, match="step 11 of 30"):
            distil(teacher, WIDTHS, lambda: images, CONFIG, tmp_path)
    resumed = distil(teacher, WIDTHS, lambda: images, CONFIG, tmp_path)
    finished = distil(teacher, WIDTHS, lambda: pytest.fail("images were drawn"), CONFIG, tmp_path)
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value)
        assert torch.equal(finished.state_dict()[name], value)


def test_a_run_of_another_teacher_or_other_widths_is_not_resumed(tmp_path):
    images = pictures()
    distil(teacher_of(images), WIDTHS, lambda: images, CONFIG, tmp_path)
    for teacher, widths in (
        (teacher_of(images[:30]), WIDTHS),
        (teacher_of(images), (6, 8, 13)),
    ):
        with pytest.raises(InputError, match="other settings"):
            distil(teacher, widths, lambda: images, CONFIG, tmp_path)


def test_a_student_is_saved_and_loaded(tmp_path):
    images = pictures(height=20, width=24)
    student = distil(teacher_of(images), WIDTHS, lambda: images, CONFIG)
    save_domain(tmp_path, "image", student, "a yard")
    loaded, _ = load_domain(tmp_path, "image", "a yard")
    assert loaded.patch_widths == WIDTHS
    observations = torch.from_numpy(images)
    assert torch.equal(loaded.encode(observations), student.encode(observations))
    assert torch.equal(loaded.decode(torch.ones(2, 4)), student.decode(torch.ones(2, 4)))


def test_what_makes_no_sense_is_refused():
    images = pictures()
    student = distil(teacher_of(images), WIDTHS, lambda: images, CONFIG)
    observations = torch.from_numpy(images)
    with pytest.raises(InputError, match="is not trained by its loss: distil it"):
        student.loss(observations, observations, 0.0)
    with pytest.raises(InputError, match="distil from a trained one"):
        distil(student, WIDTHS, lambda: images, CONFIG)
    with pytest.raises(InputError, match="pool of images is uint8 of shape"):
        distil(teacher_of(images), WIDTHS, lambda: images[:, 1:], CONFIG)
    with pytest.raises(InputError, match="give three"):
        ImageDomain(patch_widths=(8, 8))
    with pytest.raises(InputError, match="patch width is 0"):
        ImageDomain(patch_widths=(8, 0, 8))


def test_no_more_images_are_drawn_than_are_read(monkeypatch):
    counts = []

    def counted(sampler, modality, count):
        counts.append(count)
        return draw_pool(sampler, modality, count)

    monkeypatch.setattr("gw_agents.learning.distillation.draw_pool", counted)
    images = Sampler("simple_shapes", "train", 0, ("image",)).batch(0, 50)["image"]
    teacher = teacher_of(images)
    for pool in (20, 10**9):
        plan = Student(WIDTHS, CONFIG, pool)
        distil_scene(teacher, plan, "simple_shapes", CONFIG)
    assert counts == [20, 30 * 16]


def test_a_pool_is_drawn_in_parts():
    sampler = Sampler("simple_shapes", "train", 0, ("image",))
    pool = draw_pool(sampler, "image", 25, batch=10)
    parts = [sampler.batch(index, size)["image"] for index, size in enumerate((10, 10, 5))]
    assert np.array_equal(pool, np.concatenate(parts))


def test_the_command_keeps_the_teacher_and_repeats_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("gw_agents.learning.domains.STANDARDIZED_ON", 128)
    folders = Folders(tmp_path / "weights", tmp_path / "runs", "cpu")
    arguments = {"scene": "simple_shapes", "modalities": ("image",), "steps": 2}
    command = PretrainDomains(**arguments, folders=folders)
    command.run()
    folder = folders.weights / "simple_shapes"
    config = json.loads((folder / "image.json").read_text())
    assert (config["steps"], config["distilled"]) == (2, 2)
    student, _ = load_domain(folder, "image", "simple_shapes")
    run_dir = folders.runs / "domain-simple_shapes-image-0"
    teacher, _ = load_domain(run_dir, "image", "simple_shapes")
    assert teacher.patch_widths is None
    latents = torch.randn(3, 12)
    assert torch.equal(student.decode(latents), teacher.decode(latents))

    with monkeypatch.context() as patch:
        trained = "gw_agents.learning.loop._train"
        patch.setattr(trained, lambda *rest: pytest.fail("trained again"))
        command.run()
    again, _ = load_domain(folder, "image", "simple_shapes")
    images = Sampler("simple_shapes", "test", 0, ("image",)).batch(0, 4)["image"]
    observations = torch.from_numpy(images)
    assert torch.equal(again.encode(observations), student.encode(observations))

    PretrainDomains(**arguments, patch_widths=WIDTHS, folders=folders).run()
    other, _ = load_domain(folder, "image", "simple_shapes")
    assert other.patch_widths == WIDTHS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--scene simple_shapes --patch-widths 8 8 0", "a width of --patch-widths is 0"),
        ("--env TinyWalk-v0 --patch-widths 8 8 8", "encoded by convolutions"),
    ],
)
def test_bad_widths_are_refused(arguments, message, monkeypatch):
    monkeypatch.setattr("sys.argv", ["pretrain", "domains", *arguments.split()])
    with pytest.raises(SystemExit, match=message):
        pretrain.main()
