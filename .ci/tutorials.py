"""Runs the tutorials and keeps what they show, without times and versions: python .ci/tutorials.py [FILE ...]."""

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "tutorials"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def joined(outputs: list) -> list:
    """Return a cell's outputs with what was printed in one piece."""
    kept: list = []
    for output in outputs:
        if kept and output.output_type == "stream" and kept[-1].get("name") == output.name:
            kept[-1].text += output.text
        else:
            kept.append(output)
    return kept


def main() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    for path in [Path(name) for name in sys.argv[1:]] or sorted(FOLDER.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
        notebook.metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
        for cell in notebook.cells:
            cell.metadata = {}
            if cell.cell_type == "code":
                cell.outputs = joined(cell.outputs)
        nbformat.write(notebook, path)
        print(path.name)


if __name__ == "__main__":
    main()
