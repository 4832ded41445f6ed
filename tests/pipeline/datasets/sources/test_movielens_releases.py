"""Every other release of MovieLens written by hand: 100K, 1M, 10M, RecBole's atomic files and Kaggle's tables."""

from pathlib import Path

import pytest

from pipeline.datasets.sources.interactions import Tally
from tests.pipeline.datasets.sources.movielens_files import (
    GENRES,
    INTERACTIONS,
    atomic,
    fields,
    folder,
    ml_100k,
    read,
    refused,
    u_item,
    write,
)


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


def test_item_fields_of_the_other_releases(tmp_path: Path) -> None:
    """1M and 100K are in Latin-1; 100K has flags, RecBole and Kaggle have columns of the year."""
    write(tmp_path / "1m" / "ratings.dat", ["1::73::5::978300760", "1::2::3::978302109"])
    write(tmp_path / "1m" / "movies.dat", ["73::Misérables, Les (1995)::Drama|Musical", "2::Two::Children's"], "latin-1")
    assert fields(tmp_path / "1m") == {73: (["Drama", "Musical"], 1995), 2: (["Children's"], None)}
    items = [u_item(242, "Café (1994)", "Drama", "Comedy"), u_item(302, "Quoted (1)", "unknown"), u_item(9, "None")]
    assert fields(ml_100k(tmp_path / "100k", items)) == {242: (["Comedy", "Drama"], 1994), 302: ([], None), 9: ([], None)}
    source = atomic(tmp_path / "atomic", ["1\t2\t4\t5", "1\t3\t4\t5"], ["2\tToy Story\t1995\tAnimation Comedy", "3\tThree (1980)\t\tWar"])
    assert fields(source) == {2: (["Animation", "Comedy"], 1995), 3: (["War"], 1980)}


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
