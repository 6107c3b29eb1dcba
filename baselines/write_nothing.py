"""Write nothing: the control with an empty memory.

Reading: an empty action at every chunk. Answering: ``Read(question)``, then the engine's answer from the
entries shown, of which there are none. It differs from closed book in its steps alone: a difference in score
between the two would be a leak.
"""

from __future__ import annotations

from atommem_env.baselines.common import LookThenAnswer


class WriteNothing(LookThenAnswer):
    """Searches a memory that it never wrote.

    Args:
        engine: what does the language work: a name or an engine.
    """

    name = "write-nothing"
