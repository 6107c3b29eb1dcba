"""Makes names in docstrings plain in the site: the last part of a reference in code, without its role."""

import re

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):<code>~?(?:[\w.]*\.)?([\w]+)</code>")


def on_page_content(html: str, **_: object) -> str:
    """Replace references such as ``:class:`~package.Name``` by the name."""
    return _ROLE.sub(r"<code>\1</code>", html)
