"""The model cards beside the shipped weights, made from their configs and from the committed report cards.

python benchmarks/cards.py
"""

import json
import sys
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.common import table
from benchmarks.readme import READERS, rows_of
from gw_envs.assets import asset_path
from gw_envs.files import write_atomically
from gw_envs.observation import MODALITIES
from gw_envs.scenes import SCENES, get_scene

LIMITS = """- Trained on this scene's fixed layout, its own image size and its own captions; nothing else was seen.
- A caption is vaguer than a picture: what is translated from language is a likely scene, not the scene. The language
  decoder says the coarsest claims, and names of colors near a border between two names are often the neighbor's.
- The workspace holds {width} numbers, fewer than the latents together: fine detail is lost in it.
- Attention was trained under noise in the latents, o + k C, and under the failures in `gw_envs.corruption`; what else a
  sensor may do is not promised. Of two sensors that contradict each other plausibly, a third must tell which is."""


def card(scene: str) -> str:
    """The card of one scene, as Markdown."""
    folder = asset_path(f"weights/{scene}")
    configs = {
        name: json.loads((folder / f"{name}.json").read_text())
        for name in (*MODALITIES, "workspace", "attention")
    }
    workspace, attention = configs["workspace"], configs["attention"]
    losses = ", ".join(f"{weight:g} {name}" for name, weight in workspace["losses"].items())
    parts = [
        (
            name,
            f"latent of {configs[name]['arguments']['latent_width']}",
            configs[name]["steps"],
            configs[name]["seed"],
        )
        for name in MODALITIES
    ]
    parts.append(
        (
            "workspace",
            f"width {workspace['arguments']['width']}",
            workspace["steps"],
            workspace["seed"],
        )
    )
    parts.append(
        ("attention", ", ".join(attention["modules"]), attention["steps"], attention["seed"])
    )
    probes = [
        (
            row["claim"].removeprefix("domains/").replace("/", ": "),
            READERS[row["condition"]["probe"]],
            f"{row['measured']:.3g}",
            row["condition"]["unit"],
        )
        for row in rows_of("domains")
        if row["scene"] == scene
    ]
    scores = ", ".join(
        f"{name} {found['noise']:.1%} and {found['sensors']:.1%}"
        for name, found in attention["validation_accuracy"].items()
    )
    return f"""# Weights for {get_scene(scene).name}

Domain modules, workspace and attention, each a safetensors file with a JSON config that holds its hash. Load them with
`GlobalWorkspace.from_pretrained("{scene}")`. License: MIT, as the project.

## Made by

```bash
python -m gw_agents.pretrain domains --scene {scene}
python -m gw_agents.pretrain workspace --scene {scene}
python -m gw_agents.pretrain attention --scene {scene}
```

{table(("part", "what", "steps", "seed"), parts)}

Workspace: {workspace["pairs"]:,} matched scenes of the train split; losses {losses}.
Attention, mean accuracy on the validation split under noise of sigma 0 to 100 on one modality, and while one sensor of
three fails: {scores}; `best` is `{attention["best"]}`.

## What the latents know

Errors on held-out scenes (medians; for shape and claims the fraction wrong), by `python benchmarks/domains.py`.

{table(("latent: attribute", "read by", "error", "unit"), probes)}

## Limits

{LIMITS.format(width=workspace["arguments"]["width"])}
"""


def main() -> None:
    """Write the card of every scene."""
    for scene in SCENES:
        path, text = asset_path(f"weights/{scene}") / "README.md", card(scene)
        write_atomically(path, partial(Path.write_text, data=text))
        print(f"written: {path}")


if __name__ == "__main__":
    main()
