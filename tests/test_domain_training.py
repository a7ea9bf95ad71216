"""Losses of our domain modules: short cuts of training against the plain computation."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from gw_agents.domains.image import ImageDomain
from gw_agents.domains.language import LanguageDomain
from gw_envs.dataset import Sampler
from gw_envs.language import VOCABULARY, paraphrases, plain_tokens
from gw_envs.language.vocabulary import END, PAD, START


@pytest.fixture
def language():
    torch.manual_seed(0)
    return LanguageDomain(len(VOCABULARY), channels=16, hidden=24)


def captions(count=40):
    states = Sampler("simple_shapes", "train", 0).states(0, count)
    return torch.from_numpy(paraphrases(states, 2)), torch.from_numpy(plain_tokens(states))


def test_training_encodes_as_the_convolution_does(language):
    tokens = captions()[0].flatten(0, 1)
    language.train()
    looked_up = language.encode_raw(tokens)
    looked_up.square().sum().backward()
    reached = [(name, own) for name, own in language.named_parameters() if own.grad is not None]
    gradients = {name: own.grad for name, own in reached}
    language.zero_grad()
    language.eval()
    convolved = language.encode_raw(tokens)
    convolved.square().sum().backward()
    assert torch.allclose(looked_up, convolved, atol=1e-5)
    for name, own in reached:
        assert torch.allclose(own.grad, gradients[name], atol=1e-4), name
    assert (gradients["read.weight"][PAD] == 0).all()


def test_surprise_is_the_sum_over_the_words_of_each_sentence(language, monkeypatch):
    targets, latents = captions(6)[1], torch.randn(6, 32)
    monkeypatch.setattr(torch, "rand", lambda shape, device=None: torch.ones(shape))  # none hidden
    surprise = language._surprise(latents, targets)
    for row, words in enumerate(targets):
        words = words[words != PAD]
        previous = torch.cat([torch.tensor([START]), words])[None]
        wanted = torch.cat([words, torch.tensor([END])])
        latent = latents[row : row + 1]
        logits, _ = language._words(previous, latent, language.to_state(latent).unsqueeze(0))
        alone = cross_entropy(logits[0], wanted, reduction="sum")
        assert surprise[row].item() == pytest.approx(alone.item(), rel=1e-4)


def test_luminance_and_chroma_by_hand(monkeypatch):
    """One gray pixel is off by (0.3, 0, -0.6): luminance -0.1 three times, the rest is chroma."""
    domain = ImageDomain(8, channels=(4,), input_noise=0.0)
    error = torch.zeros(1, 3, 8, 8)
    error[0, :, 2, 5] = torch.tensor([0.3, 0.0, -0.6])
    monkeypatch.setattr(domain, "_reconstruct", lambda latents: error)
    images = torch.zeros(1, 8, 8, 3, dtype=torch.uint8)
    _, terms = domain.loss(images, images, 1.0)
    assert terms["luminance"].item() == pytest.approx(3 * 0.1**2, rel=1e-4)
    assert terms["chroma"].item() == pytest.approx(0.4**2 + 0.1**2 + 0.5**2, rel=1e-4)
