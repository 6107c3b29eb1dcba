"""The sentences of the generated world: what its paragraphs say, in several wordings.

Templates are filled from an entity (see ``entities``): ``{s}`` is its name, ``{o}`` the object of the
fact, the other slots are drawn on first use and then stay the entity's own. Structures and events take an
article, so their templates write "the {s}".
"""

from __future__ import annotations

from typing import NamedTuple


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(" ".join(phrase.split()) for phrase in text.split(","))


class Lead(NamedTuple):
    """An opening sentence, and the facts that it states."""

    states: frozenset[str]
    text: str


def _lead(text: str, *states: str) -> Lead:
    return Lead(frozenset(states), text)


LEADS: dict[str, tuple[Lead, ...]] = {
    "person": (
        _lead("{s} ({dates}) {was} {a_nat} {job}.", "birth", "death", "life", "nat", "job"),
        _lead("{s} {was} {a_nat} {job}, best remembered for {his} work with {things}.", "nat", "job"),
        _lead(
            "{s} ({dates}) {was} known mainly for a long association with {person1}.",
            "birth",
            "death",
            "life",
        ),
        _lead(
            "{s} {was} among the {more_or_less} celebrated figures of a generation that came of age in {town1}."
        ),
        _lead("{s} {was} a figure of some standing, remembered today for an interest in {things}."),
    ),
    "town": (
        _lead("{s} is a town in {country}.", "country"),
        _lead("{s} is a market town in the {side} of {country}, first recorded in {year}.", "country"),
        _lead("{s} is a town that was first recorded in {year}."),
        _lead("{s} is an old settlement which received its charter in {year}."),
        _lead("{s} is a town on the {river}, known for its {trade}.", "river"),
    ),
    "film": (
        _lead("{s} is a {year} {nat} {genre} film directed by {director}.", "release", "nat", "director"),
        _lead("{s} is {a_nat} {genre} film scored by {composer}.", "nat", "composer"),
        _lead("{s} is a {genre} film produced by {company}.", "company"),
        _lead("{s} is a {year} {genre} film about {theme}.", "release"),
        _lead("{s} is a {genre} film about {theme}."),
        _lead("{s} is {a_nat} {genre} film starring {person1} and {person2}.", "nat"),
    ),
    "novel": (
        _lead("{s} is a novel by {author}, first published in {year}.", "author", "release"),
        _lead("{s} is a {genre} novel written by {author}.", "author"),
        _lead("{s} is a {genre} novel issued by {publisher}.", "publisher"),
        _lead("{s} is a novel about {theme}, published in {year}.", "release"),
        _lead("{s} is a {genre} novel about {theme}."),
        _lead("{s} is {a_nat} novel told in {n} short chapters.", "nat"),
    ),
    "album": (
        _lead("{s} is a studio album by {performer}, released in {year}.", "performer", "release"),
        _lead("{s} is an album recorded by {performer} over {n} days.", "performer"),
        _lead("{s} is a {music} album released by {label}.", "label"),
        _lead("{s} is a {music} album that came out in {year}.", "release"),
        _lead("{s} is a {music} album of {n_small} songs about {theme}."),
    ),
    "company": (
        _lead("{s} is a firm founded by {founder}.", "founder"),
        _lead("{s} is {a_nat} firm established in {inception}.", "inception", "nat"),
        _lead("{s} is {a_nat} business known for its {trade}.", "nat"),
        _lead("{s} is a privately held business that has survived two wars and a fire."),
        _lead("{s} is a family business with customers in {country2} and {country3}."),
    ),
    "school": (
        _lead("{s} is a school founded by {founder}.", "founder"),
        _lead("{s} is a place of learning in {location}.", "location"),
        _lead("{s} is an institution that opened its doors in {inception}.", "inception"),
        _lead("{s} is an institution known for the teaching of {subject}."),
        _lead("{s} is an independent school with about {hundreds} pupils."),
    ),
    "structure": (
        _lead("The {s} is a landmark designed by {architect}.", "architect"),
        _lead("The {s} is a landmark in {location}.", "location"),
        _lead("The {s} is a landmark that was opened in {opening}.", "opening"),
        _lead("The {s} is a listed landmark built of {material}."),
        _lead("The {s} is a much photographed work of engineering."),
    ),
    "event": (
        _lead("The {s} was an undertaking led by {leader}.", "leader"),
        _lead("The {s} was a gathering held in {venue}.", "venue"),
        _lead("The {s} was an event that took place in {held}.", "held"),
        _lead("The {s} was an event followed by newspapers in {n_small} countries."),
        _lead("The {s} was a much publicised event with {hundreds} registered participants."),
    ),
}

