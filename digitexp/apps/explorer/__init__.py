"""`digitexp explore`: recorded trials to draw digits for, in a browser on this machine.

`digitexp.experiments.recorded` reads the trials. `session` asks the networks about one drawing,
`batch` about many pictures, `views` shows their answers. `app` is the page with its callbacks; it
makes and serves the application. Only this package imports Dash.
"""
