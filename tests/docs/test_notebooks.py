"""Tutorials as notebooks: the same text, the same code."""

import json

from tests.docs.test_site import script


def test_notebooks_are_those_of_their_pages(request):
    root = request.config.rootpath
    written = script(root, "notebooks").written
    pages = sorted((root / "docs" / "tutorials").glob("*.md"))
    assert len(pages) > 2
    for page in pages:
        found = page.with_suffix(".ipynb").read_text()
        assert found == written(page.read_text()), "python docs/notebooks.py writes them"


def test_code_and_text_are_cells_of_their_own(request):
    notebook = script(request.config.rootpath, "notebooks").notebook
    page = "# Page\n\nText.\n\n```python\na = 1\n\nb = 2\n```\n\n```sh\nls\n```\n"
    cells = json.loads(json.dumps(notebook(page)))["cells"]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in cells] == [
        ("markdown", "# Page\n\nText."),
        ("code", "a = 1\n\nb = 2"),
        ("markdown", "```sh\nls\n```"),
    ]
