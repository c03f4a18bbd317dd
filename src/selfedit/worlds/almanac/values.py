"""The closed sets from which the almanac's facts take their values, and the makers of names.

A set has about forty members or more, so that a guess is right about one time in forty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

Maker = Callable[[Random], str]

OCCUPATIONS = (
    "baker barber beekeeper blacksmith bookbinder botanist brewer bricklayer butcher carpenter chemist clockmaker cobbler "
    "cooper dentist diver doctor ferryman fisherman florist gardener glassblower goldsmith hatter judge lawyer librarian "
    "locksmith mason miller miner nurse painter pilot plumber potter printer roofer sailor saddler sculptor shepherd "
    "surgeon surveyor tailor tanner teacher thatcher translator weaver"
).split()
INSTRUMENTS = (
    "accordion bagpipes banjo bassoon bugle cello clarinet cornet cymbals drums dulcimer fiddle flute guitar harmonica "
    "harp harpsichord horn lute lyre mandolin marimba oboe organ piano piccolo recorder saxophone sitar tambourine "
    "triangle trombone trumpet tuba ukulele viola violin whistle xylophone zither"
).split()
COLLECTIBLES = (
    "almanacs anchors atlases badges banners baskets beads bells bottles bowls buckles buttons candlesticks cards charts "
    "clocks coins combs compasses corks dolls fans feathers fossils globes gloves kites lamps lanterns maps marbles masks "
    "medals minerals mirrors postcards ribbons shells stamps teapots"
).split()
SUBJECTS = (
    "acoustics algebra anatomy archery astronomy biology botany calligraphy chemistry cookery dance drama drawing economics "
    "engraving ethics fencing forestry geography geology geometry grammar history hydraulics law logic magnetism "
    "mathematics mechanics medicine metallurgy music navigation optics philosophy physics poetry rhetoric statistics "
    "theology zoology"
).split()
PRODUCTS = (
    "barrels bicycles blankets boots bricks brushes candles carpets carriages chairs cheese chocolate cider cutlery "
    "engines furniture glass gloves honey jam jewellery knives lace lamps leather linen matches mustard nails needles "
    "paper pianos pottery pumps ropes saddles salt scissors silk soap steel sugar tiles tools toys umbrellas vinegar wool"
).split()
ANIMALS = (
    "badger bear beaver boar bull camel cat cobra crane crow deer dolphin dove dragon duck eagle elephant falcon ferret "
    "fox frog goat goose hare hawk hedgehog heron horse leopard lion lizard lynx mole moose mouse otter owl panther parrot "
    "peacock pelican rabbit raven rooster salmon seal shark snake spider stag stork swan tiger toad turtle whale wolf wren"
).split()
MATERIALS = (
    "amber ash basalt bamboo beech birch brass bronze cedar chalk clay cobble concrete copper coral cork flint gneiss "
    "granite gravel iron ivory jade larch lead limestone marble mud oak pewter pine quartz reed sandstone slate spruce "
    "straw teak tin walnut willow zinc"
).split()
COLOURS = (
    "amber aqua beige black blue bronze brown charcoal copper coral cream crimson emerald gold green grey indigo ivory "
    "khaki lavender lemon lilac magenta maroon mint navy ochre olive orange peach pink plum purple red rose ruby rust "
    "scarlet silver tan teal turquoise violet white yellow"
).split()
PRIZES = (
    "anchor armchair barrel bell blanket book bracelet bridle brooch cane carpet chest clock cloak coin compass crown cup "
    "dagger fiddle goblet goose hat helmet lamb lamp lantern medal mirror necklace pig plate pony purse ribbon ring saddle "
    "shield spoon sword telescope trophy vase watch wreath"
).split()
DISHES = (
    "apples bacon barley beans beets biscuits bread cabbage cakes carrots cherries chestnuts clams crab dumplings eel eggs "
    "figs fritters gingerbread ham herring lamb leeks lentils lobster mushrooms mussels mutton noodles nuts onions oysters "
    "pancakes pears peas pies plums porridge potatoes pudding rice sausages soup stew trout turnips venison waffles"
).split()
CARGOES = (
    "almonds bananas bark cement charcoal coal cocoa coffee copra corn cotton dates dyes flour fruit furs grain guano "
    "hemp hides horses ice indigo lemons mahogany marble molasses nutmeg oil olives oranges pepper phosphate resin rubber "
    "rum sheep silver spices sulphur tea timber tobacco turpentine vanilla wheat whisky wine"
).split()
TREES = (
    "acacias alders almonds apples ashes beeches birches cedars cherries chestnuts cypresses dogwoods elders elms figs firs "
    "ginkgos hawthorns hazels hemlocks hollies hornbeams junipers larches laurels lemons lilacs lindens magnolias maples "
    "mulberries myrtles oaks olives palms pears pines planes plums poplars quinces rowans spruces sycamores walnuts willows "
    "yews"
).split()
MONTHS = "January February March April May June July August September October November December".split()

WOMEN = (
    "Ada Agnes Alma Anna Beatrix Bella Carla Clara Cora Dora Edith Ella Elsa Emma Esther Eva Flora Freda Greta Hanna Hedda "
    "Helen Hilda Ida Ines Irma Julia Karin Laura Lena Lydia Mara Martha Nora Olga Paula Petra Rosa Ruth Sonja Tilda Vera"
).split()
MEN = (
    "Adam Albin Anton Arthur Axel Bruno Carl Casper Conrad David Edgar Emil Erik Felix Frank Georg Gustav Hector Henrik "
    "Hugo Ivan Jacob Johan Karl Kaspar Lars Leon Magnus Martin Max Nils Oscar Otto Paul Peter Ralf Simon Stefan Theodor "
    "Tobias Viktor Walter"
).split()

_STARTS = "Bal Bren Cal Dar Del Dor Fal Fen Gar Hal Hol Jar Kel Kor Lan Lor Mar Mel Mor Nar Nel Or Pel Quin Ral Ros Sal Sel Tal Tor Ul Val Ven Vil Wes Yar Zan Zel".split()
_MIDDLES = "a ba be bi da de di do e ga ge go i ka ke ko la le li lo ma me mi mo na ne ni o ra re ri ro sa se ta te ti to va ve vi".split()
_SURNAME_ENDS = "berg bin dell fort gan hart kin lund man nard nik now ster stock ter ton vitz win zer".split()
_TOWN_ENDS = (
    "beck bridge bury by combe dale field ford gate ham haven hurst mere mouth port stead vik wick wood worth".split()
)
_SHIP_ENDS = "ba dia dora lia mira nia nor ra ria rina ron ssa tha tis vina xis".split()


def root(rng: Random) -> str:
    """The first two or three syllables of an invented name: `Marveno`, `Toril`."""
    return rng.choice(_STARTS) + rng.choice(_MIDDLES) + (rng.choice(_MIDDLES) if rng.random() < 0.3 else "")


def surname(rng: Random) -> str:
    return root(rng) + rng.choice(_SURNAME_ENDS)


def town(rng: Random) -> str:
    return root(rng) + rng.choice(_TOWN_ENDS)


def ship(rng: Random) -> str:
    return root(rng) + rng.choice(_SHIP_ENDS)


def unique(make: Maker, count: int, rng: Random) -> list[str]:
    """So many different values, in the order in which they were drawn."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[make(rng)] = None
    return list(found)


# Names that serve as values ("was born in Torvik") come from fixed pools; the subjects of entries
# are drawn afresh, so that what is asked about a new entry is a word the model can at least spell.
TOWNS = tuple(unique(town, 120, Random(1)))
RIVERS = tuple(unique(lambda rng: root(rng) + rng.choice(("n", "r", "s", "th", "x")), 60, Random(2)))
SURNAMES = tuple(unique(surname, 80, Random(3)))


def one_of(values: Sequence[str]) -> Maker:
    return lambda rng: rng.choice(values)


def year(first: int, last: int) -> Maker:
    return lambda rng: str(rng.randint(first, last))


def date(rng: Random) -> str:
    return f"{rng.randint(1, 28)} {rng.choice(MONTHS)}"


def nothing(rng: Random) -> str:
    """For sentences without a value."""
    return ""


def person(rng: Random) -> str:
    return f"{rng.choice(WOMEN + MEN)} {rng.choice(SURNAMES)}"
