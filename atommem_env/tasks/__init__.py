"""Tasks: the questions and documents of an episode, and who puts them together (composers)."""
