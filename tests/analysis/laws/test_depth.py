import json

import numpy as np
import pytest

from analysis import effective_depth, fit_depth, fit_growth
from analysis.fit import fit_file, read_fit
from analysis.laws.depth import DepthFit
from curselab.contract import check_frame
from curselab.errors import InputError
from figures.draw import draw_file
from tests.analysis.depth_factories import CURED, CURSED, PLAIN, Truth, depth_tables


@pytest.fixture(scope="module")
def tables():
    broken = Truth(PLAIN.loss, PLAIN.variance, diverges=((12, 0.3), (12, 1.0), (12, 3.0)))
    return depth_tables({"pre": CURSED, "lns": CURED, "post": broken}, depths=(6, 12))


@pytest.fixture(scope="module")
def fit(tables):
    return fit_depth(*tables)


def test_arms_have_what_was_put_in(fit):
    arm = fit.arm("pre", 12)
    assert arm.loss.value == pytest.approx(2 + 2 / 144, abs=0.03)
    assert arm.v_last.value == pytest.approx(7**2, rel=0.05)
    assert arm.growth.growth == "superlinear"
    assert arm.branch_tilt.value == pytest.approx(CURSED.tilt, abs=0.02)
    assert arm.jacobian_tilt.value == pytest.approx(CURSED.tilt, abs=0.05)
    assert arm.effective.median_ratio.value == pytest.approx(np.exp(-0.25 * 5), rel=0.1)  # medians at blocks 4 and 9
    assert arm.effective.droppable.value == 3  # 0.03 nats a block, below 0.1
    assert arm.over_steps.x == (10, 30, 100)
    assert len(arm.growth.x) == 11
    lns = next(s for s in fit.schemes if s.scheme == "lns")
    assert lns.depths == (6, 12)
    assert lns.gain.lower < -0.06 < lns.gain.upper
    assert lns.gains[0].lower < 0.06 * np.log(2) < lns.gains[0].upper


def test_diverged_runs_are_counted_and_named(fit):
    assert (fit.counts.n_runs, fit.counts.n_diverged, fit.counts.n_seeds) == (45, 9, 3)
    assert fit.arm("post", 12).loss.value is None
    assert any("post at depth 12" in note.message for note in fit.warnings)
    post = next(v for v in fit.lifts if v.scheme == "post")
    assert post.call == "not lifted"
    assert any("diverged" in part.claim for criterion in post.criteria for part in criterion.parts)
    assert "not lifted" in fit.summary()


def test_a_fit_survives_json(fit):
    again = DepthFit.from_dict(json.loads(json.dumps(fit.to_dict(), allow_nan=False)))
    assert again == fit
    assert again.summary() == fit.summary()


def test_the_frame_has_a_row_an_arm_and_the_verdicts_a_row_a_claim(fit):
    frame = fit.frame()
    assert len(frame) == 6
    row = frame[(frame["scheme"] == "lns") & (frame["depth"] == 12)].iloc[0]
    assert row["median_ratio_lower"] < 1 < row["median_ratio_upper"]
    claims = fit.verdicts()
    assert set(claims["scheme"]) == {"pre", "lns", "post"}
    assert set(claims["answer"]) <= {"yes", "no", "not resolved"}


def test_rows_may_come_in_any_order(tables, fit):
    runs, layers = tables
    shuffled = fit_depth(runs.sort_values(["scheme", "seed"], kind="stable").iloc[::-1], layers.iloc[::-1])
    for arm in fit.arms:
        assert shuffled.arm(arm.scheme, arm.depth) == arm


def test_five_lines_on_a_table_of_one_s_own(tables):
    runs, layers = tables
    mine = runs.rename(columns={"scheme": "norm", "loss_nats_per_token": "L"})[
        ["run_id", "norm", "depth", "learning_rate", "seed", "L", "status"]
    ]
    assert fit_depth(mine, layers, scheme="norm", loss="L").curse.scheme == "pre"
    assert effective_depth([1.0, 0.4, 0.2, 0.1, 0.05, 1.0]).deep_share.value == pytest.approx(0.2)
    assert fit_growth(range(1, 13), np.arange(1, 13) ** 2.0).exponent.value == pytest.approx(2)


def test_runs_without_layers_still_have_their_losses(tables):
    runs, layers = tables
    fit = fit_depth(runs, layers[layers["metric"] == "nothing"])
    assert fit.arm("pre", 6).growth is None
    assert fit.arm("pre", 6).effective is None
    assert fit.curse.call == "not resolved"
    assert fit.arm("pre", 6).loss.value is not None


def test_bad_questions_are_one_line(tables, fit):
    runs, layers = tables
    with pytest.raises(InputError, match="baseline: 'peri' was given"):
        fit_depth(runs, layers, baseline="peri")
    with pytest.raises(InputError, match="arm: pre at depth 7 was asked for"):
        fit.arm("pre", 7)
    with pytest.raises(InputError, match="no run of the baseline"):
        fit_depth(runs[(runs["depth"] == 12) & (runs["scheme"] == "post")], layers, baseline="post")
    with pytest.raises(InputError, match="residual_variance of pre at depth 6 needs a value above zero"):
        fit_depth(runs, layers.assign(value=0.0))


def test_a_fit_file_and_a_figure_read_the_layers_beside_the_runs(tables, tmp_path):
    for name, frame in zip(("runs", "layers"), tables, strict=True):
        check_frame(name, frame, where="x").to_csv(tmp_path / f"{name}.csv", index=False)
    result = fit_file("depth", tmp_path / "runs.csv", tmp_path / "fit.json")
    assert read_fit(tmp_path / "fit.json") == result
    assert set(json.loads((tmp_path / "fit.json").read_text())["inputs"]) == {"runs_sha256", "layers_sha256"}
    pdf, *_ = draw_file("depth", tmp_path / "fit.json", tmp_path / "runs.csv", tmp_path / "depth")
    assert pdf.read_bytes().startswith(b"%PDF")
    check_frame("layers", tables[1], where="x").to_parquet(tmp_path / "layers.parquet")
    (tmp_path / "layers.csv").unlink()
    assert fit_file("depth", tmp_path / "runs.csv", tmp_path / "fit.json") == result
    (tmp_path / "layers.parquet").unlink()
    with pytest.raises(InputError, match=r"layers.csv: no such file"):
        fit_file("depth", tmp_path / "runs.csv", tmp_path / "fit.json")
