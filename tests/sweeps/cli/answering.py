"""How an MLflow server answers to who calls it by some name."""

from __future__ import annotations

import http.client


def answer(port: int, called: str) -> int:
    """Return the status of what it answers to a question about experiments.

    Args:
        port: Where it listens, on this machine.
        called: The `Host` of the request.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    connection.request("GET", path, headers={"Host": called})
    status = connection.getresponse().status
    connection.close()
    return status
