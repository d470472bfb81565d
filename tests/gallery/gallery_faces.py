"""Drawn faces, which the cascade takes for real ones, in photographs of any size. Nobody is in them."""

import io
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

from vitrail.faces.calibration import Calibration, OperatingPoint

GREY = (90, 100, 110)
SKINS = (215, 190, 160, 130)


def draw_face(side: int, skin: int = 190) -> Image.Image:
    """A face about 0.8 of the side wide, on grey."""
    large = 4 * side
    image = Image.new("RGB", (large, large), GREY)
    pen = ImageDraw.Draw(image)
    tone = (skin, int(skin * 0.85), int(skin * 0.75))

    def oval(x: float, y: float, width: float, height: float, colour: tuple[int, ...]) -> None:
        corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        pen.ellipse([round(part * large) for part in corners], fill=colour)

    oval(0.5, 0.42, 0.74, 0.80, (50, 40, 35))
    oval(0.5, 0.52, 0.60, 0.80, tone)
    for x in (0.37, 0.63):
        oval(x, 0.43, 0.19, 0.10, tuple(int(part * 0.55) for part in tone))
        oval(x, 0.38, 0.20, 0.04, (45, 35, 30))
        oval(x, 0.44, 0.13, 0.06, (235, 235, 235))
        oval(x, 0.44, 0.06, 0.06, (30, 25, 25))
    oval(0.5, 0.56, 0.10, 0.18, tuple(min(255, int(part * 1.08)) for part in tone))
    oval(0.46, 0.64, 0.04, 0.025, (90, 60, 55))
    oval(0.54, 0.64, 0.04, 0.025, (90, 60, 55))
    oval(0.5, 0.76, 0.24, 0.06, (150, 70, 70))
    return image.resize((side, side), Image.Resampling.LANCZOS).filter(ImageFilter.GaussianBlur(side / 90))


def photograph(
    faces: Sequence[tuple[int, int, int]], size: tuple[int, int] = (400, 300), skins: Sequence[int] = SKINS
) -> Image.Image:
    """A picture of ``size`` (width, height) with a face of ``side`` at each (left, top, side)."""
    image = Image.new("RGB", size, GREY)
    for number, (left, top, side) in enumerate(faces):
        image.paste(draw_face(side, skins[number % len(skins)]), (left, top))
    return image


def portrait(path: Path, skin: int = 190, seed: int = 0) -> Path:
    """A photograph of one face, with a little noise that makes each seed's file another one."""
    pixels = np.asarray(photograph([(30, 20, 140)], (200, 180), [skin])).astype(np.int16)
    noise = np.random.default_rng(seed).integers(-3, 4, pixels.shape)
    Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8)).save(path)
    return path


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_head(width: int, height: int) -> bytes:
    """A PNG that says it has that size, and holds no pixels."""
    chunks = [b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0), b"IDAT"]
    packed = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


FINGERPRINT = "c0" * 16
SIZE = (40, 36)
THRESHOLD = 0.004


def embed(crops: torch.Tensor) -> torch.Tensor:
    """A toy network: how bright which part of a crop is. Faces of one skin are within THRESHOLD, others aren't."""
    return torch.nn.functional.normalize(torch.nn.functional.adaptive_avg_pool2d(crops.float(), (5, 3)).flatten(1) - 90)


def calibration(fingerprint: str = FINGERPRINT, threshold: float = THRESHOLD) -> Calibration:
    points = (
        OperatingPoint(0.01, 2 * threshold, (threshold, 3 * threshold), 1.0, 0.0),
        OperatingPoint(0.001, threshold, (threshold / 2, 2 * threshold), 0.9, 0.1),
    )
    return Calibration(fingerprint, "drawn faces", 4, 8, 4, 24, points, threshold)
