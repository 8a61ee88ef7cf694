"""Manages whole sweeps: rename, archive, delete, share, export, retry, doctor."""
