"""Ways to carry out the steps of runs; each gives the same results as ``lightning``, the reference."""
