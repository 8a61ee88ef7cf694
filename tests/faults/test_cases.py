"""Every case over every seed; `make faults`. A seed is repeated with FAULT_SEED=7.

With FAULT_STOCK=1 the stock recipe goes through the cases that apply to it, instead of ours.
"""

import os

import pytest

from tests.faults.cases import CASES
from tests.faults.conftest import seeds
from tests.faults.lab import Lab
from tests.faults.stock_lab import StockLab

pytestmark = pytest.mark.faults


KIND = StockLab if os.environ.get("FAULT_STOCK") else Lab


def chosen():
    for case in CASES:
        if KIND is Lab or case.stock:
            missing = case.missing if KIND is Lab else ""
            xfail = [pytest.mark.xfail(strict=True, reason=missing)] if missing else []
            yield pytest.param(case, id=str(case), marks=xfail)


@pytest.mark.parametrize("seed", seeds())
@pytest.mark.parametrize("case", list(chosen()))
def test_the_promise_holds(run_case, case, seed):
    run_case(case, seed, KIND)


def test_left_alone_it_passes(make_lab):
    """The control: the oracle has nothing against either of them."""
    lab = make_lab(1, KIND)
    lab.run(8)
    lab.check(8, undisturbed=lab.table(8))
