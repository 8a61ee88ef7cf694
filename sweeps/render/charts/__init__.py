"""What is drawn, said once (`chart`), then drawn twice: interactive (`interactive`) and as a PNG.

A chart holds marks and axes, no colours and no library; `palette` says what a role looks like.
"""
