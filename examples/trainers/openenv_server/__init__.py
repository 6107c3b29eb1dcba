"""The layout that OpenEnv's commands expect; all of it is in ``atommem_env.integrations.openenv``."""
