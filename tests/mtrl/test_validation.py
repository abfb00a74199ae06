import math

import numpy as np
import pytest

from mtrl.errors import UsageError
from mtrl.validation import require_choice, require_flag, require_integer, require_number


@pytest.mark.parametrize("value", [0.1, 1, 2.0, 10, np.float32(0.5), np.int64(3), np.float16(2), np.uint8(1)])
def test_numbers_of_the_range_are_taken(value):
    found = require_number("rate", value, above=0, high=10)
    assert found == value
    assert type(found) is (int if isinstance(value, int | np.integer) else float)


NO_NUMBERS = [0, -1, 10.1, math.nan, math.inf, -math.inf, 10**400, True, "1", None, [1]]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=range(len(NO_NUMBERS)))
def test_other_values_are_named_with_the_rule(value):
    rule = "rate must be a number, finite and greater than 0 and at most 10.*; found .*; 1 is usual"
    with pytest.raises(UsageError, match=rule):
        require_number("rate", value, above=0, high=10, remedy="1 is usual")


@pytest.mark.parametrize("value", [2, np.int64(2), np.uint8(2)])
def test_integers_are_taken(value):
    assert type(require_integer("count", value, 1, 5)) is int


@pytest.mark.parametrize(
    "value", [0, 6, 2.0, True, "2", None, 10**5000, np.float64(2), np.True_], ids=range(9)
)
def test_integers_are_integers(value):
    with pytest.raises(UsageError, match=r"count must be an integer from 1 to 5, found .{1,110}$"):
        require_integer("count", value, 1, 5)


@pytest.mark.parametrize("value", ["c", "", None, ["a"], {"a": 1}, 1])
def test_choices_are_listed(value):
    with pytest.raises(UsageError, match="kind must be one of a, b; found"):
        require_choice("kind", value, ("a", "b"))


@pytest.mark.parametrize("value", [0, 1, "true", None])
def test_flags_are_true_or_false(value):
    with pytest.raises(UsageError, match="fast must be true or false, found"):
        require_flag("fast", value)


@pytest.mark.parametrize("value", [1e300, -1e300, 2**63, -(2**64)])
def test_what_no_tensor_takes_is_refused(value):
    require_number("limit", 2**62)
    with pytest.raises(UsageError, match="limit must be a number, finite and no larger than a tensor takes"):
        require_number("limit", value)