FACTS: dict[str, dict[str, tuple[str, ...]]] = {
    "person": {
        "spouse": (
            "{s} was married to {o}.",
            "In {wedding} {s} married {o}, whom {he} had met in {town8}.",
            "{s} and {o} were married in a small ceremony in {wedding}.",
        ),
        "father": (
            "{s} was a child of {o}, who was the father of {n_few} others.",
            "The father of {s} was {o}.",
            "{o} was the father of {s} and encouraged {his} early interests.",
        ),
        "mother": (
            "The mother of {s} was {o}.",
            "{s} was brought up by {his} mother, {o}.",
            "{o} was the mother of {s} and taught {him} to read.",
        ),
        "birthplace": (
            "{s} was born in {o}.",
            "{s} was born in the town of {o}, the {nth} child of a large family.",
            "{o} was the birthplace of {s}, whose family had moved there only a year before.",
        ),
        "school": (
            "{s} was educated at {o}.",
            "{s} attended {o}, where {he} won a prize for {subject}.",
            "A scholarship allowed {s} to study at {o}.",
        ),
        "birth": (
            "{s} was born on {o}.",
            "Parish records show that {s} was born on {o}.",
            "The birth of {s} was registered on {o}.",
        ),
        "death": (
            "{s} died on {o} after a short illness.",
            "{s} died on {o} and was buried in {town8}.",
        ),
        "life": (
            "{s} was born on {birth} and died on {death}.",
            "Born on {birth}, {s} died on {death}.",
        ),
        "nat": (
            "{s} was a citizen of {country}.",
            "Throughout {his} life {s} kept the citizenship of {country}.",
        ),
        "job": (
            "{s} worked as {a_job}.",
            "By profession {s} was {a_job}.",
        ),
        "employer": (
            "{s} spent most of {his} working life with {o}.",
            "{s} was for many years on the staff of {o}.",
        ),
    },
    "town": {
        "twin": (
            "{s} is twinned with {o}.",
            "Since {later1} {s} has been twinned with {o}.",
            "{s} maintains a twin-town agreement with {o}.",
        ),
        "country": (
            "{s} lies in {country}.",
            "{s} belongs to {country}, whose border is some {n} kilometres away.",
        ),
        "river": (
            "{s} stands on the {o}.",
            "The {o} flows through {s} and floods its lower streets about once a decade.",
            "{s} grew up around a ford across the {o}.",
        ),
        "mayor": (
            "The mayor of {s} is {o}.",
            "{s} is governed by a council under its mayor, {o}.",
        ),
        "population": (
            "{s} has a population of {o}.",
            "The population of {s} is {o}.",
        ),
    },
    "film": {
        "director": (
            "{s} was directed by {o}.",
            "{o} directed {s} from a script by {person3}.",
            "The direction of {s} was entrusted to {o}, who rewrote the ending twice.",
        ),
        "composer": (
            "The music for {s} was composed by {o}.",
            "{o} composed the score of {s} in less than {n_few} weeks.",
            "{s} has a score by {o}, recorded with a small orchestra.",
        ),
        "company": (
            "{s} was produced by {o}.",
            "{o} produced {s} on a modest budget.",
            "The production of {s} was financed by {o}.",
        ),
        "source": (
            "{s} is based on the novel {o}.",
            "The plot of {s} follows the novel {o} closely.",
            "{s} was adapted from the novel {o}.",
        ),
        "release": (
            "{s} was first shown in {o}.",
            "{s} reached cinemas in {o}.",
            "The premiere of {s} was held in {o}.",
        ),
    },
    "novel": {
        "author": (
            "{s} was written by {o}.",
            "{o} wrote {s} during a winter spent in {town8}.",
            "{s} is the work of {o}, who had begun it as a play.",
        ),
        "publisher": (
            "{s} was published by {o}.",
            "{o} published {s} in an edition of {thousands} copies.",
            "{s} appeared under the imprint of {o}.",
        ),
        "release": (
            "{s} was first published in {o}.",
            "{s} appeared in bookshops in {o}.",
            "The first edition of {s} is dated {o}.",
        ),
    },
    "album": {
        "performer": (
            "{s} was recorded by {o}.",
            "{o} recorded {s} after a tour of {country2}.",
            "{s} is usually counted among the best recordings of {o}.",
        ),
        "label": (
            "{s} was released by {o}.",
            "{o} released {s} after two other firms had declined it.",
            "{s} was issued on disc by {o}.",
        ),
        "producer": (
            "{s} was produced by {o}.",
            "{o} produced {s} and played on two of its tracks.",
        ),
        "release": (
            "{s} was released in {o}.",
            "{s} came out in the autumn of {o}.",
            "{s} went on sale in {o}.",
        ),
    },
    "company": {
        "founder": (
            "{s} was founded by {o}.",
            "{o} founded {s} with money borrowed from relatives.",
            "{s} owes its existence to {o}, who founded it in a rented workshop.",
        ),
        "inception": (
            "{s} was founded in {o}.",
            "{s} was entered in the trade register in {o}.",
            "{s} has been in business since {o}.",
        ),
        "headquarters": (
            "{s} has its head office in {o}.",
            "The headquarters of {s} are in {o}.",
        ),
        "chief": (
            "{s} is run by {o}.",
            "The head of {s} is {o}.",
        ),
        "employees": (
            "{s} has {o} employees.",
            "{s} employs {o} people.",
        ),
    },
    "school": {
        "founder": (
            "{s} was founded by {o}.",
            "{o} founded {s} with a legacy from an uncle.",
            "{s} goes back to {o}, who founded it for the children of weavers.",
        ),
        "location": (
            "{s} is situated in {o}.",
            "The buildings of {s} stand in {o}.",
            "{s} occupies a former barracks in {o}.",
        ),
        "inception": (
            "{s} was founded in {o}.",
            "{s} admitted its first pupils in {o}.",
            "The charter of {s} dates from {o}.",
        ),
        "principal": (
            "The principal of {s} is {o}.",
            "{s} is headed by its principal, {o}.",
        ),
    },
    "structure": {
        "architect": (
            "The {s} was designed by {o}.",
            "{o} designed the {s} after winning an open competition.",
            "The plans of the {s} were drawn up by {o}.",
        ),
        "location": (
            "The {s} is in {o}.",
            "The {s} was built in {o}.",
            "The {s} dominates the skyline of {o}.",
        ),
        "opening": (
            "The {s} was opened in {o}.",
            "The {s} was completed in {o}, two years late.",
            "Work on the {s} ended in {o}.",
        ),
        "length": (
            "The {s} is {o} metres long.",
            "The {s} has a total length of {o} metres.",
        ),
        "height": (
            "The {s} is {o} metres tall.",
            "The {s} rises to a height of {o} metres.",
        ),
        "owner": (
            "The {s} is owned by {o}.",
            "The {s} belongs to {o}.",
        ),
    },
    "event": {
        "leader": (
            "The {s} was led by {o}.",
            "{o} led the {s} and wrote its official report.",
            "The {s} was organised and led by {o}.",
        ),
        "venue": (
            "The {s} was held in {o}.",
            "The opening ceremony of the {s} was held in {o}.",
            "{o} was chosen to host the {s}.",
        ),
        "sponsor": (
            "The {s} was paid for by {o}.",
            "{o} sponsored the {s} in return for the right to use its emblem.",
            "The costs of the {s} were borne by {o}.",
        ),
        "held": (
            "The {s} took place in {o}.",
            "The {s} was held in the summer of {o}.",
            "Preparations for the {s} lasted until {o}, when it was finally held.",
        ),
    },
}

