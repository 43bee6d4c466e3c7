"""What a fit is for: how to spend compute, which law to trust, what an answer hangs on, which run to train next."""
