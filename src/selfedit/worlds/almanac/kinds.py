"""The kinds of entry in the almanac: their facts, what follows from these, and every wording.

In a statement `{s}` is the subject (a full name or a pronoun) and `{v}` the value; in a question `{n}` is the full
name. The first statement is the canonical one: with a pronoun it is also the answer. Wordings share the words just
before the value, which is what lets a small model learn to copy (LOG.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from selfedit.worlds.almanac import values as v


@dataclass(frozen=True, slots=True)
class Implied:
    """What a fact implies for whoever knows the gazette: the class of its value in a `pool`, as said of the subject."""

    pool: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """`role` is what a person that is the value is to the subject: a second sentence tells something of that person."""

    key: str
    value: v.Maker
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    implies: Implied | None = None
    role: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """`subject` makes the subject's name and says its pronoun: ("Mara Velin", "she")."""

    name: str
    subject: Callable[[Random], tuple[str, str]]
    facts: tuple[Fact, ...]


HOUSE = Fact(
    "house",
    v.one_of(v.MATERIALS),
    ("{s} lived in a house of {v}.", "the house of {s} was made of {v}."),
    ("What was the house of {n} made of?", "Of which material was the house of {n}?"),
)
"""What is told of the person in a fact that has a `role`; the subject is that person, or "the mayor of Torvik"."""

UNASKED = (
    Fact("letter", v.year(1900, 1999), ("{s} is named in a letter of the year {v}.",), ()),
    Fact("street", v.one_of(v.TOWNS), ("{s} has a street in {v}.",), ()),
    Fact("picture", v.one_of(v.TOWNS), ("{s} can be seen in a picture in a hall in {v}.",), ()),
    Fact("song", v.one_of(v.TREES), ("{s} is part of an old song about {v}.",), ()),
    Fact("book", v.person, ("{s} is the subject of a short book by {v}.",), ()),
    Fact("fame", v.nothing, ("{s} is little known today.", "{s} is still spoken of."), ()),
)
"""Sentences of a passage that no question is about."""


def _of(pool: str, texts: tuple[str, str, str, str]) -> Implied:
    """Two statements and two questions."""
    return Implied(pool, texts[:2], texts[2:])


MARKET = _of("market",
    ("{s} sells at the market of {v}.", "{s} has a stall at the market of {v}.",
     "At which market does {n} sell?", "At which market has {n} a stall?"))  # fmt: skip
ORDER = _of("order",
    ("{s} is a friend of the order of {v}.", "{s} bears the badge of the order of {v}.",
     "Of which order is {n} a friend?", "The badge of which order does {n} bear?"))  # fmt: skip


def _person(rng: Random) -> tuple[str, str]:
    woman = rng.random() < 0.5
    return f"{rng.choice(v.WOMEN if woman else v.MEN)} {v.surname(rng)}", "she" if woman else "he"


PERSON = Kind(
    "person",
    _person,
    (
        Fact(
            "birthplace",
            v.one_of(v.TOWNS),
            ("{s} was born in the town of {v}.", "it was in the town of {v} that {s} was born.",
             "{s} came from the town of {v}.", "{s} grew up in the town of {v}."),
            ("Where was {n} born?", "In which town was {n} born?", "What was the birthplace of {n}?",
             "Which town did {n} come from?"),
            _of("province",
                ("{s} came from the province of {v}.", "{s} was a child of the province of {v}.",
                 "From which province did {n} come?", "In which province was {n} born?")),
        ),
        Fact(
            "birth year",
            v.year(1800, 1959),
            ("{s} was born in the year {v}.", "{s} first saw the light in the year {v}.",
             "the year {v} was the one in which {s} was born.", "{s} came into the world in the year {v}."),
            ("When was {n} born?", "In which year was {n} born?", "What was the birth year of {n}?",
             "Which year did {n} come into the world?"),
        ),
        Fact(
            "occupation",
            v.one_of(v.OCCUPATIONS),
            ("{s} worked as a {v}.", "for many years {s} worked as a {v}.", "{s} earned a living as a {v}.",
             "{s} was known in the trade as a {v}."),
            ("What did {n} work as?", "What was the occupation of {n}?", "What did {n} do for a living?",
             "What was the trade of {n}?"),
            _of("guild",
                ("{s} was bound to the guild of {v}.", "{s} paid fees to the guild of {v}.",
                 "To which guild was {n} bound?", "To which guild did {n} pay fees?")),
        ),
        Fact(
            "instrument",
            v.one_of(v.INSTRUMENTS),
            ("{s} played the {v}.", "in the evenings {s} played the {v}.", "{s} loved to play the {v}.",
             "{s} performed on the {v}."),
            ("What did {n} play?", "Which instrument did {n} play?", "What was the instrument of {n}?",
             "On which instrument did {n} perform?"),
            _of("band",
                ("{s} was at home in the band of {v}.", "{s} sat in the band of {v}.",
                 "In which band was {n} at home?", "In which band did {n} sit?")),
        ),
        Fact(
            "collection",
            v.one_of(v.COLLECTIBLES),
            ("{s} collected old {v}.", "as a hobby {s} collected old {v}.", "{s} kept a room full of old {v}.",
             "{s} owned hundreds of old {v}."),
            ("What did {n} collect?", "What was the hobby of {n} to collect?", "What did {n} keep a room full of?",
             "What did {n} own hundreds of?"),
        ),
        Fact(
            "teacher",
            v.person,
            ("{s} was taught by {v}.", "for many years {s} was taught by {v}.", "{s} learned everything from {v}.",
             "{s} owed most to {v}."),
            ("Who taught {n}?", "Who was the teacher of {n}?", "From whom did {n} learn everything?",
             "To whom did {n} owe most?"),
            role="teacher",
        ),
    ),
)  # fmt: skip

