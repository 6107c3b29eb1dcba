"""What does a baseline's language work: the engines, and the protocol they share."""
