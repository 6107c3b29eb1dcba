"""What a program uses that reaches the server."""

from atommem_env.integrations.openenv import AtomMemAction, AtomMemClient, AtomMemObservation

__all__ = ["AtomMemAction", "AtomMemClient", "AtomMemObservation"]
