import re


def test_python_block_runs_as_it_stands(request):
    text = (request.config.rootpath / "README.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)
    names = {}
    exec(block, names)
    assert names["value"].shape == ()
    assert float(names["value"]) > 0
