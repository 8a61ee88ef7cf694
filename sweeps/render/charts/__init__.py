"""Charts, described once (`chart`), drawn interactively (`interactive`) and as a PNG (`png`).

A chart holds marks and axes, and depends on no library. A mark has a role, whose colour is in the
palette (`chart.COLORS`).
"""
