"""Programs to play with: the explorer, the checklist, what a transferred start is worth.

Nothing imports them but the command.
"""
