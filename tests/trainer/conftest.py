import lightning  # noqa: F401  (its import draws from Python's global generator, which no test may do)
import pytest
import torch

from trainer.model_spec import ModelSpec
from trainer.spec import OptimizerSpec, RunSpec, TrainingSpec
from trainer.text import PreparedText, prepare_text
from trainer.text_spec import LanguagesText, TextSpec

LANGUAGE = TextSpec(source=LanguagesText(families=1, languages_per_family=1, bytes_per_language=200_000))


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> PreparedText:
    """One small artificial language, as bytes."""
    return prepare_text(LANGUAGE, tmp_path_factory.mktemp("text") / LANGUAGE.text_id)


@pytest.fixture
def spec():
    """Build a spec of a small, fast run; keywords replace top-level fields."""

    def build(**changes: object) -> RunSpec:
        fields: dict[str, object] = {
            "model": ModelSpec(width=16, depth=2, heads=2, ffn_width=24, context=32),
            "training": TrainingSpec(tokens=20 * 8 * 32, batch_sequences=8),
            "optimizer": OptimizerSpec(learning_rate=1e-2),
            "text": LANGUAGE,
        }
        return RunSpec(**{**fields, **changes})  # type: ignore[arg-type]

    return build
