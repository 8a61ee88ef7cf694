"""The former name of `sweeps.capabilities`, which says so for one release."""

raise ImportError("sweeps.abilities is called sweeps.capabilities now: import it from there")
