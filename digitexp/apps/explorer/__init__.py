"""`digitexp explore`: recorded trials to draw digits for, in a browser on this machine.

`recorded` reads what sweeps left, `answers`, `pictures` and `batch` ask the networks, `layout`,
`pad` and `views` are the page, `callbacks` joins them, `app` makes the application that `server`
serves. Dash is imported by `app` only when it is wanted.
"""
