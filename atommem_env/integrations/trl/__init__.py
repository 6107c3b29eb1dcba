"""TRL: episodes as tools, as tagged text, and as rollouts whose context is reset at every step."""
