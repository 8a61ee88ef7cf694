"""Charts, said once (`chart`) and drawn twice: interactive (`interactive`) and as a PNG (`png`).

A chart holds marks and axes, no colours and no library; `palette` says what a role looks like.
"""
