"""Adapters: one module per trainer, each of them thin, over :mod:`atommem_env.integrations.text_episode`.

An adapter imports its library when it is used, and names the extra that brings it when it is missing. Nothing
here is imported by ``import atommem_env``.
"""