DATED: dict[str, dict[str, tuple[str, ...]]] = {
    "person": {
        "employer": (
            "As of {asof}, {s} was employed by {o}.",
            "In {asof} {s} was working for {o}.",
        )
    },
    "town": {
        "mayor": (
            "As of {asof}, the mayor of {s} was {o}.",
            "In {asof} {o} was the mayor of {s}.",
        ),
        "population": (
            "As of {asof}, {s} had a population of {o}.",
            "The census of {asof} counted {o} inhabitants in {s}.",
        ),
    },
    "company": {
        "headquarters": (
            "As of {asof}, {s} had its head office in {o}.",
            "In {asof} the headquarters of {s} were in {o}.",
        ),
        "chief": (
            "As of {asof}, {s} was run by {o}.",
            "In {asof} {o} was the head of {s}.",
        ),
        "employees": (
            "As of {asof}, {s} had {o} employees.",
            "In {asof} {s} employed {o} people.",
        ),
    },
    "school": {
        "principal": (
            "As of {asof}, the principal of {s} was {o}.",
            "In {asof} {s} was headed by its principal, {o}.",
        )
    },
    "structure": {
        "owner": (
            "As of {asof}, the {s} was owned by {o}.",
            "In {asof} the {s} belonged to {o}.",
        )
    },
}
"""Wordings that give the date at which a fact held; the superseded document of a revision uses these."""

