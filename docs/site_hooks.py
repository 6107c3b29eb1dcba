"""What the site makes of its sources: names in docstrings without their roles, pages of the tutorials' notebooks."""

import base64
import json
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_ROLE = re.compile(r":(?:class|func|meth|mod|data|attr|exc):<code>~?(?:[\w.]*\.)?([\w]+)</code>")
_NOTEBOOK = "This page as a notebook"


def on_page_content(html: str, **_: object) -> str:
    """Replace references such as ``:class:`~package.Name``` by the name, and let pictures open in full."""
    html = _ROLE.sub(r"<code>\1</code>", html)
    return re.sub(r'(<img [^>]*src="([^"]+)"[^>]*>)', r'<a href="\2">\1</a>', html)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Lead links to notebooks to their pages, but for a page's link to its own notebook."""
    return re.sub(rf"(?<!\[{_NOTEBOOK}\])\(([\w./]+)\.ipynb\)", r"(\1.md)", markdown)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put a page, and a file for each picture, in the place of each notebook."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
        path = Path(str(file.abs_src_path))
        text, pictures = page_of(json.loads(path.read_text(encoding="utf-8")), path.stem)
        text += f"\n[{_NOTEBOOK}]({path.name})\n"
        files.append(File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=text))
        files.append(File.generated(config, file.src_uri, content=path.read_bytes()))
        for name, content in pictures.items():
            files.append(File.generated(config, str(Path(file.src_uri).with_name(name)), content=content))
    return files


def page_of(notebook: dict, stem: str) -> tuple[str, dict[str, bytes]]:
    """Return a notebook as Markdown, and its pictures by the names under which the text has them."""
    parts, pictures = [], {}
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                name = f"{stem}_{len(pictures)}.png"
                pictures[name] = base64.b64decode("".join(data["image/png"]))
                parts.append(f"![What the cell shows]({name})")
            elif "text/html" in data:
                html = "".join(data["text/html"])
                lines = [
                    line
                    for line in re.sub(r"<style.*?</style>", "", html, flags=re.S).splitlines()
                    if line.strip()
                ]
                parts.append("\n".join(['<div class="output">', *lines, "</div>"]))
            else:
                text = "".join(output.get("text", data.get("text/plain", "")))
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n", pictures
