"""Load weights from disk: domain modules, the workspace and its attention modules."""

from pathlib import Path

from gw_agents.checkpoint import CheckpointError, load_into, read_config, read_tensors
from gw_agents.domains.base import Domain
from gw_agents.domains.kinds import DOMAINS
from gw_agents.workspace.attention import Attention, AttentionConfig
from gw_envs.language import VOCABULARY


def load_domain(folder: Path, modality: str, scene: str) -> tuple[Domain, str]:
    """A domain module, frozen, and the hash of its weights; raises CheckpointError."""
    config = read_config(folder, modality, "domain", scene)
    kind = config.get("domain", modality)
    if kind not in DOMAINS:
        raise CheckpointError(
            f"{folder}/{modality}.json holds a domain of the kind {kind!r}, and known are {', '.join(DOMAINS)}: add its"
            " class to gw_agents.domains.kinds.DOMAINS before loading it"
        )
    if kind == "language" and config.get("vocabulary") != VOCABULARY.fingerprint:
        raise CheckpointError(
            f"{folder}/{modality}.json was trained on another vocabulary: train it anew"
        )
    domain = DOMAINS[kind](**config["arguments"])
    load_into(domain, read_tensors(folder, modality, config), f"{folder}/{modality}.safetensors")
    return domain.freeze(), config["sha256"]


def load_attentions(
    folder: Path, scene: str, workspace: str
) -> tuple[dict[str, Attention], str | None]:
    """The attention modules of a folder by name, and which is best; none if there is no such file."""
    if not (folder / "attention.json").exists():
        return {}, None
    config = read_config(folder, "attention", "attention", scene)
    if config["workspace"] != workspace:
        raise CheckpointError(
            f"the attention in {folder} was trained on another workspace: train it anew"
        )
    tensors = read_tensors(folder, "attention", config)
    attentions = {}
    for name, arguments in config["modules"].items():
        attentions[name] = Attention(AttentionConfig(**arguments))
        own = {
            key.removeprefix(f"{name}."): value
            for key, value in tensors.items()
            if key.startswith(f"{name}.")
        }
        load_into(attentions[name], own, f"{folder}/attention.safetensors")
    return attentions, config["best"]
