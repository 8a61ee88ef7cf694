"""`digitexp explore`: recorded trials to draw digits for, in a browser on this machine.

`digitexp.experiments.recorded` reads the trials. `answers`, `pictures` and `batch` ask the
networks, `session` answers the page's questions, `layout` and `views` are the page. `app` joins
them, and makes and serves the application. Only this package imports Dash.
"""
