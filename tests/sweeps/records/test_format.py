import dataclasses
import io
import json
import math

import numpy as np
import pytest

from sweeps.experiment import TrialResult, TrialSpec
from sweeps.records import Record
from sweeps.records.format import FormatError, decode, encode, seal, unpack_arrays, unseal


def make_record(**changes) -> Record:
    result = TrialResult(
        outcome="complete",
        stop_reason="early_stopping",
        metrics={"accuracy": 0.1 + 0.2},
        history={"loss": [1.0, 0.5], "val_loss": [1.5, math.nan]},
        arrays={"confusion": np.arange(18, dtype=np.uint16).reshape(2, 3, 3)},
        timings={"train_seconds": 0.25},
        summary='日本 "quoted" \n 🙂',
        info={"class_names": ["0", "1"]},
    )
    record = Record(
        spec=TrialSpec("20260101-abcd", 7, 2, 2**31 - 1, {"x": 1e-4, "on": True, "off": None}),
        outcome="complete",
        reason="early_stopping",
        ends_trial=True,
        error=None,
        params={"x": 1e-4},
        distributions={
            "x": '{"name": "FloatDistribution", "attributes": '
            '{"step": null, "low": 1e-05, "high": 1.0, "log": true}}'
        },
        objective=0.1 + 0.2,
        result=result,
        weights_sha256=None,
        data={"name": "toy", "digest": "ab"},
        origin="sampled",
        environment={"python": "3.11"},
        started_at=1000,
        finished_at=3500,
    )
    return dataclasses.replace(record, **changes)


def test_a_record_read_back_equals_what_was_written_to_the_bit():
    record = make_record()
    back = decode(encode(record))
    np.testing.assert_array_equal(
        back.result.arrays["confusion"], record.result.arrays["confusion"]
    )
    assert back.result.arrays["confusion"].dtype == np.uint16
    assert math.isnan(back.result.history["val_loss"][1])
    plain = {"result": None}
    assert dataclasses.replace(back, **plain) == dataclasses.replace(record, **plain)
    assert back.result.metrics == record.result.metrics
    assert back.result.summary == record.result.summary
    assert back.seconds == 2.5


def test_tables_can_read_a_record_without_its_arrays():
    assert decode(encode(make_record()), arrays=False).result.arrays == {}


def test_a_failed_attempt_has_no_result():
    failed = make_record(outcome="failed", result=None, objective=None, error="ValueError: no")
    assert decode(encode(failed)) == failed


def test_only_a_resumed_attempt_has_a_member_that_earlier_versions_do_not_read():
    def members(record):
        return json.loads(
            unpack_arrays(io.BytesIO(unseal(encode(record))))["record.json"].tobytes()
        )

    record = dataclasses.replace(make_record(), resumed_from=3)
    assert decode(encode(record)).resumed_from == members(record)["resumed_from"] == 3
    alone = members(make_record())
    assert "resumed_from" not in alone
    assert set(alone["spec"]) == {"sweep", "trial", "attempt", "seed", "config"}


def test_every_truncation_is_noticed():
    data = encode(make_record())
    for length in range(len(data)):
        with pytest.raises(FormatError):
            decode(data[:length])


@pytest.mark.parametrize("offset", range(0, 3000, 97))
def test_every_altered_byte_is_noticed(offset):
    data = bytearray(encode(make_record()))
    data[offset % len(data)] ^= 0x20
    with pytest.raises(FormatError):
        decode(bytes(data))


def test_another_format_version_is_refused_by_name():
    with pytest.raises(FormatError, match=r"record format 3, but this version reads up to 2"):
        unseal(seal(b"x").replace(b"record 2", b"record 3", 1))


def test_pickled_arrays_are_never_unpickled():
    hostile = make_record(
        result=dataclasses.replace(
            make_record().result, arrays={"confusion": np.array([print], dtype=object)}
        )
    )
    with pytest.raises(ValueError, match="allow_pickle"):
        encode(hostile)


MANY = {f"x{number}": 1.0 for number in range(20_000)}


def _odd(odd: str) -> Record:
    record = make_record()
    assert record.result is not None
    match odd:
        case "nested":
            texts = dict.fromkeys(record.distributions, "[" * 100_000)
            return dataclasses.replace(record, distributions=texts)
        case "tiny step":
            small = record.distributions["x"].replace("true", "false").replace("null", "1e-300")
            return dataclasses.replace(record, distributions={"x": small})
        case "no number":
            return dataclasses.replace(record, objective=float("nan"))
        case "error":
            return dataclasses.replace(record, error="x" * (5 << 20))
        case "parameters":
            return dataclasses.replace(record, spec=dataclasses.replace(record.spec, config=MANY))
    return dataclasses.replace(record, result=dataclasses.replace(record.result, metrics=MANY))


@pytest.mark.parametrize(
    "odd", ["nested", "tiny step", "no number", "error", "parameters", "metrics"]
)
def test_a_record_that_no_training_leaves_is_refused(odd):
    with pytest.raises(FormatError, match="no record"):
        decode(encode(_odd(odd)))
