"""Programs on top of trainings: the checklist, the comparison of transferred starts.

Only the command imports them.
"""