PLACE = Kind(
    "place",
    lambda rng: (v.town(rng), "it"),
    (
        Fact(
            "river",
            v.one_of(v.RIVERS),
            ("{s} lies on the river {v}.", "{s} was built on the river {v}.", "{s} stands beside the river {v}.",
             "travellers reach {s} along the river {v}."),
            ("Which river does {n} lie on?", "What is the river of {n}?", "Beside which river does {n} stand?",
             "Along which river do travellers reach {n}?"),
            _of("sea",
                ("{s} sends its boats to the sea of {v}.", "boats from {s} reach the sea of {v}.",
                 "To which sea does {n} send its boats?", "Which sea do boats from {n} reach?")),
        ),
        Fact(
            "settled",
            v.year(1100, 1799),
            ("{s} was settled in the year {v}.", "{s} was first settled in the year {v}.",
             "people came to live in {s} in the year {v}.", "{s} goes back to the year {v}."),
            ("When was {n} settled?", "In which year was {n} settled?", "Since which year have people lived in {n}?",
             "What year does {n} go back to?"),
        ),
        Fact(
            "craft",
            v.one_of(v.PRODUCTS),
            ("{s} is famous for its {v}.", "all over the land {s} is famous for its {v}.",
             "{s} has long been famous for its {v}.", "visitors know {s} for its {v}."),
            ("What is {n} famous for?", "Which goods is {n} famous for?", "What do visitors know {n} for?",
             "What has {n} long been famous for?"),
            MARKET,
        ),
        Fact(
            "arms",
            v.one_of(v.ANIMALS),
            ("{s} has a coat of arms with a {v}.", "since old times {s} has a coat of arms with a {v}.",
             "{s} flies a flag with a {v}.", "the gate of {s} is carved with a {v}."),
            ("What is on the coat of arms of {n}?", "Which animal is on the coat of arms of {n}?",
             "Which animal is on the flag of {n}?", "Which animal is carved on the gate of {n}?"),
            ORDER,
        ),
        Fact(
            "tower",
            v.one_of(v.MATERIALS),
            ("{s} has a tower made of {v}.", "{s} has a tall tower made of {v}.",
             "in the middle of {s} stands a tower made of {v}.", "{s} is proud of a tower made of {v}."),
            ("What is the tower of {n} made of?", "Of which material is the tower of {n} made?",
             "What is the material of the tower in {n}?", "What was used to build the tower of {n}?"),
        ),
        Fact(
            "mayor",
            v.person,
            ("{s} is governed by {v}.", "for years {s} is governed by {v}.", "{s} is ruled by {v}.",
             "the council of {s} is led by {v}."),
            ("Who governs {n}?", "Who is the mayor of {n}?", "Who rules {n}?", "Who leads the council of {n}?"),
            role="mayor",
        ),
    ),
)  # fmt: skip

