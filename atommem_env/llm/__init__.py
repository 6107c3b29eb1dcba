"""A language model, behind an OpenAI-compatible endpoint or in this process: settings, calls, replies kept on disk."""

from __future__ import annotations

from typing import TypeAlias

from atommem_env.llm.cache import Reply
from atommem_env.llm.chat import Chat, ChatError
from atommem_env.llm.local import LocalChat, LocalSettings
from atommem_env.llm.settings import ChatSettings

ModelSettings: TypeAlias = "ChatSettings | LocalSettings"
"""Which model is asked, and how: behind an endpoint, or in this process."""


def open_chat(settings: ModelSettings) -> Chat | LocalChat:
    """Return what asks the model of ``settings``."""
    return LocalChat(settings) if isinstance(settings, LocalSettings) else Chat(settings)


__all__ = [
    "Chat",
    "ChatError",
    "ChatSettings",
    "LocalChat",
    "LocalSettings",
    "ModelSettings",
    "Reply",
    "open_chat",
]
