"""`sweeps ensemble`: would several models, voting, beat the single best? From stored logits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sweeps.cli.finalizing import tell
from sweeps.cli.options import HomeOption, JsonOption, SweepNamesArgument
from sweeps.cli.results import DataOption

if TYPE_CHECKING:
    from sweeps.confirm.ensembles import Ensembles


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

    found = Home.resolve(home)
    infos = list({(info := found.get(name)).id: info for name in names}.values())
    result = vote(found, infos, top, data)
    if as_json:
        print(json.dumps(_document([info.name for info in infos], result), indent=1))
    else:
        tell(result.tellings)


def _document(names: list[str], result: Ensembles) -> dict[str, Any]:
    votes = result.votes
    single = votes.single
    return {
        "sweeps": names,
        "blocks": votes.blocks,
        "single": {
            "finalist": single.name,
            "accuracy": votes.mean.value,
            "accuracy_interval": list(votes.mean.interval().ends),
            "parameters": single.parameters,
            "train_seconds": single.seconds,
        },
        "votes": [
            {
                "ensemble": vote.ensemble.name,
                "members": [member.name for member in vote.ensemble.members],
                "announced": vote.ensemble.is_announced and vote.kind == "soft",
                "vote": vote.kind,
                "accuracy": vote.mean.value,
                "accuracy_interval": list(vote.mean.interval().ends),
                "ahead_by": vote.ahead.value,
                "interval": list(vote.ahead.ends),
                "verdict": vote.word,
                "parameters": vote.parameters,
                "train_seconds": vote.seconds,
            }
            for vote in votes.votes
        ],
        "told": [
            {
                "title": told.title,
                "lead": told.lead,
                "columns": list(told.columns),
                "rows": [list(row) for row in told.rows],
                "lines": list(told.lines),
                "note": told.note,
            }
            for told in result.tellings
        ],
    }
