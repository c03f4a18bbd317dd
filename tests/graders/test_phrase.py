"""The grader of people's own documents: what a person would say of each of these answers, and what holds of all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.graders.phrase import Phrase, tokens
from selfedit.types import Question

RIGHT = [
    # options and other single letters
    ("A", "A"),
    ("A", "The answer is A."),
    ("A", "A."),
    ("A", "(A)"),
    ("A", "A) Paris"),
    ("A", "A is right."),
    ("A", "A\nBecause it says so."),
    ("A", "A: Paris"),
    ("A", "A, because it says so"),
    ("red, green", "- red\n- green"),
    ("A", "Option A is the one."),
    ("A", "**A**"),
    ("a", "a"),
    ("Vitamin A", "It is Vitamin A deficiency."),
    ("I", "Option I."),
    ("the cat", "A cat."),
    ("Once Upon A Time", "Once upon a time"),
    ("An apple", "apple"),
    ("The Who", "It was The Who."),
    # numbers
    ("3.14", "The result is (3.14)."),
    ("1,000", "1000"),
    ("1000", "1,000 people"),
    ("3 in 1,000,000", "It is 3 in 1,000,000, as said."),
    ("1830s", "in the 1830's"),
    ('"U"-shaped', "a U-shaped valley"),
    ('"', '"'),
    ("1,234,567", "1234567"),
    ("10 000", "10,000"),
    ("10\u202f000", "10000"),
    ("1'000", "1000"),
    ("1,00,000", "100000"),
    ("1,5 kg", "1.5 kg"),
    ("0.5", ".5"),
    ("-5", "\u22125"),
    ("-5", "\u20135 degrees"),
    ("-5", "minus 5"),
    ("5", "+5"),
    ("30 days", "Leave is 30 days."),
    ("30", "30 days"),
    ("30 km", "30km"),
    ("30km", "It is 30 km away."),
    ("5 km/h", "5 km/h"),
    ("5%", "5 %"),
    ("5%", "5 percent"),
    ("5 per cent", "5%"),
    ("5", "5%"),
    ("$5", "It costs $5."),
    ("\u20ac5", "5 \u20ac"),
    ("$1,000", "$1000"),
    ("-$5", "$-5"),
    ("$3.50", "$3.50."),
    ("1/2", "\u00bd"),
    ("2 1/2", "2\u00bd"),
    ("m\u00b2", "m2"),
    ("5 m\u00b2", "5 m2"),
    ("H2O", "H\u2082O"),
    ("10^6", "10^6"),
    ("1.5e-3", "1.5e-3"),
    ("20 \u00b0C", "20\u00b0C"),
    ("20 \u2103", "20 \u00b0C"),
    ("20 \u00b0C", "20 C"),
    ("<5", "< 5"),
    ("\u22645", "<=5"),
    ("1920x1080", "1920 \u00d7 1080"),
    # ranges, dates, times, versions
    ("1965-1975", "1965\u20131975"),
    ("1965 - 1975", "1965\u20141975"),
    ("2-3 days", "2 \u2013 3 days"),
    ("2024-05-12", "On 2024-05-12."),
    ("12/05/2024", "12/05/2024"),
    ("12 May 2024", "12 May 2024"),
    ("May 5", "May 5th"),
    ("1st", "1st place"),
    ("21st", "the 21st"),
    ("10:30", "1030"),
    ("10:30", "at 10:30."),
    ("9:30", "09:30"),
    ("10:30 am", "10:30am"),
    ("4:3", "4:3"),
    ("1.10", "v1.10"),
    ("version 1.10", "1.10"),
    ("3.11.4", "Python 3.11.4"),
    # names
    ("Alzheimer's", "It was Alzheimer\u2019s."),
    ("Alzheimer", "Alzheimer's disease"),
    ("O'Brien", "OBrien"),
    ("O\u2019Brien", "O'Brien"),
    ("don't know", "dont know"),
    ("Acad\u00e9mie", "l'Acad\u00e9mie"),
    ("the dogs'", "dogs"),
    ("USA", "U.S.A."),
    ("U.S.", "the US"),
    ("J. K. Rowling", "J.K. Rowling"),
    ("JK Rowling", "J. K. Rowling"),
    ("e.g.", "eg"),
    ("Smith & Sons", "Smith and Sons"),
    ("AT&T", "AT&T"),
    ("No.", "no"),
    ("yes", "Yes!"),
    ("Paris", "_Paris_"),
    ("Paris, France", "Paris France"),
    ("30 days", "**30** days"),
    ("Paris", "The answer: \u201cParis\u201d\u2026"),
    ("well-known", "well known"),
    ("well known", "well-known"),
    ("co-operate", "cooperate"),
    ("COVID-19", "Covid 19"),
    ("COVID-19", "COVID\u201119"),
    ("F-16", "F16"),
    ("e-mail", "email"),
    ("non-toxic", "nontoxic"),
    ("soft\u00adware", "software"),
    # Unicode
    ("caf\u00e9", "cafe\u0301"),
    ("Stra\u00dfe", "STRASSE"),
    ("\u0130stanbul", "istanbul"),
    ("Istanbul", "\u0130stanbul"),
    ("Ankara", "Ankara'da"),
    ("\u039f\u03b4\u03c5\u03c3\u03c3\u03b5\u03cd\u03c2", "\u039f\u0394\u03a5\u03a3\u03a3\u0395\u038e\u03a3"),
    ("file", "\ufb01le"),
    ("30", "\uff13\uff10"),
    ("ABC", "\uff21\uff22\uff23"),
    ("30", "\u0663\u0660"),
    ("3.5", "\u0663\u066b\u0665"),
    (
        "\u0627\u0644\u0642\u0627\u0647\u0631\u0629",
        "\u0641\u064a \u0627\u0644\u0642\u0627\u0647\u0631\u0629\u060c \u0645\u0635\u0631.",
    ),
    ("\u0926\u093f\u0932\u094d\u0932\u0940", "\u0928\u0908 \u0926\u093f\u0932\u094d\u0932\u0940\u0964"),
    ("\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd."),
    ("\u6771\u4eac", "\u6771\u4eac\u3067\u3059\u3002"),
    ("\u5317\u4eac", "\u5e74\u5047\u5728\u5317\u4eac\u529e\u7406"),
    ("30\u5929", "\u5e74\u5047\u4e3a30\u5929\u3002"),
    ("30\u5929", "\uff13\uff10 \u5929"),
    ("5\u6708", "2024\u5e745\u67083\u65e5"),
    ("\u30b3\u30fc\u30d2\u30fc", "\u30b3\u30fc\u30d2\u30fc\u3092\u98f2\u3080"),
    ("\uff76\uff85", "\u30ab\u30ca"),
    (
        "\u0e01\u0e23\u0e38\u0e07\u0e40\u0e17\u0e1e",
        "\u0e2d\u0e22\u0e39\u0e48\u0e17\u0e35\u0e48\u0e01\u0e23\u0e38\u0e07\u0e40\u0e17\u0e1e\u0e04\u0e23\u0e31\u0e1a",
    ),
    ("\uc11c\uc6b8", "\uc11c\uc6b8\uc740 \uc218\ub3c4\uc774\ub2e4."),
    ("\uc11c\uc6b8", "\uc11c\uc6b8\uc785\ub2c8\ub2e4."),
    ("\U0001f44d", "\U0001f44d"),
    ("\U0001f44d", "Great\U0001f44d!"),
    ("\u2764\ufe0f", "\u2764"),
    # programming
    ("C++", "It is C++."),
    ("C#", "C#, of course"),
    (".NET", "the .NET runtime"),
    ("node.js", "Node.js"),
    ("config.toml", "in `config.toml`"),
    ("x = 5", "x=5"),
    ("a == b", "if a==b:"),
    ("&&", "Use && here."),
    ("&&", "a&&b"),
    ("->", "It is `->`."),
    (";", "a semicolon: `;`"),
    ("-", "-"),
    ("*", "The operator *"),
    ("a@b.com", "Write to a@b.com."),
    ("my_var", "`my_var`"),
    ("Disney+", "Disney+"),
    ("A+", "Grade A+."),
    ("", ""),
    (" ", "\n"),
]

WRONG = [
    ("A", "The"),
    ("A", ""),
    ("A", "B"),
    ("A", "A cat"),
    ("A", "a cat sat"),
    ("A", "A+"),
    ("A", "an"),
    ("A", "A- "),
    ("I", "I think it is B."),
    ("Vitamin A", "Vitamin C"),
    ("Vitamin A", "a vitamin"),
    ("T", "I don't know"),
    ("3.5", "35"),
    ("3.5", "3.55"),
    ("3.5", "13.5"),
    ("3.14", "3.141"),
    ("1.5 days", "15 days"),
    ("30 days", "300 days"),
    ("30 days", "3 days"),
    ("30 days", "30 weeks"),
    ("30", "1930"),
    ("300", "3,000"),
    ("1,000", "1.000"),
    ("-5 degrees", "5 degrees"),
    ("5 degrees", "-5 degrees"),
    ("-5", "3-5"),
    ("5", "3-5"),
    ("5", "\u22125"),
    ("5", "<5"),
    ("<5", ">5"),
    ("\u00b15", "5"),
    ("\u22645", "<5"),
    ("1/2", "12"),
    ("1/2", "11/2"),
    ("2\u00bd", "21/2"),
    ("102", "10\u00b2"),
    ("1.10", "110"),
    ("1.10", "1.1"),
    ("1.1", "1.1.2"),
    ("2-3 days", "23 days"),
    ("3 days", "2-3 days"),
    ("10:30", "10:31"),
    ("4:3", "43"),
    ("1:50", "150"),
    ("2024-05-12", "2024-05-21"),
    ("12/05/2024", "12052024"),
    ("1st", "21st"),
    ("1830", "the 1830s"),
    ('"', "Paris"),
    ("5%", "5"),
    ("5%", "0.5%"),
    ("$5", "$50"),
    ("$5", "\u20ac5"),
    ("$5", "5"),
    ("\u00a35", "$5"),
    ("5 m", "5 m/s"),
    ("5 m", "5 m\u00b2"),
    ("5 km", "5 m"),
    ("5 kg", "5 g"),
    ("20 \u00b0C", "20 \u00b0F"),
    ("C++", "C#"),
    ("C", "C++"),
    ("C", "C#"),
    ("C", "Objective-C"),
    ("C++", "C"),
    ("Java", "JavaScript"),
    ("Disney", "Disney+"),
    ("++", "--"),
    ("&&", ""),
    ("&&", "||"),
    ("==", "==="),
    ("a == b", "a != b"),
    ("x > 5", "x < 5"),
    (";", "a;b"),
    (".", "Paris."),
    ("toxic", "non-toxic"),
    ("no", "I do not know."),
    ("art", "start"),
    ("Paris", ""),
    ("Paris", "Pari"),
    ("", "Paris"),
    ("\u5317\u4eac", "\u5357\u4eac"),
    ("5\u6708", "15\u6708"),
    ("\ub300\uad6c", "\ud574\uc6b4\ub300\uad6c"),
    ("\uc11c\uc6b8", "\uc11c\uc6b8\uc5ed"),
    ("\u0e01\u0e32", "\u0e01\u0e48\u0e32"),
    ("\U0001f44d", "\U0001f44e"),
    ("caf\u00e9", "caf\u00e8"),
]


def grade(gold, answer):
    (value,) = Phrase().grade([(Question("?", gold), answer)])
    return value


@pytest.mark.parametrize(("gold", "answer"), RIGHT)
def test_what_a_person_calls_right(gold, answer):
    assert grade(gold, answer) == 1.0


@pytest.mark.parametrize(("gold", "answer"), WRONG)
def test_what_a_person_calls_wrong(gold, answer):
    assert grade(gold, answer) == 0.0


texts = st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc", "Cf", "Co")), max_size=12)


@given(texts)
def test_a_gold_answer_is_itself(text):
    assert grade(text, text) == 1.0


words = st.sampled_from(["Selx", "Torvik", "1843", "3.5", "-5", "C++", "30%", "東京", "A"])


@given(words, words, words)
def test_a_gold_answer_stands_in_any_sentence(before, gold, after):
    assert grade(gold, f"{before}, {gold}, {after}.") == 1.0


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_two_integers_are_equal_only_if_they_are(one, other):
    assert grade(str(one), f"It is {other}.") == float(one == other)
    assert grade(f"{one:,}", f"It is {other}.") == float(one == other)


@given(st.decimals(-1000, 1000, places=2), st.decimals(-1000, 1000, places=2))
def test_two_decimals_are_equal_only_if_they_are(one, other):
    assert grade(f"{one:f}", f"It is {other:f}.") == float(str(one) == str(other))


@pytest.mark.parametrize(
    "piece", ["1 000", "1,000", "a.", "a. ", "a-", "'", "$", "-", "9:30", "C++", "\u6771", "A ", "1-", "1/"]
)
def test_long_answers_take_no_time(piece):
    assert grade("Selx", piece * 20_000) == 0.0


def test_tokens_are_what_is_compared():
    assert tokens("The 3.5 %, or C++") == ["3.5", "percent", "or", "c++"]
