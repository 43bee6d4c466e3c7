"""Text: sources, tokenizers and prepared token files."""

from trainer.text.prepare import prepare_text
from trainer.text.prepared import PreparedText, open_text
from trainer.text.sources import source_fingerprint

__all__ = ["PreparedText", "open_text", "prepare_text", "source_fingerprint"]
