"""Which faces the detector finds: on LFW's test part, as it is, turned, and small.

LFW was itself gathered with a detector of this kind (Huang et al. 2007), so that the first row flatters. A turned
picture is filled up with grey, as is the surrounding of a small one.

    python bench/detection.py [--data ../shared/data/faces] [--images 600]
"""

import argparse

import numpy as np
from PIL import Image

from vitrail.data import load_images
from vitrail.gallery import Photograph, find_faces

ANGLES = (10, 20, 30, 45, 90, 180)
SIDES = (80, 64, 48, 40, 32)
"""Pixels of the crop's side; the face takes about 0.77 of it."""
GREY = (128, 128, 128)


def found_in(pictures: list[Image.Image]) -> list[str]:
    """The share of pictures with one face found, with none, and with several, in percent."""
    counts = [len(find_faces(Photograph("", np.asarray(picture).transpose(2, 0, 1), ""))) for picture in pictures]
    of = len(counts) / 100
    return [f"{sum(map(kind, counts)) / of:5.1f}" for kind in (lambda n: n == 1, lambda n: n == 0, lambda n: n > 1)]


def surrounded(picture: Image.Image, side: int = 160) -> Image.Image:
    """The picture in the middle of a grey one."""
    around = Image.new("RGB", (side, side), GREY)
    around.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    return around


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="../shared/data/faces", help="LFW, cropped to 112x112")
    parser.add_argument("--images", type=int, default=600, help="of the test part, evenly spread")
    arguments = parser.parse_args()
    images = load_images(arguments.data, "test")
    rows = np.linspace(0, len(images) - 1, min(arguments.images, len(images))).astype(int)
    pictures = [Image.fromarray(images.pixels[row].transpose(1, 2, 0)) for row in rows]
    print(f"{len(pictures)} of {len(images):,} test pictures of {images.name}; percent")
    print(f"{'':24}{'one':>6}{'none':>6}{'several':>9}")
    cases = {"as they are": pictures}
    for angle in ANGLES:
        cases[f"turned by {angle} degrees"] = [
            surrounded(picture).rotate(angle, Image.Resampling.BICUBIC, fillcolor=GREY) for picture in pictures
        ]
    for side in SIDES:
        cases[f"face of about {0.77 * side:.0f} pixels"] = [
            surrounded(picture.resize((side, side), Image.Resampling.BOX)) for picture in pictures
        ]
    for name, changed in cases.items():
        one, none, several = found_in(changed)
        print(f"{name:24}{one:>6}{none:>6}{several:>9}", flush=True)


if __name__ == "__main__":
    main()