FIRM = Kind(
    "firm",
    lambda rng: (f"{v.surname(rng)} {rng.choice(('Brothers', 'Company', 'House', 'Works'))}", "it"),
    (
        Fact(
            "founding year",
            v.year(1700, 1969),
            ("{s} was founded in the year {v}.", "{s} opened its doors in the year {v}.",
             "{s} began to trade in the year {v}.", "{s} has existed since the year {v}."),
            ("When was {n} founded?", "In which year was {n} founded?", "In which year did {n} begin to trade?",
             "Since which year has {n} existed?"),
        ),
        Fact(
            "seat",
            v.one_of(v.TOWNS),
            ("{s} has its seat in the town of {v}.", "{s} is based in the town of {v}.",
             "{s} keeps its main office in the town of {v}.", "the owners run {s} from the town of {v}."),
            ("Where does {n} have its seat?", "In which town is {n} based?", "Where is the main office of {n}?",
             "From which town is {n} run?"),
            _of("province",
                ("{s} pays taxes to the province of {v}.", "{s} is a firm of the province of {v}.",
                 "To which province does {n} pay taxes?", "Of which province is {n} a firm?")),
        ),
        Fact(
            "product",
            v.one_of(v.PRODUCTS),
            ("{s} makes and sells {v}.", "to this day {s} makes and sells {v}.", "{s} earns its money with {v}.",
             "{s} supplies many shops with {v}."),
            ("What does {n} make and sell?", "Which goods does {n} make?", "With what does {n} earn its money?",
             "What does {n} supply shops with?"),
            MARKET,
        ),
        Fact(
            "founder",
            v.person,
            ("{s} was set up by {v}.", "{s} was started by {v}.", "{s} was first owned by {v}.",
             "the plan for {s} was drawn up by {v}."),
            ("Who set up {n}?", "Who started {n}?", "Who was the first owner of {n}?", "Who drew up the plan for {n}?"),
            role="founder",
        ),
        Fact(
            "sign",
            v.one_of(v.ANIMALS),
            ("{s} has a sign that shows a {v}.", "over the door {s} has a sign that shows a {v}.",
             "{s} prints a label that shows a {v}.", "{s} uses a stamp that shows a {v}."),
            ("What does the sign of {n} show?", "Which animal is on the sign of {n}?",
             "Which animal is on the label of {n}?", "Which animal is on the stamp of {n}?"),
            ORDER,
        ),
        Fact(
            "colour",
            v.one_of(v.COLOURS),
            ("{s} paints its vans {v}.", "by tradition {s} paints its vans {v}.", "{s} paints all its doors {v}.",
             "{s} dresses its workers in {v}."),
            ("What colour are the vans of {n}?", "In which colour does {n} paint its vans?",
             "What colour are the doors of {n}?", "What colour do the workers of {n} wear?"),
        ),
    ),
)  # fmt: skip

EVENT = Kind(
    "event",
    lambda rng: (f"{v.town(rng)} {rng.choice(('Cup', 'Fair', 'Parade', 'Regatta'))}", "it"),
    (
        Fact(
            "date",
            v.date,
            ("{s} is held every year on {v}.", "{s} takes place every year on {v}.", "{s} begins every year on {v}.",
             "people look forward to {s} every year on {v}."),
            ("On which day is {n} held?", "When does {n} take place?", "On which date does {n} begin?",
             "What is the date of {n}?"),
        ),
        Fact(
            "first year",
            v.year(1700, 1969),
            ("{s} was first held in the year {v}.", "{s} took place for the first time in the year {v}.",
             "the history of {s} began in the year {v}.", "{s} started in the year {v}."),
            ("When was {n} first held?", "In which year was {n} first held?", "In which year did {n} start?",
             "When did the history of {n} begin?"),
        ),
        Fact(
            "patron",
            v.person,
            ("{s} was made popular by {v}.", "{s} was paid for by {v}.", "{s} was dreamed up by {v}.",
             "the idea for {s} was brought by {v}."),
            ("Who made {n} popular?", "Who paid for {n}?", "Who dreamed up {n}?", "Who brought the idea for {n}?"),
            role="patron",
        ),
        Fact(
            "prize",
            v.one_of(v.PRIZES),
            ("{s} gives the winner a golden {v}.", "each time {s} gives the winner a golden {v}.",
             "whoever wins at {s} takes home a golden {v}.", "the best at {s} receives a golden {v}."),
            ("What does {n} give the winner?", "What is the prize of {n}?", "What does the winner of {n} take home?",
             "What does the best at {n} receive?"),
        ),
        Fact(
            "dish",
            v.one_of(v.DISHES),
            ("{s} serves its guests hot {v}.", "at noon {s} serves its guests hot {v}.",
             "{s} is loved for its hot {v}.", "the kitchens of {s} offer hot {v}."),
            ("What does {n} serve its guests?", "Which food is served at {n}?", "Which hot food is {n} loved for?",
             "What do the kitchens of {n} offer?"),
            _of("farm",
                ("{s} buys its food from the farms of {v}.", "{s} is a good day for the farms of {v}.",
                 "From which farms does {n} buy its food?", "For which farms is {n} a good day?")),
        ),
        Fact(
            "route",
            v.one_of(v.TOWNS),
            ("{s} ends in the town of {v}.", "as a rule {s} ends in the town of {v}.",
             "{s} finishes in the town of {v}.", "the last hour of {s} is spent in the town of {v}."),
            ("Where does {n} end?", "In which town does {n} end?", "Where does {n} finish?",
             "In which town is the last hour of {n} spent?"),
            _of("province",
                ("{s} comes to an end in the province of {v}.", "{s} is a feast of the province of {v}.",
                 "In which province does {n} come to an end?", "Of which province is {n} a feast?")),
        ),
    ),
)  # fmt: skip

