"""How one run is made: torch and Lightning live in this room and nowhere else."""
