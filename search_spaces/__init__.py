"""The language of search spaces, and the catalogue of spaces that ship with it."""
