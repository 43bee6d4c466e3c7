import pytest

from analysis.laws.registry import LAWS, PROBLEMS, find
from curselab.contract import table
from curselab.errors import InputError


@pytest.mark.parametrize("name", LAWS)
def test_every_law_loads_and_has_its_rooms(root, name):
    law = find(name)
    assert callable(law.load_fit())
    assert hasattr(law.load_result(), "from_dict")
    for room in (f"analysis/laws/{name}.py", f"figures/{name}.py", f"tests/analysis/laws/test_{name}.py"):
        assert (root / room).is_file(), room


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_controlled_truth_is_a_law_on_columns_and_units_of_the_contract(name):
    problem, columns = find(name), {column.name: column for column in table(name).columns}
    assert problem.load_fit() is find(problem.room).load_fit()
    unit_of = {role: columns[problem.options[role]].unit for role in ("student", "teacher", "loss", "teacher_loss")}
    assert unit_of["student"] == unit_of["teacher"] == problem.options["size_unit"]
    assert unit_of["loss"] == unit_of["teacher_loss"] == problem.options["loss_unit"]
    assert set(problem.options) == {*unit_of, "size_unit", "loss_unit"}


def test_an_unknown_law_names_the_known_ones():
    with pytest.raises(InputError, match="allowed: scaling, capacity_gap"):
        find("gravity")
