"""Attempts on a Dask cluster: who distributes work is Dask, who trains is ours."""
