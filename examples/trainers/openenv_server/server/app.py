"""What ``openenv.yaml`` names: the application, configured by environment variables such as ``ATOMMEM_ENV``."""

from atommem_env.integrations.openenv import app_from_environment

app = app_from_environment()


def main() -> None:
    """Serve it."""
    import uvicorn

    uvicorn.run(app, host="0.0.0.0", port=8000)


if __name__ == "__main__":
    main()