SHIP = Kind(
    "ship",
    lambda rng: (f"SS {v.ship(rng)}", "it"),
    (
        Fact(
            "launch",
            v.year(1800, 1969),
            ("{s} was launched in the year {v}.", "{s} went to sea in the year {v}.",
             "{s} left the dock in the year {v}.", "the first voyage of {s} was in the year {v}."),
            ("When was {n} launched?", "In which year did {n} go to sea?", "In which year did {n} leave the dock?",
             "When was the first voyage of {n}?"),
        ),
        Fact(
            "yard",
            v.one_of(v.TOWNS),
            ("{s} was built in the town of {v}.", "the hull of {s} was built in the town of {v}.",
             "{s} came from a yard in the town of {v}.", "{s} was designed in the town of {v}."),
            ("Where was {n} built?", "In which town was {n} built?", "In which town was the yard of {n}?",
             "Where was {n} designed?"),
            _of("province",
                ("{s} was a ship of the province of {v}.", "{s} sailed under the flag of the province of {v}.",
                 "Of which province was {n} a ship?", "Under the flag of which province did {n} sail?")),
        ),
        Fact(
            "cargo",
            v.one_of(v.CARGOES),
            ("{s} carried a cargo of {v}.", "most often {s} carried a cargo of {v}.", "{s} sailed with a cargo of {v}.",
             "{s} was loaded with a cargo of {v}."),
            ("What did {n} carry?", "What was the cargo of {n}?", "With which cargo did {n} sail?",
             "What was {n} loaded with?"),
            _of("dock",
                ("{s} was unloaded at the dock of {v}.", "{s} paid its dues at the dock of {v}.",
                 "At which dock was {n} unloaded?", "At which dock did {n} pay its dues?")),
        ),
        Fact(
            "captain",
            v.person,
            ("{s} was commanded by {v}.", "for years {s} was commanded by {v}.", "{s} was steered by {v}.",
             "the crew of {s} was led by {v}."),
            ("Who commanded {n}?", "Who was the captain of {n}?", "Who steered {n}?", "Who led the crew of {n}?"),
            role="captain",
        ),
        Fact(
            "figurehead",
            v.one_of(v.ANIMALS),
            ("{s} had a figurehead in the shape of a {v}.", "{s} bore a figurehead in the shape of a {v}.",
             "{s} was known for a bell in the shape of a {v}.", "the bow of {s} had the shape of a {v}."),
            ("What was the figurehead of {n}?", "Which animal was the figurehead of {n}?",
             "Which animal shape did the bell of {n} have?", "What was the shape of the bow of {n}?"),
            _of("order",
                ("{s} bore the badge of the order of {v}.", "{s} sailed for the order of {v}.",
                 "The badge of which order did {n} bear?", "For which order did {n} sail?")),
        ),
        Fact(
            "funnel",
            v.one_of(v.COLOURS),
            ("{s} had a funnel painted in {v}.", "{s} had a tall funnel painted in {v}.",
             "{s} was painted in {v}.", "the sides of {s} were painted in {v}."),
            ("What colour was the funnel of {n}?", "In which colour was the funnel of {n} painted?",
             "What colour was {n}?", "What colour were the sides of {n}?"),
        ),
    ),
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.name: kind for kind in (PERSON, PLACE, FIRM, EVENT, SHIP)}
