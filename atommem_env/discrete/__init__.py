"""Memory operations as a choice among a fixed number of actions: what classic RL needs, and the policy it trains.

- :mod:`~atommem_env.discrete.notes`: what is noted of a text: numbers, never the text.
- :mod:`~atommem_env.discrete.features`: how well each text serves each question, as arrays.
- :mod:`~atommem_env.discrete.decisions`: one episode as a sequence of choices, and the operations they mean.
- :mod:`~atommem_env.discrete.network`: a small network over these features, in NumPy.

The wrapper :class:`~atommem_env.discrete.wrapper.DiscreteOperations` makes a Gymnasium environment of
it, the baseline ``learned`` a policy for the environment as it is.
"""
