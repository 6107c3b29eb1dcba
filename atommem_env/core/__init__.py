"""The decision process, without Gymnasium: operations, rules, the memory store, the episode."""
