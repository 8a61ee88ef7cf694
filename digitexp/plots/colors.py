"""The meaning of each colour, in every picture.

Blue and vermilion of Okabe and Ito's palette, told apart with every common colour blindness.
"""

TRAIN = "#0072B2"
VALIDATION = "#D55E00"
BEST = "#262626"
BEST_LINE = "#8C8C8C"
RATE_DROP = "#9A9A9A"
WRONG = VALIDATION

PAPER = "#FFFFFF"
INK = "#262626"
LABEL = "#505050"
MUTED = "#707070"
FRAME = "#B0B0B0"
GRID = "#E8E8E8"


def rgb(color: str) -> tuple[int, int, int]:
    """Return red, green and blue of a colour such as `#0072B2`, each from 0 to 255."""
    red, green, blue = bytes.fromhex(color.removeprefix("#"))
    return red, green, blue
