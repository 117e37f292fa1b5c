"""What a DAW reports means one thing in each shipped profile, and is held against its patterns once."""

from __future__ import annotations

import re

import pytest

from daw_bridge.osc import Message, OscValue
from daw_bridge_osc.messages import FeedbackPattern
from daw_bridge_osc.profile_file import load_profile, shipped_profiles
from daw_bridge_osc.reports import TRACK_NAMES, Report, ReportReader


def _message(pattern: FeedbackPattern) -> Message:
    """A message that the pattern describes: track 3, send 2, value 0.25."""
    values: dict[str, OscValue] = {"{track}": 3, "{send}": 2, "{value}": 0.25}
    address = re.sub(r"\{\w+\}", lambda found: str(values[found[0]]), pattern.address)
    return Message(address, tuple(values.get(each, each) for each in pattern.arguments))


@pytest.mark.parametrize("name", shipped_profiles())
def test_each_report_of_a_shipped_profile_means_its_operation_and_no_other(name: str) -> None:
    profile = load_profile(name)
    reader = ReportReader(profile)
    for operation, row in profile.operations.items():
        if row.confirm is None:
            continue
        for pattern, is_answer in ((row.confirm.report, False), (row.confirm.answer, True)):
            if pattern is None:
                continue
            meant = [each for each in reader.read(_message(pattern), 1) if each.about != TRACK_NAMES]
            track = 3 if "{track}" in f"{pattern.address} {pattern.arguments}" else None
            send = 2 if "{send}" in f"{pattern.address} {pattern.arguments}" else None
            wanted = Report(about=operation, bank=1, track=track, send=send, value=0.25, is_answer=is_answer)
            assert meant == [wanted], operation


def test_a_message_may_have_two_meanings_and_numbers_in_addresses_are_told_apart() -> None:
    reader = ReportReader(load_profile("custom"))
    assert reader.read(Message("/track/12/volume", (-3.0,)), 0)[0].track == 12
    assert reader.read(Message("/track/12/volume/db", (-3.0,)), 0) == ()
    assert reader.read(Message("/track/x/volume", (-3.0,)), 0) == ()
    both = ReportReader(load_profile("reaper")).read(Message("/track/1/name", ("Bass",)), 0)
    assert [report.about for report in both] == [TRACK_NAMES, "track.name"]
