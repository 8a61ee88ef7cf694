"""Attempts on a Dask cluster: Dask distributes them, and our own worker processes train them.

Inside each Dask worker the same `WorkersExecutor` trains attempts in child processes;
`on_worker.py` is the only module that runs there. Data are sent once, by value, and checked by
digest. Starts and epochs come back as events of a topic, the epochs of an attempt at most once a
second. The first result of an attempt counts, since an attempt is a function of its specification.
Records, journal and MLflow stay with the coordinator, where eight threads fetch results and write
records in parallel.
"""
