"""`digitexp explore`, `softmax`, `activations`: try trained networks and their building blocks."""

from __future__ import annotations

import contextlib
import html
import os
import secrets
import shlex
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digitexp.cli.options import Data, Font, Home, Language, Storage

if TYPE_CHECKING:
    from digitexp.experiments.recorded import Recorded, RecordedFolder


def explore(
    shown: Annotated[
        str | None,
        typer.Argument(
            metavar="[DIR | SWEEP]",
            help="Folder of `digitexp train`, or the sweep shown first (default: the newest).",
        ),
    ] = None,
    trial: Annotated[
        str | None, typer.Argument(metavar="[TRIAL]", help="Trial of it (default: champion).")
    ] = None,
    home: Home = None,
    storage: Storage = None,
    data: Data = None,
    port: Annotated[int, typer.Option(help="Port to listen on, on this machine only.")] = 8052,
    browser: Annotated[
        bool | None,
        typer.Option(
            "--browser/--no-browser",
            help="Open the page (default: in a terminal on a machine with a screen).",
        ),
    ] = None,
) -> None:
    """Draw digits, and see what recorded networks say of them and why; needs no TensorFlow.

    The page also reads folders of pictures, and has the interactive tools for any trial of digits.
    """
    from digitexp.apps.explorer.app import listen, serve

    _need_dash()
    recorded = _recorded(shown, trial, home, storage, data)
    listening = listen(port)
    from threadpoolctl import threadpool_limits

    from digitexp.apps.explorer.app import make_app
    from digitexp.apps.explorer.session import Session

    # Products of one image are small: threads that wait for each other take longer than one.
    threadpool_limits(1, "blas")
    session = Session(recorded, str(Path(shown)) if shown else None, trial)
    token = secrets.token_urlsafe(16)
    app = make_app(session, port, token)
    address = f"http://127.0.0.1:{port}/?token={token}"

    with contextlib.ExitStack() as until_the_end:

        def announce() -> None:
            print(f"explorer: {address}  (Ctrl-C stops it)", flush=True)
            threading.Thread(target=session.warm_up, name="explorer-warm-up", daemon=True).start()
            if _wants_browser() if browser is None else browser:
                until_the_end.enter_context(opened(address))

        serve(app, listening, announce)
    print("stopped", flush=True)


def _recorded(
    shown: str | None, trial: str | None, home: Path | None, storage: str | None, data: str | None
) -> Recorded | RecordedFolder:
    """Return the sweeps or the folder to explore; ValueError if these or the trial are missing."""
    from digitexp.experiments.recorded import Recorded, RecordedFolder

    if shown is not None and trial is None and Path(shown, "config.json").is_file():
        return RecordedFolder(Path(shown), data)
    recorded = Recorded(home, storage, data)
    if shown is not None:
        recorded.trials(shown)
        if trial is not None:
            recorded.shown(shown, trial)
    elif not recorded.sweeps():
        command = shlex.join(["sweeps", "run", "smoke", *(["--home", str(home)] if home else [])])
        raise ValueError(
            f"no sweep of digits with a trial in {recorded.where}; begin with: `{command}`"
        )
    return recorded


@contextlib.contextmanager
def opened(address: str, open_page: Callable[[str], object] = webbrowser.open) -> Iterator[None]:
    """Open an address in a browser, through a file that exists as long as the context.

    Anybody on this machine may read the command line of a browser, but not that file.
    """
    page = f'<meta http-equiv="refresh" content="0;url={html.escape(address)}">'
    with tempfile.NamedTemporaryFile("w", prefix="explorer-", suffix=".html") as file:
        file.write(page)
        file.flush()
        open_page(Path(file.name).as_uri())
        yield


def _need_dash() -> None:
    try:
        import dash  # noqa: F401 - whether it is there
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "dash":
            raise
        from digitexp.experiments.recorded import install_command

        raise ValueError(
            f"the explorer needs Dash, which is not installed: {install_command('explorer')}"
        ) from None


def _wants_browser() -> bool:
    has_screen = sys.platform in {"darwin", "win32"} or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    return has_screen and sys.stdout.isatty() and "SSH_CONNECTION" not in os.environ


# `digitexp softmax` and `digitexp activations`: the building blocks, tried by hand.


def softmax(
    logits: Annotated[
        list[float], typer.Argument(metavar="LOGIT...", help="After `--` if one is negative.")
    ],
    temperature: Annotated[
        list[float] | None,
        typer.Option("--temperature", "-t", help="Divides the logits; may be given again."),
    ] = None,
) -> None:
    """Print the probabilities of logits, at one or several temperatures."""
    import numpy as np

    from digitexp import numpy_functions

    rows = [(one, numpy_functions.softmax(logits, one)) for one in temperature or [1.0]]
    print("logit   " + "".join(f"{logit:9.4g}" for logit in logits) + "  entropy, nats")
    for one, probabilities in rows:
        entropy = float(-(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum())
        shown = "".join(f"{probability:9.4f}" for probability in probabilities)
        print(f"T = {one:<4g}{shown}  {entropy:.3f}")


def activations(
    file: Annotated[Path, typer.Argument(help="The picture, a PNG.")] = Path("activations.png"),
    language: Language = "en",
    font: Font = None,
) -> None:
    """Draw ReLU and sigmoid, and their slopes."""
    from digitexp.plots.figures import draw_activations
    from digitexp.plots.language import in_language

    with in_language(language, font):
        file.write_bytes(draw_activations())
    print(f"wrote {file}")
