"""Records of a sweep -> rows, tables, a verdict and a summary for people, scripts and CI.

Everything here is computed from records alone; nothing trains, and TensorFlow, MLflow and pandas
are not needed to read results. Import from the modules: `slots` (one row a slot), `table` (columns,
CSV, DataFrame), `summary` (the outcome of a sweep), `text` and `markdown` (how it is shown),
`listing` (one row a sweep).
"""
