"""Where the project's data files are: inside the installed package, or beside it in a checkout."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


FOLDERS = (PACKAGE / "_assets", PACKAGE.parent / "assets")
"""Searched in this order: a wheel carries the first, an editable checkout has the second."""


def asset_path(relative: str | Path) -> Path:
    """The file or folder called `relative` among the assets; raises FileNotFoundError if there is none."""
    for folder in FOLDERS:
        if (folder / relative).exists():
            return folder / relative
    raise FileNotFoundError(
        f"no asset {str(relative)!r} in {' or '.join(str(folder) for folder in FOLDERS)}"
    )
