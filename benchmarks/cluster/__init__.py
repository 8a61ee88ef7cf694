"""The parts of `scale`: a Dask cluster on this machine, sleeping trials, a watched sweep."""
