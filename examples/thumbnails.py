"""Thumbnails of a folder of images; what cannot be read is put aside, with the reason.

Needs Pillow (pip install pillow). Reading and shrinking are balanced over lanes; `dead_letter`
keeps each file that fails, and the others go on.

    python examples/thumbnails.py [FOLDER]        without a folder: over images that it makes
"""

# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from conveyor import BalancingFork, Join, Pipeline, Processor

try:
    from PIL import Image
except ImportError:
    print("this example needs Pillow: pip install pillow")
    sys.exit(0)

SIZE = (64, 64)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    name: str
    width: int
    height: int
    saved: int  # bytes


def make(folder: Path) -> None:
    """Puts some images into a folder, and a file that is none."""
    for number in range(40):
        image = Image.new("RGB", (600, 400), (number * 6, 120, 200))
        image.save(folder / f"image{number:02}.png")
    (folder / "broken.png").write_bytes(b"no image at all")


def shrink(path: Path) -> Thumbnail:
    with Image.open(path) as image:
        image.thumbnail(SIZE)
        target = path.with_suffix(".thumb.jpg")
        image.convert("RGB").save(target)
        size = cast("tuple[int, int]", image.size)
    return Thumbnail(target.name, *size, path.stat().st_size - target.stat().st_size)


def thumbnails(folder: Path) -> None:
    pl = (
        Pipeline[Path]()
        .add(BalancingFork())
        .add(Processor(shrink, on_error="dead_letter"))
        .add(Join(ordered=True))
    )
    result = pl.run(sorted(folder.glob("*.png")))
    for made in result[:3]:
        print(f"{made.name} {made.width}x{made.height}")
    print(f"... {len(result)} thumbnails")
    for letter in result.dead_letters:
        print(f"put aside: {Path(str(letter.item)).name}: {type(letter.exception).__name__}")


if len(sys.argv) > 1:
    thumbnails(Path(sys.argv[1]))
else:
    with tempfile.TemporaryDirectory() as temporary:
        make(Path(temporary))
        thumbnails(Path(temporary))
