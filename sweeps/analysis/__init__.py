"""Numbers of a sweep: rows, summary, importance, edges, paired differences, fronts."""
