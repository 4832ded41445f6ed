"""Every form of MovieLens written by hand, every kind of bad input, and the real ml-latest-small if it is there."""

import csv
import os
from pathlib import Path

import pyarrow as pa
import pytest

from components.base.errors import InputError
from pipeline.datasets.sources.interactions import Tally
from pipeline.datasets.sources.movielens import MovieLens

SHARED = Path(os.environ.get("DIN_SHARED", Path(__file__).parents[5] / "shared"))
REAL = SHARED / "data" / "ml-latest-small"

MOVIES = [
    "movieId,title,genres",
    "0,Zero (1990),Drama",
    '1,"American President, The (1995)",Comedy|Drama|Romance',
    "2,Two,(no genres listed)",
    "3,Three,Film-Noir|Crime",
    "4,Four,Action",
]
RATINGS = [
    "userId,movieId,rating,timestamp",
    "7,3,4.0,300",
    "7,1,5.0,300",
    "7,0,4.0,100",
    "7,2,3.5,200",
    "7,4,4.5,400",
    "0,4,2.0,250",
]
INTERACTIONS = [  # user, item, category, label, time
    (7, 3, b"Film-Noir", 1, 300),
    (7, 1, b"Comedy", 1, 300),
    (7, 0, b"Drama", 1, 100),
    (7, 2, b"(no genres listed)", 0, 200),
    (7, 4, b"Action", 1, 400),
    (0, 4, b"Action", 0, 250),
]
GENRES = (
    *("unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy"),
    *("Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"),
)

Rows = list[tuple[int | bytes, ...]]


def write(path: Path, lines: list[str], encoding: str = "utf-8") -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes("".join(line + "\n" for line in lines).encode(encoding))


def folder(path: Path, ratings: list[str] = RATINGS, movies: list[str] = MOVIES) -> Path:
    write(path / "ratings.csv", ratings)
    write(path / "movies.csv", movies)
    return path


def u_item(item: int, title: str, *genres: str, names: tuple[str, ...] = GENRES) -> str:
    return "|".join([str(item), title, "01-Jan-1995", "", "http://x", *(str(int(name in genres)) for name in names)])


def ml_100k(path: Path, items: list[str]) -> Path:
    write(path / "u.data", ["196\t242\t3\t881250949", "186\t302\t4\t891717742", "196\t302\t5\t881250950", "186\t9\t5\t891717743"])
    write(path / "u.item", items, "latin-1")
    return path


def atomic(path: Path, ratings: list[str], items: list[str]) -> Path:
    write(path / "ml-100k.inter", ["user_id:token\titem_id:token\trating:float\ttimestamp:float", *ratings])
    write(path / "ml-100k.item", ["item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq", *items])
    return path


def read(source: Path, tally: Tally | None = None) -> Rows:
    movielens = MovieLens(source)
    (file,) = movielens.files()
    batches = list(movielens.read(file, tally := tally or Tally()))
    assert all(batch.schema == movielens.schema for batch in batches)
    return [row for batch in batches for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)]


def refused(source: Path) -> str:
    with pytest.raises(InputError) as error:
        read(source)
    return str(error.value)


def test_interactions_worked_out_by_hand(tmp_path: Path) -> None:
    tally = Tally()
    assert read(folder(tmp_path / "ml"), tally) == INTERACTIONS
    assert tally == Tally()


def test_schema_and_rules() -> None:
    source = MovieLens(Path("ml"))
    names = ("user_id", "candidate_item_id", "candidate_category_id", "label", "timestamp")
    types = (pa.int64(), pa.int64(), pa.binary(), pa.int64(), pa.int64())
    assert source.schema == pa.schema(list(zip(names, types, strict=True)))
    assert (source.name, source.has_negatives, source.history, source.repeats) == ("movielens", True, "earlier", "latest")
    assert {"label", "category"} <= set(source.rules)


def fields(source: Path, tally: Tally | None = None) -> dict[int, tuple[list[str], float | None]]:
    """Genres and year of each film that was rated."""
    movielens = MovieLens(source, item_fields=True)
    (file,) = movielens.files()
    found = {}
    for batch in movielens.read(file, tally or Tally()):
        assert batch.schema == movielens.schema
        for row in batch.to_pylist():
            found[row["candidate_item_id"]] = ([g.decode() for g in row["candidate_genres"] or []], row["candidate_year"])
    return found


