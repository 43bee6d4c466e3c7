import pytest

from analysis.laws.registry import LAWS, find
from curselab.errors import InputError


@pytest.mark.parametrize("name", LAWS)
def test_every_law_loads_and_has_its_rooms(root, name):
    law = find(name)
    assert callable(law.load_fit())
    assert hasattr(law.load_result(), "from_dict")
    for room in (f"analysis/laws/{name}.py", f"figures/{name}.py", f"tests/analysis/laws/test_{name}.py"):
        assert (root / room).is_file(), room


def test_an_unknown_law_names_the_known_ones():
    with pytest.raises(InputError, match="allowed: scaling, capacity_gap"):
        find("gravity")
