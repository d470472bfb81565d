"""Characters drawn from the fonts that matplotlib ships: identities for what is otherwise learned from faces.

One identity a character; its pictures differ as those of a person do: in font (regular, bold, slanted; with serifs,
without, monospaced), rotation, size, place and blur. The identities of train and test are disjoint.

``CHARACTERS`` are letters and digits (Unicode categories Lu, Ll, Lo, Nd without a decomposition, so no accents) that at
least 12 of the 16 fonts have. Characters that look alike are left out: drawn upright and centred at 32 pixels, no two
have a cosine of 0.97 or more between their pixels in any font that has both; of such (A, Alpha and Cyrillic A; I and l)
the first by code point stays. ``tests/data/test_glyphs.py`` compares them all.
"""

from collections.abc import Iterator
from functools import cache
from math import ceil, cos, radians, sin
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from vitrail.nn.randomness import derive_seed

SIZE = 32
"""Height and width of a picture, in pixels."""
EACH = 24
"""Pictures of each character."""
TEST_EVERY = 3
"""One character in so many is for testing."""

CHARACTERS = (
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkmnopqrstuvwxyzÆØÞßæðøþĦıĸłŊŋŒœƁƂƃƄƆƇƈƊƋƌƍƎƏƐƑƒƓƔƕƗƙƚƛƜƝƞƟƢƣƤƦƧƨ"
    "ƩƪƫƬƭƮƱƲƳƴƵƶƷƸƺƻƼƽƾƿǀǁǂǃǝǶȜȝȡȤȥȴȵȶȷȸȹȺȻȼȽȾȿɀɁɄɍɐɑɒɓɔɕɖɗɘɚɛɜɝɞɟɠɢɣɤɥɦɧɬɭɮɯɰɱɲɳɴɶɷɸɹɺɻɼɽɾʀʁʂʃʄʆʇʈʉʊʋʌʍʎʏʐʑʓʔʕʖʗʙ"
    "ʚʛʜʝʞʟʠʣʤʥʦʧʨʩʪʫʬʭʮʯᴂᴉᴔᴖᴗᴝᴞᴟᵻᶅⱤⱭⱮⱯⱰⱵⱶⱷⱹⱾⱿꜧꞋꞌꞐꞑꞪ"
    "ΔΞΠΦΨΩβγδζλμνξςστφχψωϗϘϙϚϛϝϞϟϠϡϺϻϼϾϿ"
    "ЂЄЉЊЋЏДЖИЛУЦЧЩЪЫЭЮЯбджлмфцчщъыьэюяђєљњџѢѣѪѫѳѴѵҐґҒғҔҕҖҗҘҙҚқҢҤҥҪҫҬҭҰұҲҳҺӃӄӇӈӋӌӶӷ"
    "ԱԲԳԴԵԶԷԸԹԺԻԽԾԿՀՁՂՃՄՅՆՇՈՉՊՋՌՎՏՐՒՔՖբդեէըթիլխծկձճմնշչջվրփքֆ"
    "აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰჱჲჳჴჵჶჷჸჹჺ"
)
"""The 480 identities: Latin, Greek, Cyrillic, Armenian and Georgian."""

FONTS = (
    *(f"DejaVuSans{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSansMono{style}" for style in ("", "-Bold", "-Oblique", "-BoldOblique")),
    *(f"DejaVuSerif{style}" for style in ("", "-Bold", "-Italic", "-BoldItalic")),
    *(f"STIXGeneral{style}" for style in ("", "Bol", "Italic", "BolIta")),
)
"""Those of matplotlib's fonts that have letters of several scripts."""

_EM = 24
"""Pixels of the font's em at scale 1."""
_WIDEST = 28
"""A character wider or higher than this at scale 1 is drawn smaller."""
_FINE = 2
"""Drawn at so many times the size, turned there, then averaged: edges stay smooth."""


def glyphs(part: Literal["train", "test"]) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """The pictures of one part, always the same, drawn as they are asked for.

    Yields:
        uint8 ``[32 32]``, light on black, and the character's index in ``CHARACTERS``; character by character.
    """
    for label in identities(part):
        for picture in _pictures(CHARACTERS[label]):
            yield picture, label


def identities(part: Literal["train", "test"]) -> list[int]:
    """The indices of one part's characters: each is sent to its part by a hash of its code point alone."""
    return [
        label
        for label, character in enumerate(CHARACTERS)
        if (derive_seed("glyphs", ord(character)) % TEST_EVERY == 0) == (part == "test")
    ]


def draw(
    character: str,
    font: str,
    *,
    turn: float = 0.0,
    scale: float = 1.0,
    place: tuple[float, float] = (0.0, 0.0),
    blur: float = 0.0,
) -> NDArray[np.uint8]:
    """One picture, uint8 ``[32 32]``, light on black; a character that is too wide or high for it is drawn smaller.

    Args:
        character: what to draw, its ink centred.
        font: one of ``FONTS``.
        turn: degrees, counter-clockwise.
        scale: 1 is an em of 24 pixels.
        place: pixels to the right and downwards.
        blur: standard deviation in pixels.
    """
    face = _font(font)
    left, top, right, bottom = face.getbbox(character)
    side = SIZE * _FINE
    room = max(side, ceil(right - left), ceil(bottom - top))
    picture = Image.new("L", (room, room))
    corner = ((room - left - right) / 2, (room - top - bottom) / 2)
    ImageDraw.Draw(picture).text(corner, character, fill=255, font=face)
    zoom = scale * min(1.0, _WIDEST * _FINE / max(right - left, bottom - top))
    # From a pixel of the result back to where it is drawn.
    c, s = cos(radians(turn)) / zoom, sin(radians(turn)) / zoom
    x, y = side / 2 + place[0] * _FINE, side / 2 + place[1] * _FINE
    back = (c, -s, room / 2 - c * x + s * y, s, c, room / 2 - s * x - c * y)
    picture = picture.transform((side, side), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR).reduce(_FINE)
    if blur:
        picture = picture.filter(ImageFilter.GaussianBlur(blur))
    return np.asarray(picture)


@cache
def fonts_with(character: str) -> tuple[str, ...]:
    """Those of ``FONTS`` that have a character."""
    return tuple(font for font in FONTS if ord(character) in _characters_of(font))


def _pictures(character: str) -> Iterator[NDArray[np.uint8]]:
    """All of a character: each font in turn, everything else drawn at random, always the same."""
    random = np.random.default_rng(derive_seed("glyphs", ord(character), "pictures"))
    fonts = random.permutation(fonts_with(character))
    for number in range(EACH):
        yield draw(
            character,
            str(fonts[number % len(fonts)]),
            turn=random.uniform(-20, 20),
            scale=random.uniform(0.9, 1.1),  # no more, or z becomes Z
            place=(random.uniform(-2, 2), random.uniform(-2, 2)),
            blur=random.uniform(0, 1.2),
        )


def _path(font: str) -> Path:
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"


@cache
def _characters_of(font: str) -> frozenset[int]:
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(_path(font))).get_charmap())


@cache
def _font(font: str) -> ImageFont.FreeTypeFont:
    # Basic layout: the other one depends on a library that some builds of Pillow lack.
    return ImageFont.truetype(str(_path(font)), _EM * _FINE, layout_engine=ImageFont.Layout.BASIC)
