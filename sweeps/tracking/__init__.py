"""Tracking: records -> MLflow, a projection that can be rebuilt at any time; imports no MLflow."""

from sweeps.tracking.address import TrackingError, resolve_tracking_uri

__all__ = ["TrackingError", "resolve_tracking_uri"]
