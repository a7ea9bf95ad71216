"""Write pictures as a GIF or an mp4, or show them in a window."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gw_envs.display import has_display, opencv
from gw_envs.errors import InputError
from gw_envs.files import write_atomically
from gw_envs.outputs import check_writable

Pictures = Iterable[NDArray[np.uint8]]
"""(H, W, 3) pictures, all of one size."""

NO_H264 = "VP9; install imageio-ffmpeg for H.264, which every player reads"


def check_output(path: Path | None) -> None:
    """Raise InputError or OSError unless pictures can be written to `path`, or shown if it is
    None."""
    if path is None:
        if not has_display():
            raise InputError(
                "there is no display to open a window on: name a file, such as --out play.gif"
            )
    else:
        _writer(path)
        check_writable(path)


def write_video(path: Path, pictures: Pictures, fps: int) -> str:
    """Write pictures as .gif or .mp4, whole or not at all, and return the name of the format.

    An mp4 is H.264 if imageio-ffmpeg is installed, else VP9. Raises InputError on another suffix,
    OSError if the video can't be written in full.
    """
    writer, formats = _writer(path), []
    write_atomically(path, lambda temporary: formats.append(writer(temporary, iter(pictures), fps)))
    return formats[0]


def _writer(path: Path) -> Callable[[Path, Iterator[NDArray[np.uint8]], int], str]:
    writers = {".gif": _write_gif, ".mp4": _write_mp4}
    if path.suffix.lower() not in writers:
        raise InputError(f"{path} is neither .gif nor .mp4: name a file of one of these")
    return writers[path.suffix.lower()]


def _write_gif(path: Path, pictures: Iterator[NDArray[np.uint8]], fps: int) -> str:
    images = (Image.fromarray(picture) for picture in pictures)
    first, *rest = [image.quantize(128, dither=Image.Dither.NONE) for image in images]
    first.save(path, "GIF", save_all=True, append_images=rest, duration=1000 // fps, loop=0)
    return "GIF"


def _write_mp4(path: Path, pictures: Iterator[NDArray[np.uint8]], fps: int) -> str:
    first = next(pictures)
    height, width = len(first) // 2 * 2, first.shape[1] // 2 * 2  # codecs want even sides
    even = (np.ascontiguousarray(picture[:height, :width]) for picture in chain([first], pictures))
    try:
        import imageio_ffmpeg
    except ImportError:
        count, codec = _write_vp9(path, even, fps, (width, height)), NO_H264
    else:
        count, codec = _write_h264(imageio_ffmpeg, path, even, fps, (width, height)), "H.264"
    _check_video(path, count)
    return codec


def _write_h264(
    ffmpeg: Any, path: Path, pictures: Pictures, fps: int, size: tuple[int, int]
) -> int:
    """Write with ffmpeg, and return the number of frames."""
    count = 0
    video = ffmpeg.write_frames(
        str(path),
        size,
        fps=fps,
        codec="libx264",
        macro_block_size=2,
        output_params=["-movflags", "+faststart"],
    )
    video.send(None)
    try:
        for picture in pictures:
            video.send(picture)
            count += 1
    finally:
        video.close()
    return count


def _write_vp9(path: Path, pictures: Pictures, fps: int, size: tuple[int, int]) -> int:
    """Write with OpenCV, whose wheels can't encode H.264, and return the number of frames."""
    cv2 = opencv()
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"vp09"), fps, size)
    if not video.isOpened():
        raise OSError("this OpenCV can't write mp4: install imageio-ffmpeg, or name a .gif instead")
    count = 0
    for picture in pictures:
        video.write(picture[..., ::-1])
        count += 1
    video.release()
    return count


def _check_video(path: Path, count: int) -> None:
    """Raise OSError unless a video holds `count` frames: encoders don't report a full disk."""
    video, readable = opencv().VideoCapture(str(path)), 0
    while video.grab():
        readable += 1
    video.release()
    if readable != count:
        raise OSError(
            f"the video could not be written in full ({readable} of {count} frames): is the disk"
            " full?"
        )


def show(title: str, pictures: Pictures, fps: int) -> None:
    """Show pictures in a window until they end or q or Escape is pressed."""
    cv2 = opencv()
    for picture in pictures:
        cv2.imshow(title, picture[..., ::-1])
        if cv2.waitKey(1000 // fps) & 0xFF in (ord("q"), 27):
            break
    cv2.destroyAllWindows()
