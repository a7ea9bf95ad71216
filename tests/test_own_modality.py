"""Domain modules of others under any key: encoder, decoder and loss of one's own beside ours."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gw_agents import CheckpointError, GlobalWorkspace
from gw_agents.checkpoint import fingerprint, save_checkpoint
from gw_agents.domains.attributes import AttributesDomain
from gw_agents.domains.base import Domain
from gw_agents.domains.image import ImageDomain
from gw_agents.domains.kinds import DOMAINS
from gw_agents.domains.language import LanguageDomain
from gw_agents.domains.vector import VectorDomain
from gw_agents.learning.probes import attribute_errors, linear_probe
from gw_agents.workspace.model import GWConfig, Workspace

ROOT = Path(__file__).parents[1]


def example(name):
    """A file of examples/ as a module."""
    spec = importlib.util.spec_from_file_location(
        f"example_{name}", ROOT / "examples" / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def text():
    return example("text_embedding")


class Sound(Domain):
    """(B, 5) int16 loudness <-> (B, 2) latents, without a network: the means of its two ends."""

    kind = "sound"
    dtype, accepts = np.float32, np.int16

    def __init__(self):
        super().__init__(2)

    @property
    def shape(self):
        return (5,)

    def config(self):
        return {}

    def encode_raw(self, observations):
        return torch.stack([observations[:, :2].mean(1), observations[:, 3:].mean(1)], 1)

    def decode_raw(self, latents):
        return latents[:, [0, 0, 0, 1, 1]].round().to(torch.int16)


def lettered(sentences):
    """A tiny embedding: how often a sentence has each of eight letters, by its length."""
    rows = [[said.count(letter) / max(1, len(said)) for letter in "aeiourst"] for said in sentences]
    return np.array(rows, np.float32).reshape(len(sentences), 8)


def joined(domains, scene="a forest"):
    torch.manual_seed(0)
    widths = {name: domain.latent_width for name, domain in domains.items()}
    return GlobalWorkspace(scene, domains, Workspace(GWConfig(widths, z_width=6, hidden=8)))


@pytest.fixture
def gw(text):
    domains = {
        "microphone": Sound(),
        "camera-left": ImageDomain((18, 26), channels=(4, 4)),
        "pose": VectorDomain(3),
    }
    return joined({**domains, "said": text.TextDomain(lettered, 8, latent_width=4)})


def observation(count=None):
    rng = np.random.default_rng(0)
    rows = {
        "microphone": rng.integers(-100, 100, (count or 1, 5)).astype(np.int16),
        "camera-left": rng.integers(0, 256, (count or 1, 18, 26, 3), dtype=np.uint8),
        "pose": rng.normal(scale=50, size=(count or 1, 3)),
        "said": np.array(["a tree stands there", "no bird sings"] * 5)[: count or 1],
    }
    return rows if count else {name: row[0] for name, row in rows.items()}


def test_any_domain_under_any_key(gw):
    assert gw.scene_name == "a forest"
    assert gw.modalities == ("microphone", "camera-left", "pose", "said")
    batch = observation(4)
    z = gw.encode(batch)
    assert z.shape == (4, 6)
    assert np.allclose(gw.encode({name: rows[2] for name, rows in batch.items()}), z[2], atol=1e-5)
    forms = {"microphone": (5,), "camera-left": (18, 26, 3), "pose": (3,), "said": (8,)}
    for source in forms:
        assert gw.encode({source: batch[source]}).shape == (4, 6)
        for target, form in forms.items():
            assert gw.translate(batch, source, target).shape == (4, *form)
            assert gw.translate(observation(), source, target).shape == form
    assert gw.translate(batch, ("said", "pose"), "camera-left").dtype == np.uint8
    weights = gw.encode(batch, {"microphone": 0.0, "camera-left": 0.0, "pose": 1.0, "said": 0.0})
    assert np.allclose(weights, gw.encode({"pose": batch["pose"]}), atol=1e-5)


def test_sentences_as_they_come(gw):
    one = gw.encode({"said": "a tree stands there"})
    assert one.shape == (6,)
    assert np.allclose(gw.encode({"said": ["a tree stands there", ""]})[0], one, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"microphone": np.zeros(5)}, "microphone is float64 of shape .*reads float32 of shape"),
        ({"microphone": np.zeros(4, np.int16)}, "microphone is int16 of shape"),
        ({"camera-left": np.zeros((26, 18, 3), np.uint8)}, r"camera-left is uint8 .*\(18, 26, 3\)"),
        ({"pose": np.array([0.0, np.nan, 0.0])}, "pose hold NaN.*give finite numbers$"),
        (
            {"pose": np.array([0.0, 1e38, 0.0])},
            "pose holds 1e.38, which is 1e.38 standard deviations",
        ),
        ({"said": np.array(7)}, "said is int64 of shape .*give a sentence"),
        (
            {"image": np.zeros((18, 26, 3), np.uint8)},
            "unknown modality 'image'.*knows microphone, camera-left",
        ),
        ({"said": ["a", "b"], "pose": np.zeros(3)}, "disagree on the batch"),
        ({}, "at least one of microphone"),
    ],
)
def test_what_does_not_fit_is_refused(gw, change, message):
    with pytest.raises(ValueError, match=message):
        gw.encode(change)


def test_our_own_domains_say_the_same_under_another_key():
    checks = [
        (ImageDomain(8, channels=(4,)), np.zeros((2, 8, 8, 3)), "uint8"),
        (
            AttributesDomain(4, 0),
            np.full((2, 4), np.inf),
            r"infinite values: give finite numbers in \[-1, 1\]",
        ),
        (LanguageDomain(9), np.full((2, 4), 9), r"token ids outside 0\.\.8, the vocabulary"),
        (LanguageDomain(9), np.zeros((2, 4)), "int64"),
    ]
    for domain, rows, message in checks:
        with pytest.raises(ValueError, match=f"^own.*{message}"):
            domain.check(rows, "own")


def test_parts_that_do_not_fit_are_refused():
    workspace = Workspace(GWConfig({"sound": 3, "pose": 10}, z_width=6, hidden=8))
    with pytest.raises(
        ValueError, match="sound domain has a latent of 2 numbers, the workspace reads 3"
    ):
        GlobalWorkspace("here", {"sound": Sound(), "pose": VectorDomain(3)}, workspace)
    with pytest.raises(ValueError, match="the workspace reads pose, and no domain"):
        GlobalWorkspace(
            "here",
            {"sound": Sound()},
            Workspace(GWConfig({"sound": 2, "pose": 10}, z_width=6, hidden=8)),
        )
    for key in ("workspace", "a/b", "keys"):
        with pytest.raises(ValueError, match=f"the key '{key}'"):
            joined({key: Sound(), "sound": Sound()})


def test_images_of_any_size_and_vectors_of_any_range():
    domain = ImageDomain((18, 26), channels=(4, 4))
    images = torch.randint(0, 256, (3, 18, 26, 3), dtype=torch.uint8)
    domain.prepare(images)
    assert domain.decode(domain.encode(images)).shape == images.shape
    domain.loss(images, images, 0.5)[0].backward()
    assert ImageDomain(**json.loads(json.dumps(domain.config()))).shape == (18, 26, 3)

    vectors = torch.tensor([[0.0, 1e4, 7.0], [2.0, 3e4, 7.0]])
    vector = VectorDomain(3)
    vector.prepare(vectors)
    assert vector.scaled(vectors).tolist() == [
        [-1, -1, 0],
        [1, 1, 0],
    ]  # by hand: means 1, 2e4, 7; deviations 1, 1e4
    far = vector.decode_raw(100 * torch.randn(50, 10))
    assert (far >= vectors.amin(0)).all()
    assert (far <= vectors.amax(0)).all()
    again = VectorDomain(**json.loads(json.dumps(vector.config())))
    again.load_state_dict(vector.state_dict())
    assert torch.equal(again.encode(vectors), vector.encode(vectors))


def test_a_kind_of_ones_own_is_loaded_where_it_is_known(tmp_path, monkeypatch):
    gw = joined({"ear": Sound(), "pose": VectorDomain(3)})
    for key, domain in gw.domain_modules.items():
        about = {
            "kind": "domain",
            "scene": "a forest",
            "domain": domain.kind,
            "arguments": domain.config(),
        }
        save_checkpoint(tmp_path, key, domain.state_dict(), about)
    hashes = {key: fingerprint(tmp_path / f"{key}.safetensors") for key in gw.modalities}
    shape = {"latent_widths": {"ear": 2, "pose": 10}, "z_width": 6, "hidden": 8}
    about = {"kind": "workspace", "scene": "a forest", "domains": hashes, "arguments": shape}
    save_checkpoint(tmp_path, "workspace", gw.workspace.state_dict(), about)
    with pytest.raises(CheckpointError, match=r"ear\.json holds a domain of the kind 'sound'"):
        GlobalWorkspace.from_pretrained(tmp_path)
    monkeypatch.setitem(DOMAINS, "sound", Sound)
    shown = {"ear": np.arange(5, dtype=np.int16), "pose": np.ones(3)}
    assert np.allclose(
        GlobalWorkspace.from_pretrained(tmp_path, "cpu").encode(shown), gw.encode(shown), atol=1e-6
    )


def test_the_example_with_a_tiny_embedding(text, capsys):
    errors = text.run(text.Arguments("simple_shapes", scenes=300, steps=3, seed=0), lettered)
    assert list(errors) == ["ours latent", "ours workspace", "text latent", "text workspace"]
    assert all(
        list(row) == ["shape", "position", "size", "rotation", "rgb"] for row in errors.values()
    )
    assert all(np.isfinite(list(row.values())).all() for row in errors.values())
    assert "of an unseen picture" in capsys.readouterr().out


def test_the_example_with_the_real_embedding(text):
    pytest.importorskip("wordllama")
    embed = text.wordllama()
    _, shown, said = text.observe("simple_shapes", "train", 1500, seed=0)
    domain = text.train_text(embed, said, steps=60, seed=0)
    latents = domain.encode(domain.check(np.array(said), "language"))
    assert torch.allclose(latents.mean(0), torch.zeros(32), atol=1e-3)
    assert torch.allclose(latents.std(0), torch.ones(32), atol=1e-3)
    attributes = torch.from_numpy(shown["attributes"])
    read = linear_probe(latents[:1000], attributes[:1000], latents[1000:])
    assert (
        attribute_errors("simple_shapes", read, shown["attributes"][1000:])["shape"] < 0.3
    )  # chance is 0.67


def test_the_example_says_what_is_missing(text, monkeypatch, capsys):
    def missing():
        raise ImportError

    monkeypatch.setattr(text, "wordllama", missing)
    monkeypatch.setattr("sys.argv", ["text_embedding.py"])
    text.main()
    assert (
        capsys.readouterr().out
        == 'skipped, for WordLlama is not installed: pip install ".[text]"\n'
    )
