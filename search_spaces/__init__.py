"""What may vary: the language of search spaces and the catalogue of spaces that ship with it."""
