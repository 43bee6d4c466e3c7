import json
import subprocess
import sys

import pandas as pd
import pytest

from analysis import fit_multilinguality
from analysis.decisions.multilinguality_simulation import TRUTH, Design, languages_of, simulate
from analysis.laws.multilinguality import MultilingualityFit
from curselab.errors import InputError

DESIGN = Design(languages=5, params=(75e3, 450e3), tokens=(20e3, 200e3, 630e3, 2e6), ratios=(1.0, 10.0), noise=0.004)
OPTIONS = {"form": "chinchilla", "bootstrap": 300}
COLUMNS = {"params": "params", "added": "added", "loss": "loss", "mixture": "mixture"}


@pytest.fixture(scope="module")
def runs():
    import numpy as np

    rng = np.random.default_rng(0)
    table = simulate(languages_of(TRUTH, DESIGN, rng), DESIGN, rng, matched=True).runs
    return table.assign(loss=np.exp(table["log_loss"]))


@pytest.fixture(scope="module")
def fit(runs):
    return fit_multilinguality(runs, **COLUMNS, **OPTIONS)


def test_every_cell_ends_in_one_of_four_verdicts_with_its_detectable_gain(fit):
    frame = fit.frame()
    assert set(frame["verdict"]) <= {"help", "hurt", "equivalent", "unresolved"}
    assert len(fit.verdicts) == 16  # 2 sizes, 4 sizes of data, 2 ratios
    assert len(fit.by_language) == 5 * 16
    assert (frame["detectable"] > 0).all()
    assert frame["censored"].between(0, 1).all()
    assert fit.mixtures == ("added",)
    assert frame["matched"].notna().all()


def test_it_finds_the_pattern_of_the_truth(fit):
    mean = {(v.params, v.tokens, v.added): v for v in fit.verdicts}
    assert mean[450e3, 200e3, 200e3].verdict == "help"
    assert mean[75e3, 2e6, 20e6].verdict == "hurt"
    for v in fit.verdicts:
        truth = TRUTH.gain_log2(v.params, v.tokens, v.added)
        assert v.verdict not in ("help", "hurt") or (truth > 0) == (v.verdict == "help")
    small = next(c for c in fit.crossovers if (c.params, c.ratio) == (75e3, 10.0))
    assert small.lower < TRUTH.crossover(75e3, 10.0) < small.upper


def test_it_goes_to_json_and_back(fit):
    text = json.dumps(fit.to_dict(), allow_nan=False)
    assert MultilingualityFit.from_dict(json.loads(text)) == fit
    assert "matched baseline" in fit.summary()
    assert len(fit.crossover_frame()) == 4
    assert fit.comparison_frame()["form"].nunique() == 4


def test_the_order_of_the_rows_does_not_matter(runs, fit):
    again = fit_multilinguality(runs.iloc[::-1], **COLUMNS, **OPTIONS)
    assert [v.verdict for v in again.verdicts] == [v.verdict for v in fit.verdicts]
    assert [v.lower for v in again.verdicts] == pytest.approx([v.lower for v in fit.verdicts], rel=1e-6)


def test_without_the_control_it_says_so(runs):
    plain = runs[(runs["mixture"] != "matched") & (runs["params"] == 75e3)]
    found = fit_multilinguality(plain[plain["language"] < "02"], **COLUMNS, bootstrap=100)
    assert [note.code for note in found.warnings] == ["no_matched_baseline", "few_languages"]
    assert found.verdicts[0].matched is None


def test_a_table_of_any_trainer_fits_in_five_lines_without_torch(root, tmp_path, runs):
    few = runs[runs["language"].isin(["00", "01"]) & (runs["mixture"] != "matched") & (runs["params"] == 75e3)]
    few.rename(columns={"params": "N", "tokens": "D"})[["language", "N", "D", "added", "loss"]].to_csv(tmp_path / "runs.csv")
    code = (
        "import sys, pandas as pd\n"
        "from analysis import fit_multilinguality\n"
        f"table = pd.read_csv({str(tmp_path / 'runs.csv')!r})\n"
        "fit = fit_multilinguality(table, params='N', tokens='D', added='added', loss='loss', bootstrap=100)\n"
        "print(fit.summary())\n"
        "sys.exit('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 languages" in done.stdout


def test_bad_input_is_one_line(runs, fit):
    with pytest.raises(InputError, match="column 'loss_nats_per_token' is missing"):
        fit_multilinguality(runs, params="params", added="added")
    with pytest.raises(InputError, match="2 are needed"):
        fit_multilinguality(runs[runs["tokens"] == 2e6], **COLUMNS)
    with pytest.raises(InputError, match="params: 1.0 was given"):
        fit.curve_of(1.0)
    with pytest.raises(InputError, match="with a law: added"):
        fit.law_of("other")
    with pytest.raises(InputError, match="a pandas DataFrame is needed"):
        fit_multilinguality(pd.Series([1.0]), **COLUMNS)
