"""The losses of the Global Workspace, as pure functions of tensors.

Names and formulas: Devillers, Maytié and VanRullen, "Semi-supervised Multimodal Representation Learning through a
Global Workspace" (arXiv 2306.15711). With o_a the latent of modality a, e_a its encoder into and d_a its decoder
out of the workspace:

    translation   d_b(e_a(o_a)) against o_b           needs pairs
    contrastive   e_a(o_a) against e_b(o_b)           needs pairs
    demi_cycle    d_a(e_a(o_a)) against o_a           needs no pairs
    cycle         a -> z -> b -> z -> a against o_a   needs no pairs
    back_translation  as cycle, but the way out is a teacher's (a moving average of the weights), without gradient
    broadcast     every d_b(fusion of a random subset of modalities) against o_b: the four in one, but contrastive

Latents are standardised, so an error of 1 is what always predicting the mean would get.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def squared_error(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over batch and components; (B, L), (B, L) -> (), in squared standard deviations."""
    if predicted.shape != target.shape or predicted.ndim != 2:
        raise ValueError(
            f"latents of shapes {tuple(predicted.shape)} and {tuple(target.shape)}: both must be (B, L)"
        )
    return (predicted - target).square().mean()


def translation(predicted: Tensor, target: Tensor) -> Tensor:
    """d_b(e_a(o_a)) against o_b; (B, L), (B, L) -> ()."""
    return squared_error(predicted, target)


def demi_cycle(reconstructed: Tensor, original: Tensor) -> Tensor:
    """d_a(e_a(o_a)) against o_a; (B, L), (B, L) -> ()."""
    return squared_error(reconstructed, original)


def cycle(returned: Tensor, original: Tensor) -> Tensor:
    """d_a(e_b(d_b(e_a(o_a)))) against o_a; (B, L), (B, L) -> ()."""
    return squared_error(returned, original)


def contrastive(codes_a: Tensor, codes_b: Tensor, log_scale: Tensor) -> Tensor:
    """Symmetric InfoNCE between matched codes (Radford et al., arXiv 2103.00020).

    Args:
        codes_a: (B, Z) codes of one modality.
        codes_b: (B, Z) codes of another; row i belongs to row i of `codes_a`.
        log_scale: () logarithm of the inverse temperature.

    Returns:
        () the mean of the cross-entropies of finding b among all b given a, and a among all a given b.
    """
    if codes_a.shape != codes_b.shape or codes_a.ndim != 2:
        raise ValueError(
            f"codes of shapes {tuple(codes_a.shape)} and {tuple(codes_b.shape)}: both must be (B, Z)"
        )
    similarity = (
        log_scale.exp() * normalize(codes_a, dim=-1) @ normalize(codes_b, dim=-1).T
    )  # (B, B)
    matched = torch.arange(len(codes_a), device=codes_a.device)
    return 0.5 * (cross_entropy(similarity, matched) + cross_entropy(similarity.T, matched))


def broadcast(predicted: dict[str, Tensor], targets: dict[str, Tensor]) -> Tensor:
    """Every decoded modality against its latent, averaged over the modalities; {(B, L_d)}, {(B, L_d)} -> ()."""
    if predicted.keys() != targets.keys() or not predicted:
        raise ValueError(
            f"modalities {sorted(predicted)} were decoded where {sorted(targets)} are known"
        )
    return torch.stack([squared_error(predicted[name], targets[name]) for name in predicted]).mean()
