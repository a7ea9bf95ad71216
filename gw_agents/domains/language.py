"""The language domain: token ids in, a latent that holds what the sentence claims, plain words out."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gw_agents.domains.base import Domain, kl_divergence, mlp, sample_latent
from gw_envs.language.vocabulary import END, PAD, START
from gw_envs.observation import MAX_TOKENS


class LanguageDomain(Domain):
    """(B, MAX_TOKENS) token ids <-> (B, latent_width) latents.

    A convolution over the words, pooled, gives the latent; a recurrent network says it again. The target is the same
    claims in the plainest wording, so that the latent spends its numbers on what is said and not on how: two
    paraphrases have nearly the same latent, and every latent is decoded in the same style.

    How finely a caption speaks can't be told from a picture, so that whoever predicts a latent from one finds at best
    the average over captions. Hence a second target: from the average latent of several captions of a scene, the
    coarsest claims that hold of it.
    """

    modality = "language"
    dtype, accepts = np.int64, np.integer

    def __init__(
        self,
        vocabulary: int,
        latent_width: int = 32,
        embedding: int = 64,
        channels: int = 128,
        hidden: int = 160,
        beta: float = 3e-3,
    ) -> None:
        """Build the networks.

        Args:
            vocabulary: number of token ids V.
            latent_width: numbers in the latent.
            embedding: numbers a word is read as.
            channels: features of the convolution over five words.
            hidden: state of the recurrent decoder.
            beta: weight of the KL term.
        """
        super().__init__(latent_width)
        self.vocabulary, self.embedding, self.channels = vocabulary, embedding, channels
        self.hidden, self.beta = hidden, beta
        self.read = nn.Embedding(vocabulary, embedding, padding_idx=PAD)
        self.window = nn.Conv1d(embedding, channels, 5, padding=2)
        self.to_latent = mlp([2 * channels, 256, 2 * latent_width])
        self.to_state = mlp([latent_width, 256, hidden])
        self.say = nn.Embedding(vocabulary, embedding)
        self.recurrent = nn.GRU(embedding + latent_width, hidden, batch_first=True)
        self.to_word = nn.Linear(hidden, vocabulary)

    def config(self) -> dict[str, Any]:
        names = ("vocabulary", "latent_width", "embedding", "channels", "hidden", "beta")
        return {name: getattr(self, name) for name in names}

    @property
    def shape(self) -> tuple[int, ...]:
        return (-1,)

    def check(self, array: NDArray, name: str) -> Tensor:
        self.check_form(array, name)
        if array.size and (array.min() < 0 or array.max() >= self.vocabulary):
            raise ValueError(
                f"{name} holds token ids outside 0..{self.vocabulary - 1}, the vocabulary"
            )
        return super().check(array, name)

    def _posterior(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) ids -> mean and log variance, (B, L) each."""
        there = (tokens != PAD).unsqueeze(1)  # (B, 1, T)
        features = torch.relu(self.window(self.read(tokens).transpose(1, 2))) * there  # (B, C, T)
        count = there.sum(-1).clamp(min=1)
        pooled = torch.cat([features.amax(-1), features.sum(-1) / count], -1)  # (B, 2C)
        mean, log_variance = self.to_latent(pooled).chunk(2, -1)
        return mean, log_variance.clamp(-12.0, 4.0)

    def _encode(self, observations: Tensor) -> Tensor:
        return self._posterior(observations)[0]

    def _words(self, previous: Tensor, latents: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) words so far, (B, L), (1, B, H) -> (B, T, V) logits of the words after each, and the new state."""
        spread = latents.unsqueeze(1).expand(-1, previous.shape[1], -1)
        output, state = self.recurrent(torch.cat([self.say(previous), spread], -1), state)
        return self.to_word(output), state

    @torch.no_grad()
    def _decode(self, latents: Tensor) -> Tensor:
        tokens = torch.full(
            (len(latents), MAX_TOKENS), PAD, dtype=torch.int64, device=latents.device
        )
        word = torch.full((len(latents), 1), START, dtype=torch.int64, device=latents.device)
        state = self.to_state(latents).unsqueeze(0)
        going = torch.ones(len(latents), dtype=torch.bool, device=latents.device)
        for position in range(MAX_TOKENS):
            logits, state = self._words(word, latents, state)
            word = logits[:, -1:].argmax(-1)  # (B, 1)
            going = going & (word[:, 0] > END)
            if not going.any():
                break
            tokens[:, position] = torch.where(going, word[:, 0], PAD)
        return tokens

    def loss(
        self, observations: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Captions (B, K, T), K of each scene; targets (B, 2, T): the first caption's claims, and the coarsest ones."""
        mean, log_variance = self._posterior(trimmed(observations.flatten(0, 1)))
        drawn = sample_latent(mean, log_variance).unflatten(0, observations.shape[:2])  # (B, K, L)
        terms = {
            "cross_entropy": self._spoken(drawn[:, 0], targets[:, 0]),
            "average": self._spoken(drawn.mean(1), targets[:, 1]),
            "kl": kl_divergence(mean, log_variance),
        }
        return terms["cross_entropy"] + terms["average"] + self.beta * min(
            1.0, progress / 0.1
        ) * terms["kl"], terms

    def _spoken(self, latents: Tensor, targets: Tensor) -> Tensor:
        """How surprised the decoder is by the words that should be said: (B, L), (B, T) -> ()."""
        words = trimmed(targets)
        start = torch.full_like(words[:, :1], START)
        previous = torch.cat([start, words], 1)  # (B, T + 1)
        following = torch.cat([words, torch.zeros_like(start)], 1)
        lengths = (words != PAD).sum(1)
        following[torch.arange(len(words)), lengths] = END
        spoken = torch.arange(words.shape[1] + 1, device=words.device) <= lengths.unsqueeze(1)
        hidden_words = (torch.rand(previous.shape, device=previous.device) < 0.2) & (
            previous != START
        )
        logits, _ = self._words(
            previous.masked_fill(hidden_words, PAD), latents, self.to_state(latents).unsqueeze(0)
        )
        per_word = nn.functional.cross_entropy(logits.transpose(1, 2), following, reduction="none")
        return (per_word * spoken).sum(1).mean()


def trimmed(tokens: Tensor) -> Tensor:
    """(B, T) ids without the columns at the end that are padding in every row."""
    return tokens[:, : int((tokens != PAD).sum(1).max())]
