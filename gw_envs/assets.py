"""Find the project's data files, inside the installed package or beside it in a checkout."""

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent

FOLDERS = (PACKAGE / "_assets", PACKAGE.parent / "assets")
"""The folders that are searched for assets: first a wheel's, then a checkout's."""


def asset_path(relative: str | Path) -> Path:
    """Return the path of a file or folder among the assets; FileNotFoundError if there is none."""
    for folder in FOLDERS:
        if (folder / relative).exists():
            return folder / relative
    raise FileNotFoundError(
        f"no asset {str(relative)!r} in {' or '.join(str(folder) for folder in FOLDERS)}"
    )
