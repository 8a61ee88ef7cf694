"""Attempts on a Dask cluster: who distributes work is Dask, who trains is ours.

Inside each Dask worker the same `WorkersExecutor` trains attempts in child processes;
`on_worker.py` is all that runs there. Data travel once, by value, checked by digest; starts and
epochs come back as events of a topic, an attempt's epochs once a second at most. The first result
of an attempt is its result, since an attempt is a function of its specification. Records, study and
MLflow stay with the coordinator, where eight threads fetch results and write records side by side.
"""