def test_all_genres_and_the_year_are_item_fields(tmp_path: Path) -> None:
    """(no genres listed) is no genre; the year is the last number in brackets; a film without a row has neither."""
    movies = [*MOVIES[:-1], "9,Not rated (2001),Action", "3,Again (1900),War"]
    assert fields(folder(tmp_path / "ml", movies=movies)) == {
        0: (["Drama"], 1990),
        1: (["Comedy", "Drama", "Romance"], 1995),
        2: ([], None),
        3: (["Film-Noir", "Crime"], None),
        4: ([], None),
    }
    assert [row[:5] for row in read(tmp_path / "ml")] == [
        (*row[:2], b"(unknown)", *row[3:]) if row[1] == 4 else row for row in INTERACTIONS
    ]
    rules = MovieLens(tmp_path, item_fields=True).rules
    assert {"candidate_genres", "candidate_year"} <= rules.keys() and "candidate_genres" not in MovieLens(tmp_path).rules


@pytest.mark.parametrize(
    ("title", "year"),
    [
        ("Zero (1990)", 1990),
        ("Zero (1990) ", 1990),
        ("Zero (1990)(2001)", 2001),
        ("Babylon 5", None),
        ("1984", None),
        ("Death Note (2006–2007)", 2006),
        ("Series (2007-)", 2007),
        ("Two (a. k. a. 1990)", None),
    ],
)
def test_years_of_titles(tmp_path: Path, title: str, year: int | None) -> None:
    assert fields(folder(tmp_path / "ml", movies=[MOVIES[0], f"0,{title},Drama"]))[0] == (["Drama"], year)


def test_item_fields_of_the_other_releases(tmp_path: Path) -> None:
    """1M and 100K are in Latin-1; 100K has flags, RecBole and Kaggle have columns of the year."""
    write(tmp_path / "1m" / "ratings.dat", ["1::73::5::978300760", "1::2::3::978302109"])
    write(tmp_path / "1m" / "movies.dat", ["73::Misérables, Les (1995)::Drama|Musical", "2::Two::Children's"], "latin-1")
    assert fields(tmp_path / "1m") == {73: (["Drama", "Musical"], 1995), 2: (["Children's"], None)}
    items = [u_item(242, "Café (1994)", "Drama", "Comedy"), u_item(302, "Quoted (1)", "unknown"), u_item(9, "None")]
    assert fields(ml_100k(tmp_path / "100k", items)) == {242: (["Comedy", "Drama"], 1994), 302: ([], None), 9: ([], None)}
    source = atomic(tmp_path / "atomic", ["1\t2\t4\t5", "1\t3\t4\t5"], ["2\tToy Story\t1995\tAnimation Comedy", "3\tThree (1980)\t\tWar"])
    assert fields(source) == {2: (["Animation", "Comedy"], 1995), 3: (["War"], 1980)}


def test_1m(tmp_path: Path) -> None:
    """Titles in Latin-1, which are not UTF-8, do no harm."""
    write(tmp_path / "ml" / "ratings.dat", ["1::73::5::978300760", "1::2::3::978302109", "2::9::4::978302110"])
    write(tmp_path / "ml" / "movies.dat", ["73::Misérables, Les (1995)::Drama|Musical", '2::"Two": a title::Children\'s'], "latin-1")
    assert read(tmp_path / "ml") == [
        (1, 73, b"Drama", 1, 978300760),
        (1, 2, b"Children's", 0, 978302109),
        (2, 9, b"(unknown)", 1, 978302110),
    ]


def test_10m(tmp_path: Path) -> None:
    """Half stars, UTF-8."""
    write(tmp_path / "ml" / "ratings.dat", ["1::122::3.5::838985046", "1::185::4.5::838983525", "2::185::0.5::838983526"])
    write(tmp_path / "ml" / "movies.dat", ["122::Boomerang – né (1992)::Comedy|Romance", "185::Net, The::(no genres listed)"])
    assert read(tmp_path / "ml") == [
        (1, 122, b"Comedy", 0, 838985046),
        (1, 185, b"(no genres listed)", 1, 838983525),
        (2, 185, b"(no genres listed)", 0, 838983526),
    ]


def test_100k(tmp_path: Path) -> None:
    items = [u_item(242, "Café", "Drama", "Comedy"), u_item(302, '"Quoted', "unknown"), u_item(9, "None")]
    assert read(ml_100k(tmp_path / "ml", items)) == [
        (196, 242, b"Comedy", 0, 881250949),  # the flag before Drama's
        (186, 302, b"unknown", 1, 891717742),
        (196, 302, b"unknown", 1, 881250950),
        (186, 9, b"(unknown)", 1, 891717743),
    ]