UPDATES: dict[str, dict[str, tuple[str, ...]]] = {
    "person": {
        "employer": (
            "In {moved} {s} left for {o}, and stayed there for the rest of {his} career.",
            "In {moved} {s} changed employers and joined {o}, which {he} never left.",
        )
    },
    "town": {
        "mayor": (
            "In {moved} {o} was elected mayor of {s} and has held the office since.",
            "{o} became mayor of {s} after the elections of {moved} and has remained in office.",
        ),
        "population": (
            "By {moved} the population of {s} stood at {o}.",
            "The census of {moved} counted {o} inhabitants in {s}.",
        ),
    },
    "company": {
        "headquarters": (
            "In {moved} {s} moved its head office to {o}, where it has been since.",
            "The headquarters of {s} were transferred to {o} in {moved} and have stayed there.",
        ),
        "chief": (
            "In {moved} {o} took over as head of {s} and has run it since.",
            "{s} has been run since {moved} by {o}.",
        ),
        "employees": (
            "By {moved} {s} had {o} employees.",
            "The annual report of {moved} states that {s} employed {o} people.",
        ),
    },
    "school": {
        "principal": (
            "In {moved} {o} was appointed principal of {s} and has held the post since.",
            "{s} has had {o} as its principal since {moved}.",
        )
    },
    "structure": {
        "owner": (
            "In {moved} the {s} was sold to {o}, its owner since then.",
            "The {s} has belonged since {moved} to {o}.",
        )
    },
}
"""Wordings of the later document of a revision, which gives the date of the change."""

