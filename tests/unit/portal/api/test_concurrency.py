"""Which revisions a request names."""

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from dispatcher.portal.api.concurrency import names_another
from dispatcher.portal.api.operation import Call, NoBody, NoQuery
from dispatcher.portal.api.problems import Problem
from tests.support.serving import CALLER


def _call(*if_match: str) -> Call[NoQuery, NoBody]:
    request = make_mocked_request("DELETE", "/", CIMultiDict([("If-Match", line) for line in if_match]))
    return Call(CALLER, {}, NoQuery(), NoBody(), b"", request)


@pytest.mark.parametrize(
    ("lines", "another"),
    [
        ([], False),
        (['"7"'], False),
        (['"6"', '"7"'], False),
        (['"7"', '"6", "5"'], False),
        (['"6"', '"5"'], True),
    ],
)
def test_tags_may_be_listed_on_several_lines(lines: list[str], another: bool) -> None:
    assert names_another(_call(*lines), 7) is another


@pytest.mark.parametrize("lines", [['"7"', "7"], ["*", '"7"'], ['"7', '"']])
def test_lines_that_are_no_list_of_tags_are_refused(lines: list[str]) -> None:
    with pytest.raises(Problem) as caught:
        names_another(_call(*lines), 7)
    assert caught.value.status == 412
