"""Names for the generated world: pronounceable, unlimited, and never shared by two questions.

Every question has a number, its *block*, and owns what the block is mapped to: towns, firms and rivers are
built on stems of its own; a surname may serve several questions, but never with the same given names; a
title's noun may too, but never with the same adjectives. So two questions never share a full name, however
many there are, while the names inside one question share their parts.
"""

from __future__ import annotations

import functools
import math
import random
from dataclasses import dataclass
from typing import ClassVar

from atommem_env.text import digest


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(phrase.split()) for phrase in text.split(","))


@functools.lru_cache(maxsize=256)
def _step(size: int) -> int:
    """Return a multiplier coprime to ``size``, near its golden section: neighbours land far apart."""
    step = max(1, size * 618 // 1000)
    while math.gcd(step, size) != 1:
        step += 1
    return step


def scatter(code: int, size: int, radix: int, offset: int) -> int:
    """Permute the integers from 0 to ``size - 1``; ``radix`` divides ``size``.

    High and low digits change places half-way, so that evenly spaced codes meet every residue of ``radix``.
    """
    step = _step(size)
    high, low = divmod((code * step + offset) % size, radix)
    return ((low * (size // radix) + high) * step + offset) % size


_VOWELS = "aeiou"


@dataclass(frozen=True, slots=True)
class Grammar:
    """A bijection from the integers, from 0 up, to invented words.

    A word is onset, nucleus, any number of (junction, vowel) pairs, coda, ending. It can be read back, so
    two codes never give one word: no ending is the end of another, a coda is one letter, nuclei and vowels
    are vowels, and onsets and junctions are consonants.
    """

    onsets: tuple[str, ...]
    nuclei: tuple[str, ...]
    junctions: tuple[str, ...]
    codas: tuple[str, ...]
    endings: tuple[str, ...]

    def word(self, code: int, offset: int = 0) -> str:
        """Return word number ``code``, in an order that depends on ``offset``; short words come first."""
        size = len(self.onsets) * len(self.nuclei) * len(self.codas) * len(self.endings)
        middles = 0
        while code >= size:
            code -= size
            size *= len(self.junctions) * len(_VOWELS)
            middles += 1
        code = scatter(code, size, len(self.endings), offset)
        code, ending = divmod(code, len(self.endings))
        code, coda = divmod(code, len(self.codas))
        code, nucleus = divmod(code, len(self.nuclei))
        code, onset = divmod(code, len(self.onsets))
        word = self.onsets[onset] + self.nuclei[nucleus]
        for _ in range(middles):
            code, vowel = divmod(code, len(_VOWELS))
            code, junction = divmod(code, len(self.junctions))
            word += self.junctions[junction] + _VOWELS[vowel]
        return word + self.codas[coda] + self.endings[ending]


_ONSETS = _words("B Bl Br C Cl Cr D Dr F Fl G Gl Gr H J K L M N P Pr R S Sh St T Th Tr V W")
_NUCLEI = _words("a e i o u ai ea")
_JUNCTIONS = _words("l n r m d v nd lt rr st rn ll")
_CODAS = _words("l n r d s v")

SURNAMES = Grammar(
    _ONSETS,
    _NUCLEI,
    _JUNCTIONS,
    _CODAS,
    _words(
        "well man ley son croft wright ridge more lock win shaw worth ing ett ow ard er is gate stock dell stone "
        "wood land berg quist vane mont"
    ),
)
TOWNS = Grammar(
    _ONSETS,
    _NUCLEI,
    _JUNCTIONS,
    _CODAS,
    _words(
        "ford bury wick mouth haven stead holm combe thorpe minster bridge ham ton borough hurst leigh pool cliff "
        "burn market castle port"
    ),
)
FIRMS = Grammar(_ONSETS, _NUCLEI, _JUNCTIONS, _CODAS, _words("ex on ia ora ane is um ix ent ica ero alt"))
RIVERS = Grammar(_ONSETS, _NUCLEI, _JUNCTIONS, _CODAS, _words("el or ith ane ock una im ola ent ar us"))

GIVEN_NAMES: dict[bool, tuple[str, ...]] = {
    True: _words(
        """
        Ada Agnes Alice Alma Amelia Anita Astrid Audrey Beatrice Bella Bertha Bridget Camille Carla
        Cecilia Celia Clara Claudia Cora Dagmar Daisy Daphne Delia Dora Edith Eleanor Elsa Emilia Esther
        Eva Fanny Flora Frances Frida Gemma Gloria Greta Hannah Harriet Hazel Hedda Helena Hilda Imogen
        Ines Ingrid Irene Isabel Ivy Jane Joan Judith Julia June Karin Kirsten Laura Leah Lena Lilian
        Lotte Louisa Lucy Lydia Mabel Margaret Marion Martha Matilda Maud Mildred Minna Miriam Mona
        Nadia Nancy Naomi Nell Nora Olga Olive Paula Pearl Petra Philippa Rhoda Rosa Ruth Sarah Selma
        Sonia Stella Sylvia Teresa Una Vera
        """
    ),
    False: _words(
        """
        Adam Alan Albert Alec Alfred Ambrose Andrew Anton Arnold Arthur August Basil Bernard Bruno Carl
        Caspar Cecil Charles Clement Clive Conrad Cyril Daniel David Denis Dominic Duncan Edgar Edmund
        Edward Emil Eric Ernest Felix Francis Frank Franz Frederick George Gerald Gilbert Godfrey Gordon
        Graham Gregory Gustav Guy Harold Hector Henry Herbert Hugh Hugo Ivan Ivor Jacob James Jasper
        Jerome John Jonas Julian Karl Keith Kenneth Lambert Laurence Leo Leon Lewis Lionel Louis Magnus
        Malcolm Mark Martin Maurice Max Miles Morris Nathan Neville Nigel Norman Oliver Oscar Otto Owen
        Patrick Paul Percy Peter Philip Quentin Ralph Rupert
        """
    ),
}
"""Given names of women (true) and men."""

SECOND_NAMES: dict[bool, tuple[str, ...]] = {
    True: _words("Anne Grace Marie Rose Elise Maria Kate May"),
    False: _words("Thomas William Luke Robert Samuel Joseph Simon Victor"),
}
_INITIALS = "ABCDEFGHJKLMNPRSTVW"

ADJECTIVES = _words(
    """
    Amber Ancient Ashen Autumn Barren Bitter Blue Borrowed Bright Broken Burning Buried Carved Clouded
    Cobalt Cold Copper Crimson Crooked Crystal Dancing Darkened Distant Divided Drifting Drowned Dusty
    Eastern Emerald Empty Endless Faded Fallen Far Final First Floating Flooded Forgotten Fragile Frozen
    Gentle Gilded Glass Golden Green Grey Hidden Hollow Honest Idle Iron Ivory Jagged Kindly Last Latent
    Lonely Lost Lunar Marble Midnight Modest Moonlit Narrow Northern Painted Pale Paper Patient Quiet
    Ragged Restless Roaming Rusted Sacred Salted Scarlet Secret Severed Shallow Silent Silver Sleeping
    Southern Stolen Sunken Tender Twilight Vacant Velvet Wandering Wayward Weathered Western Winding
    """
)
NOUNS = _words(
    """
    Acre Anchor Anvil Arcade Archer Armada Atlas Aviary Avenue Balcony Ballad Banner Barge Basilica
    Bastion Bazaar Beacon Bell Boulevard Bower Bridle Bugle Cabin Canal Candle Canyon Caravan Carousel
    Cartographer Cathedral Cavern Cellar Chalice Chandelier Chapel Chariot Circus Citadel Cloister Coast
    Colony Compass Comet Corridor Courtyard Cradle Crossing Crown Delta Diary Doorway Drummer Dune Echo
    Eclipse Ember Engine Envoy Estuary Feather Ferry Fiddle Fjord Forge Fortress Fountain Galleon
    Gallery Garden Garland Gate Glacier Gondola Granary Grotto Guardian Hammer Harbour Harvest Hearth
    Herald Heron Highway Horizon Hourglass Island Journal Keeper Kettle Kingdom Labyrinth Lagoon Lantern
    Ledger Library Lighthouse Loom Lullaby Mansion Mariner Masquerade Meadow Merchant Mill Mirror
    Monsoon Monument Mosaic Nightingale Nocturne Oasis Obelisk Observatory Orchard Organ Outpost Palace
    Parade Passage Pavilion Pendulum Pharmacy Pilgrim Plateau Portrait Prairie Prophet Quarry Quartet
    Railway Ravine Reef Regatta Reservoir Ribbon Sailor Sanctuary Scholar Season Shepherd Shore Sparrow
    Staircase Station Storm Summit Tapestry Tavern Telescope Temple Theatre Threshold Throne Tide Torch
    Tower Valley Violin Voyage
    """
)
TAILS = _phrases(
    """
    of Winter, at Dawn, in the Rain, by the Sea, under Glass, of Glass, of Smoke, at Dusk, in Exile, of
    Ash, of Sand, in June, of Wolves, of Thieves, of Mercy, of Salt, on Fire, of Thorns, in Snow, of
    Strangers, at Low Tide, of Sorrow, of Silk, in Moonlight, of Honey, of the North, of the South, of
    Stone, of Spring, in Ruins, at Noon, of Rivers, of Ravens, of Kings, of Paper, of Hope, in the Wind,
    in March, of Clay, of Dust, of Tin, for Two, of Memory, of Doubt, in the Fog, of Light, of Shadows,
    without a Name, without Walls, on the Hill, on the Moor, on the River, in the West, of the East, of
    Sparks, of Grief, of Youth, of Brass, of Pearls, of Wool
    """
)
_TITLE_FORMS = (
    "The {}",
    "Return to the {}",
    "Beyond the {}",
    "Beneath the {}",
    "Letters from the {}",
    "Beside the {}",
)

_TOWN_PREFIXES = _words("Upper Lower Port Little Great East West New Old North South")
_TOWN_SUFFIXES = _words("Heath Green Cross Falls Sands Vale Moor Abbey Priory Common Magna Quay Regis")
_TOWN_FORMS = (
    *(prefix + " {}" for prefix in _TOWN_PREFIXES),
    *("{} " + suffix for suffix in _TOWN_SUFFIXES),
    *(f"{prefix} {{}} {suffix}" for prefix in _TOWN_PREFIXES for suffix in _TOWN_SUFFIXES),
)
_TOWN_SHORT_FORMS = len(_TOWN_PREFIXES) + len(_TOWN_SUFFIXES)  # none of these contains another

FIRM_FORMS: dict[str, tuple[str, ...]] = {
    "company": _phrases(
        """
        Shipping Company, Brewery, Foundry, Trading Company, Glassworks, Insurance, Paper Mills, Steel
        Works, Instruments, Bank, Textile Mills, Engineering, Chemicals, Timber Company, Railway Works,
        Ceramics, Clockworks, Sugar Refinery, Cable Company, Optical Works, Tobacco Company, Rope Works,
        Coal Company, Porcelain, Dairy Company, Salt Works
        """
    ),
    "studio": _phrases(
        """
        Pictures, Film Studios, Film Company, Productions, Films, Cinema Company, Motion Pictures,
        Screen Company
        """
    ),
    "label": _phrases(
        """
        Records, Recordings, Music, Sound Company, Gramophone Company, Discs, Phonograph Company
        """
    ),
    "press": _phrases(
        """
        Press, Books, Publishing House, Publishers, Book Company, Editions, Print House
        """
    ),
    "school": _phrases(
        """
        College, Academy, Institute, Grammar School, Polytechnic, School of Arts, University,
        Conservatory, Seminary, Technical School, Lyceum, School of Commerce
        """
    ),
    "bridge": _phrases(
        """
        Bridge, Viaduct, Footbridge, Aqueduct, Suspension Bridge, Railway Bridge, Road Bridge
        """
    ),
    "tower": _phrases(
        """
        Tower, Lighthouse, Monument, Clock Tower, Observation Tower, Water Tower, Bell Tower
        """
    ),
    "event": _phrases(
        """
        Expedition, Regatta, Festival, Exhibition, Congress, Conference, Jubilee, Rally, Symposium,
        Biennale, Air Race, Chess Tournament
        """
    ),
}
"""What may follow the invented word of an organisation, structure or event, by kind."""

_GROUP = 8  # given names, or adjectives, that a question owns with one surname, or noun
_GROUPS = 12
_WINDOW_SURNAMES = 512
_NOUN_PHRASES = len(NOUNS) * (len(TAILS) + 1)
_SURNAMES_EACH = 5
_TITLES_EACH = 3
_TOWNS_EACH = 4
_FIRMS_EACH = 4
_RIVERS_EACH = 24


class Names:
    """The names that one question owns, handed out one by one, each once.

    A *stem* is the part that related names share: a surname, a title's noun, a town's or firm's invented
    word. Stems are numbered from 0 (see ``stems``); names of one kind with one stem share that part.

    Args:
        block: the question's number, unique over all splits.
        seed: the world's seed; it changes which names a block owns.
        rng: decides the order in which names are handed out.
    """

    stems: ClassVar = {
        "person": _SURNAMES_EACH,
        "work": _TITLES_EACH,
        "town": _TOWNS_EACH,
        "firm": _FIRMS_EACH,
    }

    def __init__(self, block: int, seed: int, rng: random.Random) -> None:
        self._block = block
        self._offset = _offset(seed)
        self._rng = rng
        self._next: dict[tuple[str, int], int] = {}
        self._stems: dict[tuple[str, int], str] = {}
        self._owned: dict[tuple[str, int], tuple[str, int]] = {}

    def person(self, stem: int, female: bool) -> tuple[str, str]:
        """Return a person's full name, and that name without its middle initial (the same if it has none)."""
        surname, group = self._owned.get(("surname", stem)) or self._own("surname", stem)
        given = GIVEN_NAMES[female]
        lap, position = divmod(self._take("woman" if female else "man", stem, _GROUP), _GROUP)
        first = given[group + position]
        if lap:
            plain = f"{first} {_middle(lap - 1, SECOND_NAMES[female])} {surname}"
            return plain, plain
        if self._rng.random() < 0.2:
            initial = _INITIALS[int(self._rng.random() * len(_INITIALS))]
            return f"{first} {initial}. {surname}", f"{first} {surname}"
        return (plain := f"{first} {surname}"), plain

    def town(self, stem: int) -> str:
        """Return the name of a town."""
        form = _TOWN_FORMS[self._take("town", stem, _TOWN_SHORT_FORMS)]
        return form.format(self._stem("town", TOWNS, _TOWNS_EACH, stem))

    def firm(self, kind: str, stem: int) -> str:
        """Return the name of an organisation, structure or event; ``kind`` is a key of ``FIRM_FORMS``.

        When a stem has no form left, the next stem serves.
        """
        forms = FIRM_FORMS[kind]
        taken = self._take(kind, stem, len(forms))
        lap, position = divmod(taken, len(forms))
        if not lap:
            return f"{self._stem('firm', FIRMS, _FIRMS_EACH, stem)} {forms[position]}"
        town = self._stem("town", TOWNS, _TOWNS_EACH, (stem + lap) % _TOWNS_EACH)
        return f"{self._stem('firm', FIRMS, _FIRMS_EACH, stem)} and {town} {forms[position]}"

    def title(self, stem: int) -> str:
        """Return the title of a work."""
        noun, group = self._owned.get(("noun", stem)) or self._own("noun", stem)
        lap, position = divmod(self._take("title", stem, _GROUP), _GROUP)
        return _TITLE_FORMS[lap].format(f"{ADJECTIVES[group + position]} {noun}")

    def river(self) -> str:
        """Return the name of a river."""
        number = self._take("river", 0, _RIVERS_EACH) % _RIVERS_EACH
        return "River " + RIVERS.word(self._block * _RIVERS_EACH + number, self._offset)

    def _own(self, kind: str, stem: int) -> tuple[str, int]:
        """Return a word that the question shares with others, and the first of the names it alone adds to it.

        Every word is handed out once per group of given names (or adjectives). Surnames come in windows, so
        that the same ones return while the world is small.
        """
        words, each = (
            (_WINDOW_SURNAMES, _SURNAMES_EACH) if kind == "surname" else (_NOUN_PHRASES, _TITLES_EACH)
        )
        size = words * _GROUPS
        window, ticket = divmod(self._block * each + stem, size)
        number, group = divmod(scatter(ticket, size, _GROUPS, self._offset), _GROUPS)
        if kind == "surname":
            word = SURNAMES.word(window * _WINDOW_SURNAMES + number, self._offset)
        else:
            word = self._noun_phrase(number, window)
        self._owned[kind, stem] = word, group * _GROUP
        return self._owned[kind, stem]

    def _noun_phrase(self, number: int, window: int) -> str:
        """Return what follows the adjective of a title; invented words serve once the others are used up."""
        noun, tail = divmod(number, len(TAILS) + 1)
        if window:
            return f"{NOUNS[noun]} of {TOWNS.word((window - 1) * (len(TAILS) + 1) + tail, self._offset)}"
        return NOUNS[noun] if tail == len(TAILS) else f"{NOUNS[noun]} {TAILS[tail]}"

    def _stem(self, kind: str, grammar: Grammar, each: int, stem: int) -> str:
        key = (kind, stem)
        if key not in self._stems:
            self._stems[key] = grammar.word(self._block * each + stem, self._offset)
        return self._stems[key]

    def _take(self, kind: str, stem: int, size: int) -> int:
        """Return the next free number of (kind, stem); the first ``size`` come in an order of their own."""
        key = (kind, stem)
        count = self._next.get(key)
        if count is None:
            count = int(self._rng.random() * size) << 16
        self._next[key] = count + 1
        start, used = count >> 16, count & 0xFFFF
        return (start + used) % size if used < size else used


def _middle(number: int, seconds: tuple[str, ...]) -> str:
    """Return second name ``number``; when they are used up, two of them."""
    lap, position = divmod(number, len(seconds))
    return f"{seconds[lap - 1]} {seconds[position]}" if lap else seconds[position]


@functools.lru_cache(maxsize=64)
def _offset(seed: int) -> int:
    return int.from_bytes(digest("world names", seed)[:6], "little")
