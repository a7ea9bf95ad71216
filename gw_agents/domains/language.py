"""The language domain: encodes the claims of captions, and decodes them in the plainest wording."""

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence

from gw_agents.domains.base import Domain, kl_divergence, mlp, sample_latent
from gw_envs.errors import InputError, check_number, check_whole, describe
from gw_envs.language import VOCABULARY, parse
from gw_envs.language.vocabulary import END, PAD, START
from gw_envs.observation import MAX_TOKENS
from gw_envs.scenes import SCENES


class LanguageDomain(Domain):
    """(B, MAX_TOKENS) token ids <-> (B, latent_width) latents; sentences are tokenized first.

    A pooled convolution over the words gives the latent, and a recurrent network decodes it. The
    target is the same claims in the plainest wording, so the latent stores claims and not wording:
    two paraphrases have nearly the same latent, and every latent is decoded in the same style.

    A picture does not determine how precise its caption is, so a model that predicts a caption's
    latent from a picture learns at best the average over captions. Hence a second target: the
    average latent of several captions of a scene is decoded into the coarsest claims that are true
    of it.
    """

    kind = "language"
    dtype, accepts = np.int64, np.integer
    vague = True

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
            embedding: width of a word's embedding.
            channels: features of the convolution over five words.
            hidden: width of the recurrent decoder's state.
            beta: weight of the KL term.
        """
        sizes = {
            "vocabulary": vocabulary,
            "latent_width": latent_width,
            "embedding": embedding,
            "channels": channels,
            "hidden": hidden,
        }
        for name, size in sizes.items():
            check_whole(name, size, 1)
        check_number("beta", beta, 0.0)
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
        """Return the constructor's arguments, as JSON."""
        names = ("vocabulary", "latent_width", "embedding", "channels", "hidden", "beta")
        return {name: getattr(self, name) for name in names}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one caption: (T,), any number of tokens."""
        return (-1,)

    @classmethod
    def requirements(cls) -> dict[str, str]:
        """Return the hash of the vocabulary, which defines the token ids."""
        return {"vocabulary": VOCABULARY.fingerprint}

    def as_array(self, value: Any, name: str) -> NDArray:
        """Turn sentences into their (MAX_TOKENS,) token ids; pass on token ids as they are."""
        array = super().as_array(value, name)
        if array.dtype.kind != "U":
            return array
        rows = [self._token_ids(sentence, name) for sentence in array.reshape(-1).tolist()]
        return np.array(rows, np.int64).reshape(*array.shape, MAX_TOKENS)

    def _token_ids(self, sentence: str, name: str) -> NDArray[np.int64]:
        """Look up a caption's token ids; InputError unless the grammar of the domain's scene allows
        it."""
        try:
            if self.scene in SCENES:
                parse(self.scene, sentence)
            return VOCABULARY.encode(sentence)
        except InputError as error:
            message = f"{name} is {describe(sentence)}, {error}"
            if sentence.strip():
                message += "; gw_envs.language.read_loosely reads what it can"
            raise InputError(message) from error

    def check(self, array: NDArray, name: str) -> Tensor:
        """Check a batch as `Domain.check` does; InputError also on ids outside the vocabulary."""
        self.check_form(array, name)
        if array.size and (array.min() < 0 or array.max() >= self.vocabulary):
            raise InputError(
                f"{name} holds token ids outside 0..{self.vocabulary - 1}, the vocabulary"
            )
        return super().check(array, name)

    def _posterior(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Encode (B, T) ids as mean and log variance, (B, L) each."""
        mean, log_variance = self._both(tokens).chunk(2, -1)
        return mean, log_variance.clamp(-12.0, 4.0)

    def _both(self, tokens: Tensor) -> Tensor:
        """Encode (B, T) ids as mean and unclamped log variance side by side, (B, 2 L)."""
        is_word = tokens != PAD
        if self.training and tokens.numel() > self.vocabulary:
            return self.to_latent(_pool(self._windows_by_table(tokens), is_word.unsqueeze(2), 1))
        windows = self.window(self.read(tokens).transpose(1, 2))  # (B, C, T)
        return self.to_latent(_pool(windows, is_word.unsqueeze(1), 2))

    def _windows_by_table(self, tokens: Tensor) -> Tensor:
        """Compute the windows of (B, T) ids as the convolution does, up to rounding: (B, T, C).

        A convolution over embeddings sums, for each word of the window, one of V vectors. Looking
        these up takes far fewer products than a convolution when a batch has more words than V.
        """
        width = self.window.kernel_size[0]
        kernels = self.window.weight.permute(2, 1, 0)  # (W, E, C)
        every = self.read(torch.arange(self.vocabulary, device=tokens.device))  # (V, E)
        table = (every @ kernels).flatten(0, 1)  # (W V, C)
        padded = nn.functional.pad(tokens, (width // 2, width // 2), value=PAD)  # embedded as 0
        places = torch.arange(width, device=tokens.device) * self.vocabulary
        rows = (padded.unfold(1, width, 1) + places).flatten(0, 1)  # (B T, W)
        assert self.window.bias is not None
        sums = nn.functional.embedding_bag(rows, table, mode="sum") + self.window.bias
        return sums.unflatten(0, tokens.shape)

    def encode_raw(self, observations: Tensor) -> Tensor:
        """Encode (B, T) token ids into (B, L) raw latents."""
        return self._both(observations)[:, : self.latent_width]

    def _words(self, previous: Tensor, latents: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Predict the words after each of (B, T) words from (B, L) latents: (B, T, V) logits, and
        the new state."""
        read = torch.cat([self.say(previous), _repeat(latents, previous)], -1)
        output, state = self.recurrent(read, state)
        return self.to_word(output), state

    @torch.no_grad()
    def decode_raw(self, latents: Tensor) -> Tensor:
        """Decode (B, L) raw latents greedily into (B, MAX_TOKENS) token ids, padded with 0."""
        tokens = torch.full(
            (len(latents), MAX_TOKENS), PAD, dtype=torch.int64, device=latents.device
        )
        word = torch.full((len(latents), 1), START, dtype=torch.int64, device=latents.device)
        state = self.to_state(latents).unsqueeze(0)
        unfinished = torch.ones(len(latents), dtype=torch.bool, device=latents.device)
        for position in range(MAX_TOKENS):
            logits, state = self._words(word, latents, state)
            word = logits[:, -1:].argmax(-1)  # (B, 1)
            unfinished = unfinished & (word[:, 0] > END)
            if not unfinished.any():
                break
            tokens[:, position] = torch.where(unfinished, word[:, 0], PAD)
        return tokens

    def loss(
        self, observations: Tensor, targets: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the loss of captions (B, K, T), K for each scene.

        `targets` (B, 2, T) hold the first caption's claims in the plainest wording, then the
        coarsest claims.
        """
        mean, log_variance = self._posterior(trimmed(observations.flatten(0, 1)))
        drawn = sample_latent(mean, log_variance).unflatten(0, observations.shape[:2])  # (B, K, L)
        both = torch.cat([drawn[:, 0], drawn.mean(1)])
        surprise = self._surprise(both, targets.transpose(0, 1).flatten(0, 1))
        first, average = surprise.chunk(2)
        terms = {
            "cross_entropy": first.mean(),
            "average": average.mean(),
            "kl": kl_divergence(mean, log_variance),
        }
        beta = self.beta * min(1.0, progress / 0.1)
        return terms["cross_entropy"] + terms["average"] + beta * terms["kl"], terms

    def decoding_loss(self, latents: Tensor, observations: Tensor) -> Tensor:
        """Average the cross-entropy of (B, T) captions, summed over their words, given (B, L)
        standardized latents."""
        raw = latents * self.latent_scale + self.latent_mean
        return self._surprise(raw, observations).mean()

    def _surprise(self, latents: Tensor, targets: Tensor) -> Tensor:
        """Sum the cross-entropy of each target's words: (B, L) latents, (B, T) ids -> (B,)."""
        words = trimmed(targets)
        start = torch.full_like(words[:, :1], START)
        previous = torch.cat([start, words], 1)  # (B, T + 1)
        following = torch.cat([words, torch.zeros_like(start)], 1)
        lengths = (words != PAD).sum(1)
        following[torch.arange(len(words)), lengths] = END
        is_hidden = torch.rand(previous.shape, device=previous.device) < 0.2
        previous = previous.masked_fill(is_hidden & (previous != START), PAD)
        # packed, so that nothing is computed after the end of a sentence
        sizes = (lengths + 1).cpu()
        pack = partial(pack_padded_sequence, lengths=sizes, batch_first=True, enforce_sorted=False)
        read = torch.cat([self.say(previous), _repeat(latents, previous)], -1)
        spoken, _ = self.recurrent(pack(read), self.to_state(latents).unsqueeze(0))
        rows = torch.arange(len(words), device=words.device).unsqueeze(1).expand_as(following)
        wanted = pack(torch.stack([following, rows], -1)).data
        per_word = cross_entropy(self.to_word(spoken.data), wanted[:, 0], reduction="none")
        return per_word.new_zeros(len(words)).index_add(0, wanted[:, 1], per_word)


def _pool(windows: Tensor, is_word: Tensor, axis: int) -> Tensor:
    """Pool the windows around words along the words' axis: the largest and the mean, (B, 2 C)."""
    features = torch.relu(windows) * is_word
    count = is_word.sum(axis).clamp(min=1)
    return torch.cat([features.amax(axis), features.sum(axis) / count], -1)


def _repeat(latents: Tensor, words: Tensor) -> Tensor:
    """Repeat (B, L) latents for each of (B, T) words: (B, T, L)."""
    return latents.unsqueeze(1).expand(-1, words.shape[1], -1)


def trimmed(tokens: Tensor) -> Tensor:
    """Cut the last columns of (B, T) ids that are padding in every row."""
    return tokens[:, : int((tokens != PAD).sum(1).max())]
