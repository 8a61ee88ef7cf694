"""Transfer learning: does a start from weights of other data help, and by how much?"""