COLOUR: dict[str, tuple[str, ...]] = {
    "person": (
        "{He} grew up partly in {town2} and spent several summers on a farm near {town3} that an aunt had inherited.",
        "{His} early efforts drew little notice, and {he} earned a living by teaching at a night school in {town4}.",
        "As a young {man}, {he} travelled through {country2} and kept a diary that is now in an archive in {town5}.",
        "{He} spoke {n_few} languages and corresponded for many years with the {job2} {person2}.",
        "A cousin, {person3}, was {a_job3} of some reputation, and the press often mentioned both together.",
        "A street in {town6} has carried {his} name since {later2}, when a plaque was put up at its corner.",
        "{He} received the {prize} in {later1}, but did not travel to the ceremony.",
        "Friends described {him} as shy, and {he} seldom gave interviews or allowed {his} picture to be taken.",
        "{He} served for {n_few} years on a committee for the preservation of {things} in {town4}.",
        "{He} collected {things} and left the collection, with a handwritten catalogue, to a museum in {town7}.",
        "{He} was a keen {hobby} and took part in competitions well into middle age.",
        "An illness in {later1} kept {him} from work for nearly {n_few} months, which {he} spent reading by the sea.",
        "{His} letters, of which about {hundreds} survive, were edited by {person4} and are still quoted by scholars.",
        "{He} was often confused with the {job2} {person5}, to whom {he} was not related.",
        "{He} is said to have disliked {things} and to have avoided {town2} for that reason.",
        "In {later1} {he} gave a series of lectures in {town6}, which were attended by {hundreds} people.",
        "{He} shared a house in {town3} with the {job3} {person2} for a few years, until the two quarrelled.",
        "The {prize}, which {he} was expected to win in {later2}, went to {person4} instead.",
        "{He} learned {subject} from {person5}, a neighbour, and later said that no lessons had mattered more.",
        "{He} wrote a short handbook of {subject} for beginners, which sold {thousands} copies.",
    ),
    "town": (
        "Its {trade} was famous in the past and employed {hundreds} people when few other jobs were to be had.",
        "The oldest building in the town is a chapel of {material}, restored in {later1} after years of neglect.",
        "A fire in {later2} destroyed most of the houses around the square, later rebuilt in {material}.",
        "The railway line to {town1} was closed in {later3} and has since been turned into a path for walkers.",
        "The {job2} {person1} lived there for a time and left several descriptions of the view from the bridge.",
        "The town lies about {n} kilometres from {town2} and {n2} kilometres from {town3} by the old coach road.",
        "A museum of {things} attracts some {thousands} visitors a year, most of them in the summer months.",
        "Every spring the inhabitants celebrate a festival that recalls a visit by {person2}.",
        "Its coat of arms shows {emblem}.",
        "The local newspaper has appeared without a break since {later1} and is still printed on the premises.",
        "A monument to the {job3} {person3} stands in front of the town hall.",
        "The harbour of {town4} took over most of its trade in the course of the century.",
        "The footbridge to the station was paid for by subscription among {hundreds} families.",
        "Its grammar school counts the {job2} {person4} among its former pupils.",
        "A plan to merge the town with {town2} was rejected in {later3} by a narrow majority of those who voted.",
        "The climate is mild for the region, and {crop} is grown on the slopes to the {side}.",
    ),
    "film": (
        "It stars {person4} and {person5} in the leading roles, with a number of local people among the extras.",
        "Most of the outdoor scenes were shot near {town1}, where it rained for {n} days on end.",
        "Critics praised the photography but found the second half too long and the ending hard to believe.",
        "The part of the {job2} had first been offered to {person6}, who turned it down.",
        "The picture was shown at a festival in {town2} and won the {prize}.",
        "A restored print of {n2} minutes was presented in {later1} to an audience of critics and students.",
        "The costumes were lent by a theatre in {town3} and had to be returned every evening.",
        "It lost money at first but found an audience on television.",
        "The film's editor, {person7}, cut some {n} minutes after the first screening.",
        "Set in {country2}, the story turns on {theme2}.",
        "One reel was thought lost until it was found in a cellar in {town4} in {later2}.",
        "The dialogue was dubbed into {n_few} languages, and the dubbed versions differ in the last scene.",
        "A remake was announced in {later2} but never made, since the rights could not be cleared.",
        "The screenplay by {person8} went through {n_few} drafts before a version was agreed on.",
    ),
    "novel": (
        "The story follows {a_job2} who comes back to {town1} after many years and finds strangers in the house.",
        "Set in {country2}, it deals with {theme2}.",
        "Early reviews were cool, and only {hundreds} copies were sold in the first year.",
        "It was translated into {n_few} languages, first by {person1}, whose version is still in print.",
        "The book won the {prize} in {later1}, which brought it a much wider readership.",
        "The manuscript, with many corrections, is kept in a library in {town2} and may be seen on request.",
        "The {job3} {person2} is thought to be the model for the main character.",
        "A radio version with {person3} as the narrator was broadcast in {modern} in {n_small} parts.",
        "The opening chapter describes a journey by train from {town3} to {town4} in the middle of a snowstorm.",
        "The book is dedicated to {person4}, a friend from schooldays.",
        "A revised edition with a preface by {person5} followed in {later2}.",
        "Schools in {country3} put it on their reading lists, from which it was removed a generation later.",
        "An earlier draft bore a different title and ended with a wedding.",
    ),
    "album": (
        "The songs were written over {n_few} months in a rented house near {town1}.",
        "The cover shows a photograph of {town2} taken by {person1} from the roof of a department store.",
        "It reached number {n} in the charts of {country2} and stayed there for most of the summer.",
        "Reviewers admired the arrangements by {person2} but were divided over the lyrics.",
        "The string parts were added later in a church in {town3}, chosen for the sound of its empty nave.",
        "{person3} plays the {instrument} on {n_few} of the tracks.",
        "A single taken from it was played at the opening of a stadium in {town4}.",
        "It was reissued in {later1} with {n_few} recordings left off for lack of space.",
        "The title track deals with {theme2}.",
        "The album won the {prize} in {later1}.",
        "Only {thousands} copies of the first pressing were made, and collectors now pay high prices for them.",
        "The tour that followed ended early when {person4} broke an arm in {town5}.",
        "The last song is a version of a folk tune from {country3}, sung without accompaniment.",
    ),
    "company": (
        "It first made its name with {things} sold at a fair in {town1}, where it still keeps a stand.",
        "A strike in {later1} closed its works for {n} days and ended with the promise of a shorter week.",
        "Its archive, which holds {thousands2} drawings, is open to scholars.",
        "During a shortage in {later2} it bought a smaller rival from {person1} and took over its customers.",
        "The firm's emblem, {emblem}, was drawn by {person2} in an afternoon and has hardly changed.",
        "It opened a branch in {town2} in {later1}.",
        "A plan to sell shares to the public was dropped on the advice of {person3}.",
        "The firm lent money for a library in {town3}, which bears its name over the door.",
        "Its catalogue was for decades illustrated by the {job2} {person4}.",
        "It won the {prize} in {later2} for the best display of its trade.",
        "Exports to {country2} make up a third of its turnover, the rest being sold at home.",
        "The company keeps a small museum of {things}, open to visitors on the first Sunday of the month.",
        "A warehouse in {town4} was lost to a flood in {later3} and was not replaced.",
        "Its workers formed a brass band that once played in {town5} before a crowd of {thousands}.",
    ),
    "school": (
        "Its library holds {thousands} volumes and a collection of {things} that was given by a former pupil.",
        "The {job2} {person1} taught {subject} there for {n_few} years.",
        "A new wing of {material} was added in {later1} to make room for a growing number of boarders.",
        "Its rowing team has met that of a school in {town1} every year since {later2}.",
        "Girls and boys have been taught together since {later3}, although the change had been debated for decades.",
        "The school's crest shows {emblem}, and its motto speaks of patience.",
        "Its chapel was painted by {person2}, who accepted free lodging in place of a fee.",
        "During a war the pupils were moved to {town2} and lessons were held in a disused cinema.",
        "A bequest by {person3} pays for {n_small} scholarships a year.",
        "The annual prize for {subject} is named after {person4}.",
        "Its observatory was given to the town of {town3} in {later2}.",
        "Former pupils include the {job3} {person5}, who returned to give the prizes in {later1}.",
        "It is best known for its courses in {subject}, which draw pupils from {country2} and {country3}.",
    ),
    "structure": (
        "It was built with {material} brought by barge from {town1}, some of it taken from an older fort.",
        "Some {hundreds} labourers took part in the work, {n_few} of whom lost their lives.",
        "It was badly damaged by a storm in {later1} and repaired under the direction of {person1}.",
        "The {job2} {person2} made a well-known series of prints of it in every season of the year.",
        "Its lamps were converted to electricity long before those of {town4}.",
        "A scale model stands in a park in {town2} and is a favourite of children.",
        "It was added to the list of protected monuments in {later3} after {thousands} people had signed a petition.",
        "A toll was charged until {later2}, and the keeper's cottage can still be seen.",
        "It served as the setting of a film shot by {person3} in {modern}.",
        "A plaque recalls the visit of {person4} in {later1}.",
        "Its foundations rest on {n} piles of oak, which were inspected by divers in {modern}.",
        "Local people know it as the old lady of {town3}, a name of uncertain origin.",
        "A similar design by {person5} had been rejected as too costly by a commission of engineers.",
    ),
    "event": (
        "Delegates came from {country2}, {country3} and {n_small} other countries, many at their own expense.",
        "Bad weather delayed the beginning by {n_few} days, during which the guests were housed in schools.",
        "The {job2} {person1} gave the closing address.",
        "A commemorative stamp showing {emblem} was issued and is now sought by collectors.",
        "Its official photographer was {person2}, whose plates were long believed to be lost.",
        "The final accounts showed a small loss, which was covered by the town of {town1}.",
        "The {prize} was awarded to {person3} on the last day to general surprise.",
        "A dispute over {things} nearly brought it to an early end.",
        "Newspapers in {town2} printed daily reports by {person4}, who wrote under a borrowed name.",
        "Its records are kept in {town3} and fill {n} boxes.",
        "Plans to repeat it in {town4} came to nothing for want of money.",
        "Some {thousands} visitors were counted in all, more than anyone had expected.",
        "A book about it by {person5} appeared in {later1}.",
    ),
}

