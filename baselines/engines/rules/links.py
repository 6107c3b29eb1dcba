"""The relations of a nested question: how English asks for them, and how it states them.

A link leads from one thing to another, as from a film to its director or from a person to a birthplace. The
table is a stand-in for a reader's knowledge of synonyms: general English, tied to no data set.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["person", "place", "organisation", "work", "maker"]


class Link(NamedTuple):
    """One relation.

    Attributes:
        name: what it is called here.
        asked: how a question names it.
        stated: what a sentence that states it holds, in tiers, the surest first.
        kind: what it leads to; a *maker* is a person, a group or an organisation.
        where: whether it leads to where something is, so that *the place of the seat of X* is one step.
        began: what a sentence holds that says when it came about, in tiers, when other words than ``stated``.
    """

    name: str
    asked: re.Pattern[str]
    stated: tuple[re.Pattern[str], ...]
    kind: Kind
    where: bool
    began: tuple[re.Pattern[str], ...]


def _words(text: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{text})\b", re.IGNORECASE)


def _link(
    name: str, kind: Kind, asked: str, *stated: str, where: bool = False, began: tuple[str, ...] = ()
) -> Link:
    tiers = tuple(_words(tier) for tier in stated)
    return Link(name, _words(asked), tiers, kind, where, tuple(_words(tier) for tier in began))


_FOUNDED = (
    r"founded|established|founding|foundation|set up",
    r"formed|created|opened|chartered?|incorporated|registered|register",
    r"started|began|since|dates? (?:from|back)",
)
LINKS: Final[tuple[Link, ...]] = (
    _link(
        "director",
        "person",
        r"directors?|directed|film-?makers?(?: who made)?",
        r"directed|directors?|direction|helmed",
        r"film by",
    ),
    _link(
        "author",
        "person",
        r"authors?|writers?|novelists?|playwrights?|wrote|written|penned",
        r"wrote|written|writers?|authors?|penned|work of|pen of",
        r"(?:novel|book|play|poem|story) by",
        began=(r"wrote|written|published|appeared",),
    ),
    _link(
        "composer",
        "person",
        r"composers?|composed|scored|(?:wrote|written) the (?:music|score)|(?:music|score) (?:of|for)"
        r"|compose[rd]s? (?:of )?the (?:music|score)(?: of| for)?",
        r"compos(?:er|ed|ition)|scored|(?:music|score|soundtrack) (?:is|was|by)|score",
        r"music|soundtrack",
    ),
    _link(
        "performer",
        "maker",
        r"performers?|performed|singers?|sang|sung|recorded|recording artist|heard on",
        r"performed|recorded|recordings?|sung|sang|performers?|singers?|musicians?|band",
        r"(?:album|song|single|record|track|ep) (?:by|of)",
        r"released",
    ),
    _link("producer", "maker", r"producers?|produced|production company", r"produced|producers?|production"),
    _link(
        "publisher",
        "organisation",
        r"publishers?|published|publishing (?:house|company)|brought out|issued|(?:record )?label|released",
        r"publish(?:ed|ers?|es)|imprint|issued|brought out|printed|released|label|signed (?:to|with)",
    ),
    _link(
        "founder",
        "person",
        r"founders?|founded|founding|foundation|set up|established|started|created|creators?|formed",
        r"found(?:ed|ers?)|set up|established|started|created|creators?|formed|owes (?:its|their) existence",
        began=_FOUNDED,
    ),
    _link(
        "employer",
        "organisation",
        r"employ(?:s|ed|er|ers)?|work(?:s|ed)? (?:for|at)|work(?:s|ed)?(?= last| now)|workplace",
        r"employ(?:s|ed|er|ers)?|work(?:s|ed|ing)? (?:for|at|with)|working life|staff|joined|career (?:at|with)|hired"
        r"|entered the service|moved to",
        r"professor|taught|lecturer|work|left for",
    ),
    _link(
        "mayor",
        "person",
        r"mayors?|mayoress",
        r"mayors?|mayoress",
    ),
    _link(
        "head",
        "person",
        r"(?:at the )?head(?= of)|heads?|headed|principals?|headmaster|headmistress|in charge(?: of)?|runs?|ran"
        r"|led|leads|leaders?|chief executive|ceo|chair(?:man|woman|person)|chancellor|organi[sz](?:ed|ers?)",
        r"head(?:s|ed)?|principals?|headmaster|headmistress|in charge|runs?|ran|led|leads?|leaders?|chief executive"
        r"|ceo|chair(?:man|woman|person)|chancellor|leadership|took over|management|organi[sz](?:ed|ers?)",
    ),
    _link(
        "spouse",
        "person",
        r"spouses?|wife|husband|married|marry|widow(?:er)?|consort",
        r"married|spouse|wife|husband|widow(?:er)?|consort|marriage|wed",
    ),
    _link("mother", "person", r"mothers?", r"mother"),
    _link("father", "person", r"fathers?", r"father", r"(?:son|daughter|child) of"),
    _link(
        "birthplace",
        "place",
        r"birthplace|(?:place|date|year|day|town|city|country) of birth|birth ?(?:date|day)|born|native (?:town|place)",
        r"born|birthplace|birth|native",
        where=True,
    ),
    _link(
        "deathplace",
        "place",
        r"(?:place|date|year) of death|died|die|death",
        r"died|death|dead",
        where=True,
    ),
    _link(
        "school",
        "organisation",
        r"educated|attended|attend|studied|study|alma mater|graduated|education|educat(?:ed|es)"
        r"|(?:school|college|university)(?= of\b)",
        r"educated|attended|stud(?:y|ied)|alma mater|graduated?|pupil|student|education|schooling",
    ),
    _link(
        "country",
        "place",
        r"(?:which|what) (?:country|nation)(?: (?:is|was) home to)?|in (?:which|what) (?:country|nation)"
        r"|country (?:of|where|in which)",
        r"country|belongs to|part of",
        r"lies|located|situated|stands",
        r"in|of",
        where=True,
    ),
    _link(
        "headquarters",
        "place",
        r"headquarters?(?: location)?|headquartered|head office|seat(?: of)?|based(?! on\b)",
        r"headquarter(?:s|ed)|head office|seat|based|offices|premises",
        r"located|situated|lies|stands?|landmark|place of|moved to",
        r"in",
        where=True,
    ),
    _link(
        "host",
        "place",
        r"host(?:s|ed)?|venue|held|took place|host (?:town|city|country)(?= of)",
        r"host(?:s|ed)?|held|took place|venue|staged|gathering",
        where=True,
    ),
    _link(
        "location",
        "place",
        r"home (?:to|of)|locat(?:ed|ion)|situated|stands?|lies?"
        r"|where (?:is|are|was) (?=the)"
        r"|in (?:which|what) (?:town|city|village|place|county|state) (?:is|are|was) (?=the)",
        r"located|situated|lies|stands?|stood|home|landmark|skyline|headquarter(?:s|ed)|head office|based|seat|held",
        r"in",
        where=True,
    ),
    _link(
        "river",
        "place",
        r"(?:which|what) river(?: (?:flows?|runs?) (?:through|past|by))?"
        r"|river (?:that|which) (?:flows?|runs?) (?:through|past|by)|river (?:of|at)",
        r"flows?|rivers?|banks?|ford",
    ),
    _link(
        "twin",
        "place",
        r"twin(?:s|ned)?(?: (?:with|of|town|city))?|sister (?:city|town)",
        r"twin(?:s|ned|ning)?|sister (?:city|town|cities|towns)|partner",
    ),
    _link(
        "owner",
        "maker",
        r"own(?:s|ed)|owners?|belongs? to",
        r"own(?:s|ed)|owners?|belong(?:s|ed)|property|bought|acquired|sold to|possession|hands",
    ),
    _link(
        "sponsor",
        "maker",
        r"sponsors?|sponsored|financed|funded|paid for",
        r"sponsor(?:s|ed|ship)?|financed|funded|paid|costs|expenses|backed",
    ),
    _link(
        "designer",
        "person",
        r"designers?|designed|architects?",
        r"design(?:ed|er|ers|s)?|architects?|plans|drew|drawn",
    ),
    _link(
        "source",
        "work",
        r"based on|on which\b.*?\bbased|based|adapted|adaptation|(?:literary )?source",
        r"based|adapt(?:ed|ation|s)|version",
        r"plot|story|follows|source",
    ),
)
"""The relations, each with its synonyms."""

TYPE_NOUNS: Final = re.compile(
    r"\b(?:person|people|man|woman|someone|one|musician|artist|actor|actress|politician|company|firm|business"
    r"|organi[sz]ation|town|city|village|place|country|nation|school|college|university|institution|novel|book|film"
    r"|movie|album|song|work|play|year|date|name|bridge|tower|event|location)\b",
    re.IGNORECASE,
)
"""Nouns that say only what sort of thing is meant."""

NOW: Final = re.compile(
    r"\b(?:now|current|currently|present|presently|today|last|latest|latterly|recent|recently|still|newest)\b",
    re.IGNORECASE,
)
"""Words that ask for the latest state of a thing."""
