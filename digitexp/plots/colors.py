"""What each colour means, in every picture.

Blue and vermilion of Okabe and Ito's palette, told apart with every common colour blindness.
"""

TRAIN = "#0072B2"
VALIDATION = "#D55E00"
BEST = "#262626"
RATE_DROP = "#9A9A9A"
MUTED = "#707070"
RIGHT = TRAIN
WRONG = VALIDATION
