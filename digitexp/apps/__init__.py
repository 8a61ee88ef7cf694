"""Programs to play with: the explorer, the checklist, the comparison of transferred starts.

Only the command imports them.
"""
