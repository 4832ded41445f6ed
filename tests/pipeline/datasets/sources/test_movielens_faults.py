"""Every kind of bad input of MovieLens: files, columns and values that are missing, broken or in another encoding."""

from pathlib import Path

import pytest

from pipeline.datasets.sources.interactions import Tally
from tests.pipeline.datasets.sources.movielens_files import INTERACTIONS, MOVIES, RATINGS, folder, ml_100k, read, refused, u_item, write


def test_missing_ratings(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml")
    (source / "ratings.csv").unlink()
    known = "ratings.csv, ratings_small.csv, rating.csv, ratings.dat, u.data, NAME.inter"
    assert refused(source) == f"{source} holds no file of ratings ({known}): name the folder of a MovieLens release."


@pytest.mark.parametrize(
    ("ratings", "items"),
    [
        ("ratings.csv", "movies.csv or movies_metadata.csv"),
        ("ratings_small.csv", "movies_metadata.csv or movies.csv"),
        ("rating.csv", "movie.csv"),
        ("ratings.dat", "movies.dat"),
        ("u.data", "u.item"),
        ("x.inter", "x.item"),
    ],
)
def test_missing_items(tmp_path: Path, ratings: str, items: str) -> None:
    write(tmp_path / "ml" / ratings, ["1"])
    message = refused(tmp_path / "ml")
    assert (
        message
        == f"{tmp_path / 'ml' / items.split()[0]} is missing: name the folder of a MovieLens release that has {ratings} and {items}."
    )


def test_missing_folder(tmp_path: Path) -> None:
    assert f"{tmp_path / 'none'} is missing: name the folder of a MovieLens release" in refused(tmp_path / "none")


def test_file_that_is_none_of_ratings(tmp_path: Path) -> None:
    write(tmp_path / "ml-25m.zip", ["PK"])
    assert f"{tmp_path / 'ml-25m.zip'} is not a file of ratings (ratings.csv," in refused(tmp_path / "ml-25m.zip")


@pytest.mark.parametrize(
    ("name", "header", "wanted"),
    [
        ("ratings.csv", "user,movieId,rating,timestamp", "userId"),
        ("ratings.csv", "userId,film,rating,timestamp", "movieId"),
        ("ratings.csv", "userId,movieId,stars,timestamp", "rating"),
        ("ratings.csv", "userId,movieId,rating,when", "timestamp"),
        ("ratings.csv", "userId,movieId,rating,user_id", "userId"),
        ("movies.csv", "film,title,genres", "movieId"),
        ("movies.csv", "movieId,title,tags", "genres"),
    ],
)
def test_missing_or_ambiguous_column(tmp_path: Path, name: str, header: str, wanted: str) -> None:
    source = folder(tmp_path / "ml")
    lines = (source / name).read_text().splitlines()
    (source / name).write_text("\n".join([header, *lines[1:]]))
    message = refused(source)
    assert f"{source / name} has no column {wanted}" in message and header.replace(",", ", ") in message


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("x,1,4,100", "userId is 'x', but must be a whole number from 0 up"),
        ("7.5,1,4,100", "userId is '7.5'"),
        (",1,4,100", "userId is ''"),
        ("-1,1,4,100", "userId is '-1'"),
        ("1_000,1,4,100", "userId is '1_000'"),
        ("9223372036854775808,1,4,100", "userId is '9223372036854775808'"),
        ("7,tt01,4,100", "movieId is 'tt01'"),
        ("7,-1,4,100", "movieId is '-1'"),
        ("7,1,good,100", "rating is 'good', but must be a number from 0.5 to 5"),
        ("7,1,,100", "rating is ''"),
        ("7,1,nan,100", "rating is 'nan'"),
        ("7,1,0,100", "rating is '0'"),
        ("7,1,5.5,100", "rating is '5.5'"),
        ("7,1,4,yesterday", "timestamp is 'yesterday', but must be a time in whole unix seconds, or written as 2005-04-02 23:53:47"),
        ("7,1,4,-5", "timestamp is '-5'"),
        ("7,1,4,1537799250000", "timestamp is '1537799250000'"),
        ("7,1,4,0,100", "it has 5 value(s) where the header has 4"),
        ("7,1,4", "it has 3 value(s) where the header has 4"),
    ],
)
def test_bad_rating_names_the_line(tmp_path: Path, row: str, fault: str) -> None:
    source = folder(tmp_path / "ml", [*RATINGS[:3], "", row, "also,bad,but,later"])
    message = refused(source)
    assert f"{source / 'ratings.csv'}, line 5: {fault}" in message and "correct or remove the line" in message


