"""Ways to carry out the steps of runs; each gives the same results as ``lightning``, the reference."""

from trainer.backends.fit import backend, fit

__all__ = ["backend", "fit"]
