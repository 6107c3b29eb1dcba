"""Looking at episodes: the page of a run, and one episode on the terminal."""
