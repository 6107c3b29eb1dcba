"""The engine without a model: deterministic rules, a stand-in for a language model."""
