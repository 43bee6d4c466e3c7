import pytest

from curselab.errors import InputError
from sweeps.grid import expand
from sweeps.mixtures import mixed
from sweeps.registry import read_yaml
from trainer.spec import PlannedRun

TARGET = {"domain": "deu", "similar": ["nld", "dan"], "dissimilar": ["jpn", "vie"]}
STAGES = {
    "monolingual": {"adds": "own"},
    "matched": {"adds": "own"},
    "similar": {"adds": "similar"},
    "null_language": {"adds": "similar", "shuffled": True},
}


def grid(monkeypatch: pytest.MonkeyPatch, axes: dict) -> list[PlannedRun]:
    content = {"base": {"training": {"batch_sequences": 4}}, "stages": STAGES}
    monkeypatch.setattr("sweeps.grid.read_yaml", lambda path: read_yaml(path) if path.name == "sizes.yaml" else content)
    return list(expand("scaling", axes, overrides={}, where="test"))


def test_a_run_has_the_targets_passes_and_as_much_of_each_other_language() -> None:
    amount = {"tokens": 8192, "epochs": 20, "ratio": 10}
    fields = mixed({"adds": "similar"}, TARGET, amount, tokens_a_step=512, where="test")
    tokens, (target, *others) = fields["training"]["tokens"], fields["training"]["mixture"]
    assert tokens == 8192 * 20 + 8192 * 10
    assert (target["domain"], target["tokens"]) == ("deu", 8192)
    assert target["share"] * tokens == pytest.approx(8192 * 20)
    assert [other["domain"] for other in others] == ["nld", "dan"]
    assert [other["share"] * tokens for other in others] == [pytest.approx(8192 * 5)] * 2
    assert fields["evaluation"] == {"domains": ["deu"]}


def test_the_matched_run_is_the_monolingual_one_trained_for_as_many_steps_as_the_mixture(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    axes = {"size": ["6k"], "target": [TARGET], "seed": [0]}
    mixture = {**axes, "data": [{"tokens": 8000, "epochs": 20, "ratio": 9.5}]}
    alone = {**axes, "data": [{"tokens": 8000, "epochs": 20}]}
    stages = {"monolingual": alone, "matched": mixture, "similar": mixture, "null_language": mixture}
    runs = grid(monkeypatch, stages)
    monolingual, matched, similar, null = (run.spec for run in runs)
    assert [run.stage for run in runs] == list(stages)
    assert monolingual.training.mixture == matched.training.mixture
    assert [part.share for part in matched.training.mixture] == [1.0]
    assert matched.steps == similar.steps == null.steps
    assert similar.training.tokens % similar.tokens_per_step == 0
    assert similar.training.tokens - 8000 * 29.5 < similar.tokens_per_step
    assert [part.domain for part in null.training.mixture] == ["deu", "nld.shuffled", "dan.shuffled"]
    assert {run.spec.evaluation.domains for run in runs} == {("deu",)}


def test_a_mixture_of_nothing_is_the_monolingual_run_and_refused_as_its_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = {"size": ["6k"], "target": [TARGET], "data": [{"tokens": 8192, "epochs": 20}], "seed": [0]}
    with pytest.raises(InputError, match=r"is there twice \(in monolingual and similar\)"):
        grid(monkeypatch, {"monolingual": axes, "similar": axes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "deu"}, r"test\.target: 'deu' was given, a mapping with a domain and its sets is needed"),
        ({"target": {"similar": ["nld"]}}, "a mapping with a domain and its sets is needed"),
        ({"target": {"domain": "deu", "near": ["nld"]}}, r"deu needs a set 'similar' of other domains \(its sets: near\)"),
        ({"target": {"domain": "deu", "similar": []}}, r"needs a set 'similar' of other domains \(its sets: similar\)"),
        ({"data": None}, r"test\.data: nothing, None was given, a mapping is needed"),
        ({"data": {"tokens": 8192, "epochs": 0}}, r"test\.data\.epochs: 0 was given, 1 or more is needed"),
        ({"data": {"tokens": 8192, "epochs": 1, "ratio": -1.0}}, r"test\.data\.ratio: -1\.0 was given, a finite number, 0"),
        ({"data": {"tokens": 8192, "epoch": 1}}, r"test\.data\.epoch: unknown key; did you mean 'epochs'"),
    ],
)
def test_a_bad_axis_is_one_line(changes: dict, message: str) -> None:
    axes = {"target": TARGET, "data": {"tokens": 8192, "epochs": 20, "ratio": 10}, **changes}
    with pytest.raises(InputError, match=message) as caught:
        mixed({"adds": "similar"}, **axes, tokens_a_step=512, where="test")
    assert "\n" not in str(caught.value)


def test_stages_of_other_sweeps_do_not_have_these_axes() -> None:
    axes = {"size": ["6k"], "training.tokens": [50_000], "target": [TARGET]}
    with pytest.raises(InputError, match="target: unknown key"):
        expand("scaling", {"run": axes}, overrides={}, where="test")
