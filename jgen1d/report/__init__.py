"""What a reader gets from runs and sweeps: statistics, tables, files, sentences and pictures."""