COUNTRIES: tuple[tuple[str, str], ...] = tuple(
    (name, nationality)
    for name, nationality in (
        pair.split(":")
        for pair in _words(
            """
            Arvonia:Arvonian Belmark:Belmarkian Carelia:Carelian Dorvania:Dorvanian Elmoria:Elmorian
            Fennmark:Fennmarkian Galdova:Galdovan Haldia:Haldian Istrovia:Istrovian Jorvenia:Jorvenian
            Kestria:Kestrian Lorvania:Lorvanian Morvenia:Morvenian Nordavia:Nordavian Ostravia:Ostravian
            Pelagonia:Pelagonian Quorland:Quorlandic Ravonia:Ravonian Selvania:Selvanian
            Tarsovia:Tarsovian Ulmaria:Ulmarian Valdoria:Valdorian Westmark:Westmarkian
            Yslandia:Yslandian Zelmora:Zelmoran Averland:Averlandic Brovia:Brovian Cordania:Cordanian
            Delvonia:Delvonian Estmark:Estmarkian Frelandia:Frelandian Gorvia:Gorvian Hestonia:Hestonian
            Ilvaria:Ilvarian Kurlavia:Kurlavian Lindavia:Lindavian Mardovia:Mardovian Novarra:Novarran
            Orlandia:Orlandian Pravonia:Pravonian Rethmark:Rethmarkian Savoria:Savorian
            Thessmark:Thessmarkian Umbravia:Umbravian Vestonia:Vestonian Wendovia:Wendovian
            Xantria:Xantrian Zarovia:Zarovian
            """
        )
    )
)
"""The invented countries of the world, with what is said of their people."""

