"""Every operation of docs/openapi.yaml answers as documented, to every kind of key.

`make fuzz-api` does the same for as long as one likes.
"""

from tests.door.api_cases import ApiCases
from tests.door.installation import Door

# One seed: what fails here failed because of a change.
SEED = 1
EXAMPLES = 4  # of each operation


def test_every_operation_answers_as_documented(door: Door):
    cases = ApiCases(door)

    cases.round(SEED, EXAMPLES)

    assert cases.failures == {}
    assert {200, 400, 401, 404} <= cases.statuses.keys()