@pytest.mark.parametrize("place", range(19))
def test_100k_order_of_flags(tmp_path: Path, place: int) -> None:
    source = ml_100k(tmp_path / "ml", [u_item(242, "One", *GENRES[place:])])
    assert read(source)[0][2] == GENRES[place].encode()


def test_100k_names_of_genres(tmp_path: Path) -> None:
    """u.genre in the form of GroupLens, with a blank line at its end; here its lines are not in order."""
    source = ml_100k(tmp_path / "ml", [u_item(242, "One", "Farce", names=("Tragedy", "Farce"))])
    write(source / "u.genre", ["Farce|1", "Tragedy|0", ""])
    assert read(source)[0][2] == b"Farce"


def test_100k_gaps_in_the_genres(tmp_path: Path) -> None:
    source = ml_100k(tmp_path / "ml", [u_item(242, "One")])
    write(source / "u.genre", ["Farce|1", "Tragedy|2"])
    assert f"{source / 'u.genre'} does not number its genres 0, 1, 2, …" in refused(source)


def test_100k_flag_that_is_none(tmp_path: Path) -> None:
    source = ml_100k(tmp_path / "ml", [u_item(242, "One"), u_item(302, "Two").replace("x|0|0", "x|0|2")])
    assert "u.item, line 2: Action is '2', but must be 0 or 1" in refused(source)


def test_atomic_files(tmp_path: Path) -> None:
    ratings = ["196\t242\t3\t881250949", "186\t302\t4.0\t891717742", "22\t377\t1\t878887116", "22\t5\t5\t878887117"]
    items = [
        "242\tKolya\t1996\tComedy",
        '302\t"L.A.\t1997\tCrime Film-Noir Mystery Thriller',
        "377\tX\t1994\t",
        "5\tY\t\t(no genres listed)",
    ]
    assert read(atomic(tmp_path / "ml", ratings, items)) == [
        (196, 242, b"Comedy", 0, 881250949),
        (186, 302, b"Crime", 1, 891717742),
        (22, 377, b"(unknown)", 0, 878887116),
        (22, 5, b"(no genres listed)", 1, 878887117),
    ]


def test_atomic_genres_by_recboles_other_name(tmp_path: Path) -> None:
    source = atomic(tmp_path / "ml", ["1\t2\t3\t4"], [])
    write(source / "ml-100k.item", ["item_id:token\tgenre:token_seq", "2\tWar Drama"])
    assert read(source) == [(1, 2, b"War", 0, 4)]


def test_atomic_token_that_is_no_number(tmp_path: Path) -> None:
    source = atomic(tmp_path / "ml", ["196\t242\t3\t881250949", "u7\t242\t3\t881250949"], ["242\tKolya\t1996\tComedy"])
    assert "ml-100k.inter, line 3: userId is 'u7', but must be a whole number from 0 up" in refused(source)


def test_kaggles_20m(tmp_path: Path) -> None:
    """rating.csv has times as text, without a time zone; they are in UTC. 1,112,486,027 is 2005-04-02 23:53:47 UTC."""
    write(tmp_path / "ml" / "rating.csv", ["userId,movieId,rating,timestamp", "1,2,3.5,2005-04-02 23:53:47", "2,3,4,1112486028"])
    write(tmp_path / "ml" / "movie.csv", ["movieId,title,genres", '2,"Jumanji (1995)",Adventure|Children', "3,Three,War"])
    write(tmp_path / "ml" / "tag.csv", ["userId,movieId,tag,timestamp", "1,2,x,2009-04-24 18:19:40"])
    assert read(tmp_path / "ml") == [(1, 2, b"Adventure", 0, 1112486027), (2, 3, b"War", 1, 1112486028)]
    for text in ("2005-04-02 25:00:00", "02.04.2005", "now"):
        write(tmp_path / "ml" / "rating.csv", ["userId,movieId,rating,timestamp", "1,2,3.5,2005-04-02 23:53:47", f"2,3,4,{text}"])
        assert f"rating.csv, line 3: timestamp is '{text}', but must be a time in whole unix seconds, or written as" in refused(
            tmp_path / "ml"
        )


METADATA = [  # of Kaggle's "The Movies Dataset": ids of TMDB, genres as Python writes them, texts over several lines
    "adult,genres,id,overview,title",
    "False,\"[{'id': 16, 'name': 'Animation'}, {'id': 35, 'name': 'Comedy'}]\",862,\"Led by Woody,",
    "Andy's toys\",Toy Story",
    "False,[],8844,x,Jumanji",
    'False,"[{\'id\': 18, \'name\': ""Children\'s""}]",31,x,Waiting',
]