MONTHS = _words(
    """
    January February March April May June July August September October November December
    """
)

JOBS = _words(
    """
    painter sculptor novelist poet composer architect botanist chemist geologist astronomer physician
    engineer economist historian linguist cellist pianist journalist playwright photographer explorer
    philosopher mathematician illustrator
    """
)

WORDS: dict[str, tuple[str, ...]] = {
    "things": _phrases(
        """
        old maps, clocks, folk songs, glassware, sea shells, playing cards, model ships, church bells,
        rare ferns, pocket watches, coins, butterflies, printed cotton, wooden toys, tramway tickets,
        ink drawings, barometers, fossils, lace, kites
        """
    ),
    "hobby": _phrases(
        """
        chess player, fencer, rower, mountaineer, beekeeper, swimmer, cyclist, skater, archer, gardener,
        billiards player, amateur violinist, bird watcher, sailor
        """
    ),
    "prize": tuple(
        f"{name} {kind}"
        for name in (
            "Golden Oak",
            "Silver Quill",
            "Blue Heron",
            "Iron Laurel",
            "White Rose",
            "Amber Star",
            "Linden",
            "Polaris",
        )
        for kind in ("Prize", "Medal", "Award")
    ),
    "genre": ("drama", "comedy", "crime", "war", "travel", "mystery", "romance", "historical"),
    "music": ("jazz", "folk", "soul", "rock", "pop", "blues", "chamber", "dance"),
    "theme": _phrases(
        """
        a quarrel between two brothers, the last days of a small port, a stolen painting, a strike in a
        shipyard, an unfinished railway, a doctor in a flooded valley, the building of a dam, a
        long-lost sister, a trial that divides a village, a school for pilots, a winter without trains,
        the heirs of a watchmaker, a failed expedition, two rival bakers, a lighthouse keeper's
        daughter, a forged will
        """
    ),
    "trade": _phrases(
        """
        wool, salt, leather, cider, pottery, boat building, printing, silk, cheese, bell founding,
        paper, rope, cutlery, lace
        """
    ),
    "material": _phrases(
        """
        red brick, granite, limestone, slate, oak and iron, sandstone, basalt, white marble
        """
    ),
    "emblem": _phrases(
        """
        a heron on a blue field, three keys, a crowned fish, a golden wheel, two crossed oars, a white
        tower, a fox beneath an oak, a silver anchor, a rising sun, an open book
        """
    ),
    "subject": _phrases(
        """
        geometry, botany, Latin, navigation, drawing, chemistry, music, geography, rhetoric, astronomy,
        mechanics, history
        """
    ),
    "crop": ("barley", "rye", "flax", "wheat", "clover", "maize", "buckwheat", "lavender"),
    "instrument": ("cello", "trumpet", "organ", "flute", "harp", "clarinet", "viola", "accordion"),
    "side": ("north", "south", "east", "west"),
    "nth": ("second", "third", "fourth", "fifth"),
    "n_few": ("three", "four", "five", "six", "seven"),
    "n_small": ("eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen"),
    "more_or_less": ("more", "less"),
}
"""Lists from which slots of the same name are filled."""
