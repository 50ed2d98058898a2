"""Codes written and read again, in every format; what is no file of codes is one sentence."""

import numpy as np
import pytest

from jaxvae.commands.codes_file import Table, read_codes, write_codes
from jaxvae.errors import UserError

RNG = np.random.default_rng(0)
NAMES = ["a.png", 'b, "c".png', "d/e.png"]
TABLES = {
    "vectors": Table(NAMES, (RNG.standard_normal((3, 4), np.float32),), (np.ones((3, 4), np.float32),)),
    "groups": Table(NAMES, (RNG.standard_normal((3, 2), np.float32), RNG.standard_normal((3, 5), np.float32))),
    "grid": Table(NAMES, (RNG.integers(0, 9, (3, 2, 4)),), discrete=True),
    "grids": Table(NAMES, (RNG.integers(0, 9, (3, 1, 2)), RNG.integers(0, 9, (3, 2, 2, 3))), discrete=True),
}


def shapes(table):
    return [part.shape[1:] for part in table.parts]


@pytest.mark.parametrize("ending", [".csv", ".npz", ".npy"])
@pytest.mark.parametrize("kind", TABLES)
def test_codes_come_back_bit_for_bit(kind, ending, tmp_path):
    table, path = TABLES[kind], tmp_path / f"codes{ending}"
    if ending == ".npy" and len(table.parts) > 1:
        with pytest.raises(UserError, match="There are 2 arrays of codes, a .npy file is of one"):
            write_codes(path, table)
        return
    said = write_codes(path, table)
    assert ("without their paths" in said) == (ending == ".npy")
    found = read_codes(path, shapes(table))
    assert list(found.names) == (["0", "1", "2"] if ending == ".npy" else NAMES)
    assert len(found.parts) == len(table.parts)
    assert found.discrete == (table.discrete and ending != ".npy")  # which a file of one array does not say
    for a, b in zip(found.parts, table.parts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_csv_has_a_line_an_image_and_names_its_columns(tmp_path):
    write_codes(tmp_path / "a.csv", TABLES["vectors"])
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines[0] == "path,z0,z1,z2,z3,sd0,sd1,sd2,sd3"
    assert lines[1].startswith("a.png,")
    assert len(lines) == 4
    write_codes(tmp_path / "b.csv", TABLES["grids"])
    assert (tmp_path / "b.csv").read_text().startswith("path,c0_0,c0_1,c1_0,c1_1,")


def test_npz_has_arrays_by_name(tmp_path):
    write_codes(tmp_path / "a.npz", TABLES["vectors"])
    assert set(np.load(tmp_path / "a.npz")) == {"paths", "means", "stds"}
    write_codes(tmp_path / "b.npz", TABLES["grids"])
    assert set(np.load(tmp_path / "b.npz")) == {"paths", "codes_0", "codes_1"}


def test_a_table_made_by_hand_needs_no_paths(tmp_path):
    (tmp_path / "a.csv").write_text("z0,z1\n1,2\n3,4.5\n")
    found = read_codes(tmp_path / "a.csv", [(2,)])
    np.testing.assert_array_equal(found.parts[0], [[1, 2], [3, 4.5]])
    assert found.names == ["0", "1"]
    (tmp_path / "b.csv").write_text("z0,z1\n1,2\n")  # the group that is decoded, of two
    assert len(read_codes(tmp_path / "b.csv", [(2,), (3,)]).parts) == 1


BAD = {
    "missing.csv": (None, "cannot be read"),
    "empty.csv": (b"", "has no codes of images"),
    "header.csv": (b"path,z0\n", "has no codes of images"),
    "words.csv": (b"path,z0,z1\na,1,two\n", "has a line 2 without a number in each column"),
    "short.csv": (b"path,z0,z1\na,1,2\nb,1\n", "has a line 3 without a number"),
    "many.csv": (b"z0,z1,z2\n1,2,3\n", "has 3 numbers for an image, the model's codes have 2"),
    "bytes.csv": (b"\xff\xfe\x00z0", "is damaged or something else"),
    "a.npy": (b"no array", "is damaged or something else"),
    "a.npz": (b"no archive", "is not a whole .npz file"),
    "a.txt": (b"z0\n1\n", "expected a file that encode wrote"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_file_of_codes_is_one_sentence(name, tmp_path):
    contents, message = BAD[name]
    if contents is not None:
        (tmp_path / name).write_bytes(contents)
    with pytest.raises(UserError, match=message) as error:
        read_codes(tmp_path / name, [(2,)])
    assert "\n" not in str(error.value)


def test_arrays_that_do_not_belong_together_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", paths=["a"], means=np.zeros((2, 3)))
    with pytest.raises(UserError, match="has 2 codes and 1 paths"):
        read_codes(tmp_path / "a.npz", [(3,)])
    np.savez(tmp_path / "b.npz", x=np.zeros((2, 3)))
    with pytest.raises(UserError, match="has no codes of images"):
        read_codes(tmp_path / "b.npz", [(3,)])
    np.save(tmp_path / "c.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(UserError, match="is damaged or something else"):
        read_codes(tmp_path / "c.npy", [(3,)])
