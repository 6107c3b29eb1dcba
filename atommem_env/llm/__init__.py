"""An OpenAI-compatible endpoint as a language model: settings, calls, retries, replies kept on disk."""

from __future__ import annotations

from atommem_env.llm.cache import Reply
from atommem_env.llm.chat import Chat, ChatError
from atommem_env.llm.settings import ChatSettings

__all__ = ["Chat", "ChatError", "ChatSettings", "Reply"]