def test_broken_ratings_are_skipped_and_counted(tmp_path: Path) -> None:
    tally = Tally(skip_broken=True)
    source = folder(tmp_path / "ml", [*RATINGS[:3], "x,1,4,100", *RATINGS[3:], "7,1"])
    assert read(source, tally) == INTERACTIONS
    assert tally.dropped == {"broken lines": 2}
    assert tally.broken == [
        "ratings.csv, line 4: userId is 'x', but must be a whole number from 0 up",
        "ratings.csv, line 9: it has 2 value(s) where the header has 4",
    ]


def test_bad_movie_names_the_line(tmp_path: Path) -> None:
    assert "movies.csv, line 3: movieId is 'two'" in refused(folder(tmp_path / "ml", movies=[*MOVIES[:2], "two,Two,War"]))


def test_broken_movie_that_is_skipped_is_named_but_is_no_interaction(tmp_path: Path) -> None:
    tally = Tally(skip_broken=True)
    source = folder(tmp_path / "ml", movies=[*MOVIES[:4], "3,Three", MOVIES[5]])
    assert [row[2] for row in read(source, tally)][:2] == [b"(unknown)", b"Comedy"]
    assert (tally.dropped, tally.broken) == ({}, ["movies.csv, line 5: it has 2 value(s) where the header has 3"])


def test_genres_that_are_not_utf8(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml")
    (source / "movies.csv").write_bytes(b"movieId,title,genres\n0,Zero,Drama\n1,One,Com\xe9die\n")
    assert "movies.csv, line 3: genres is b'Com\\xe9die', which is not text in UTF-8" in refused(source)


@pytest.mark.parametrize(("name", "text"), [(n, t) for n in ("ratings.csv", "movies.csv") for t in ("", "\n\n")])
def test_empty_file(tmp_path: Path, name: str, text: str) -> None:
    source = folder(tmp_path / "ml")
    (source / name).write_text(text)
    assert f"{source / name} is empty: download it again." == refused(source)


@pytest.mark.parametrize("name", ["ratings.csv", "movies.csv"])
def test_file_with_only_a_header(tmp_path: Path, name: str) -> None:
    source = folder(tmp_path / "ml")
    (source / name).write_text((source / name).read_text().splitlines()[0] + "\n")
    assert f"{source / name} holds no rows: download it again." == refused(source)


@pytest.mark.parametrize("name", ["u.data", "u.item"])
def test_empty_file_that_has_no_header(tmp_path: Path, name: str) -> None:
    source = ml_100k(tmp_path / "ml", [u_item(242, "One")])
    (source / name).write_text("")
    assert f"{source / name} is empty: download it again." == refused(source)


def test_file_that_is_no_csv(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml")
    (source / "ratings.csv").write_bytes(b'"' + b"x" * 200_000)
    message = refused(source)
    assert 'ratings.csv, line 1: the quoted value that begins with "xxx' in message and message.endswith(": correct the header.")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("7,3\r,4.0,300", "it has a carriage return (CR) in a value that is not quoted"),
        (
            '7,3,"4"x,300',
            "the quoted value that begins with \"4\"x,300 is not followed by the separator ','; where quotes are part of the text, "
            'a click log needs files.quote = "" in its mapping, or files.escape',
        ),
    ],
)
def test_lines_that_cannot_be_split(tmp_path: Path, line: str, fault: str) -> None:
    """They are named in the order of the file, together with lines whose values are broken."""
    source = folder(tmp_path / "ml", [RATINGS[0], "7,3,6,1", line, *RATINGS[1:]], [MOVIES[0], line, *MOVIES[1:]])
    assert f"movies.csv, line 2: {fault}: correct or remove the line, or drop such lines with --skip-broken." in refused(source)
    tally = Tally(skip_broken=True)
    assert read(source, tally) == INTERACTIONS
    assert tally.dropped == {"broken lines": 2}
    assert tally.broken == [
        f"movies.csv, line 2: {fault}",
        "ratings.csv, line 2: rating is '6', but must be a number from 0.5 to 5",
        f"ratings.csv, line 3: {fault}",
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16(tmp_path: Path, encoding: str) -> None:
    source = folder(tmp_path / "ml")
    write(source / "ratings.csv", RATINGS, encoding)
    assert f"{source / 'ratings.csv'} looks like UTF-16: convert it to UTF-8" in refused(source)
