"""Objectives that are looked up, and the searchers that are judged by them."""
