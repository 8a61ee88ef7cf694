"""`sweeps ensemble`: would several models, voting, beat the single best? From stored logits."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from sweeps.cli.finalizing import show
from sweeps.cli.options import HomeOption, JsonOption, SweepNamesArgument
from sweeps.cli.results import DataOption


def ensemble(
    names: SweepNamesArgument,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="K", help="Let the K best finalists vote (default: several choices).", min=2
        ),
    ] = None,
    data: DataOption = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let the finalists of finalised sweeps vote, softly and hard, against the single best.

    On each fresh block those vote that were trained on it; nothing is trained, and no test part
    is read: what a reading said of votes before is shown. Several sweeps of the same data vote
    together.
    """
    from sweeps.confirm.ensembles import ensemble as vote
    from sweeps.home import Home
    from sweeps.records.finalized import document_of

    found = Home.resolve(home)
    infos = list({(info := found.get(name)).id: info for name in names}.values())
    result = vote(found, infos, top, data)
    if as_json:
        tested = [document_of(conclusion) for conclusion in result.tested]
        print(json.dumps({**document_of(result.votes), "test": tested}, indent=1))
    else:
        show([result.votes, *result.tested])
