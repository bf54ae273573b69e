"""Running a whole installation on one machine: preparation, processes and their supervision, diagnosis."""