def movies_dataset(path: Path, metadata: list[str] = METADATA, links: str = "links_small.csv") -> Path:
    """Film 862 of MovieLens is not film 862 of TMDB, which is film 1 of MovieLens."""
    ratings = ["userId,movieId,rating,timestamp", "1,862,5,1260759144", "1,1,2.5,1260759179", "1,2,4,3", "1,4,4,4", "1,7,4,5"]
    write(path / "ratings_small.csv", ratings)
    write(path / "movies_metadata.csv", metadata)
    write(path / links, ["movieId,imdbId,tmdbId", "1,0114709,862", "2,0113497,8844.0", "4,0114885,31", "862,0112453,"])
    return path


@pytest.mark.parametrize("links", ["links.csv", "links_small.csv"])
def test_kaggles_movies_dataset(tmp_path: Path, links: str) -> None:
    assert read(movies_dataset(tmp_path / "ml", links=links)) == [
        (1, 862, b"(unknown)", 1, 1260759144),
        (1, 1, b"Animation", 0, 1260759179),
        (1, 2, b"(unknown)", 1, 3),
        (1, 4, b"Children's", 1, 4),
        (1, 7, b"(unknown)", 1, 5),
    ]


def test_item_fields_of_kaggles_movies_dataset(tmp_path: Path) -> None:
    metadata = ["release_date,title,genres,id"]
    metadata += ["1995-10-30,Toy Story,\"[{'id': 1, 'name': 'Animation'}, 5, {'id': 2, 'name': 'Comedy'}]\",862", ",Jumanji (1996),[],8844"]
    assert fields(movies_dataset(tmp_path / "ml", metadata)) == {
        862: ([], None), 1: (["Animation", "Comedy"], 1995), 2: ([], 1996), 4: ([], None), 7: ([], None)
    }  # fmt: skip


def test_ids_of_tmdb_are_not_taken_for_those_of_movielens(tmp_path: Path) -> None:
    source = movies_dataset(tmp_path / "ml")
    (source / "links_small.csv").unlink()
    assert f"{source / 'links.csv'} is missing: the ids of movies_metadata.csv are those of TMDB, and only links.csv" in refused(source)


@pytest.mark.parametrize("listed", ["", "x", "[{'id': 1", "[5]", "{}", "[{'name': ''}]", "[{'name': 'a\\nb'}]"])
def test_genres_of_metadata_that_are_none(tmp_path: Path, listed: str) -> None:
    source = movies_dataset(tmp_path / "ml", ["id,genres", f'862,"{listed}"'])
    assert read(source)[1][:3] == (1, 1, b"(unknown)")


def test_broken_rows_of_metadata(tmp_path: Path) -> None:
    """Kaggle's file has a few rows with a date as the id."""
    source = movies_dataset(tmp_path / "ml", [*METADATA, "Rune,[],1997-08-20,x,Midnight Man"])
    assert "movies_metadata.csv, line 6: id is '1997-08-20', but must be a whole number from 0 up" in refused(source)
    tally = Tally(skip_broken=True)
    assert len(read(source, tally)) == 5
    assert tally.notes["broken lines of movies_metadata.csv, whose items count as unknown"] == 1


def test_source_may_be_the_file_of_ratings(tmp_path: Path) -> None:
    source = ml_100k(folder(tmp_path / "ml"), [u_item(242, "One")])
    assert read(source / "ratings.csv") == INTERACTIONS
    assert len(read(source / "u.data")) == 4
    assert f"{source} holds several files of ratings (ratings.csv, u.data): name one of them." == refused(source)


def test_several_atomic_files(tmp_path: Path) -> None:
    source = atomic(tmp_path / "ml", ["1\t2\t3\t4"], ["2\tX\t\tWar"])
    write(source / "b.inter", ["x"])
    assert "(b.inter, ml-100k.inter)" in refused(source)
    assert read(source / "ml-100k.inter") == [(1, 2, b"War", 0, 4)]


def test_label_is_1_from_a_rating_of_4(tmp_path: Path) -> None:
    ratings = [RATINGS[0], "1,0,3.5,1", "1,1,4,2", "1,2,4.0,3", "1,3,0.5,4"]
    assert [row[3] for row in read(folder(tmp_path / "ml", ratings))] == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("ratings", "movies"),
    [
        ("userId,Id,rating,timestamp", "Id,title,genres"),
        ("user_id,item_id,rating,timestamp", "item_id,title,genres"),
        ("userId,itemId,rating,timestamp", "itemId,title,genres"),
        ("UserID,MovieID,Rating,Timestamp", "MovieID,Title,Genres"),
        ("USER_ID,MOVIE_ID,RATING,TIME_STAMP", '"movie_id","title","genres"'),
        ("\ufeffuserId,movieId,rating,timestamp", "\ufeffmovieId,title,genres"),
    ],
)
def test_header_variants(tmp_path: Path, ratings: str, movies: str) -> None:
    assert read(folder(tmp_path / "ml", [ratings, *RATINGS[1:]], [movies, *MOVIES[1:]])) == INTERACTIONS


def test_columns_in_another_order_blank_lines_and_more_columns(tmp_path: Path) -> None:
    ratings = ["timestamp,note,rating,movieId,userId", "", "100,x,4.0,1,7", ""]
    assert read(folder(tmp_path / "ml", ratings)) == [(7, 1, b"Comedy", 1, 100)]


def test_windows_line_ends(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml", [line + "\r" for line in RATINGS], [line + "\r" for line in MOVIES])
    assert read(source) == INTERACTIONS


def test_repeated_ratings_are_left_to_the_import(tmp_path: Path) -> None:
    ratings = [RATINGS[0], "1,2,5,30", "1,2,1,20", "1,2,1,20"]
    assert [row[4] for row in read(folder(tmp_path / "ml", ratings))] == [30, 20, 20]


def test_items_without_row_or_genre_are_unknown(tmp_path: Path) -> None:
    movies = [MOVIES[0], "1,One,", "3,Three,Crime|Drama", "3,Three again,War"]
    ratings = [RATINGS[0], "1,0,5,1", "1,1,5,2", "1,3,5,3", "1,4,5,4", "2,4,5,5"]
    categories = [row[2] for row in read(folder(tmp_path / "ml", ratings, movies))]
    assert categories == [b"(unknown)", b"(unknown)", b"Crime", b"(unknown)", b"(unknown)"]


def test_categories_may_be_any_text(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml", [RATINGS[0], "1,0,5,1"], [MOVIES[0], "0,Amélie, Comédie |Drame"])
    assert read(source)[0][2] == "Comédie".encode()


def test_large_ids(tmp_path: Path) -> None:
    largest = 2**63 - 1
    assert read(folder(tmp_path / "ml", [RATINGS[0], f"{largest},{largest},5,0"])) == [(largest, largest, b"(unknown)", 1, 0)]


def test_batches_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.datasets.tables.raw_rows.BATCH_SIZE", 2)
    source = MovieLens(folder(tmp_path / "ml"))
    assert [batch.num_rows for batch in source.read(tmp_path / "ml" / "ratings.csv", Tally())] == [2, 2, 2]
    assert read(tmp_path / "ml") == INTERACTIONS


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


def test_line_ends_that_are_cr_alone(tmp_path: Path) -> None:
    source = folder(tmp_path / "ml")
    (source / "ratings.csv").write_bytes("\r".join(RATINGS).encode())
    assert read(source) == INTERACTIONS


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16(tmp_path: Path, encoding: str) -> None:
    source = folder(tmp_path / "ml")
    write(source / "ratings.csv", RATINGS, encoding)
    assert f"{source / 'ratings.csv'} looks like UTF-16: convert it to UTF-8" in refused(source)


@pytest.mark.skipif(not REAL.is_dir(), reason=f"{REAL} is not here: set DIN_SHARED to the folder that has data/ml-latest-small")
def test_ml_latest_small() -> None:
    """The counts are those of GroupLens; each rating is as in a plain loop over the CSV."""
    with (REAL / "movies.csv").open(encoding="utf-8", newline="") as file:
        genre = {row["Id"]: row["genres"].split("|")[0].encode() for row in csv.DictReader(file)}
    with (REAL / "ratings.csv").open(newline="") as file:
        expected = [
            (int(row["userId"]), int(row["Id"]), genre[row["Id"]], int(float(row["rating"]) >= 4), int(row["timestamp"]))
            for row in csv.DictReader(file)
        ]
    rows = read(REAL)
    assert rows == expected
    users, items, categories, labels, times = (list(column) for column in zip(*rows, strict=True))
    assert (len(rows), len(set(users)), len(set(items)), sum(labels)) == (100_836, 610, 9_724, 48_580)
    assert (min(times), max(times)) == (828_124_615, 1_537_799_250)
    assert b"(unknown)" not in categories
