"""Cities of the demo bank's customers and merchants: known ones, made-up small places, and what people type instead."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pipeline.sources.demo_draws import TABLE_SIZE, Floats, table
from pipeline.sources.demo_facts import COUNTRIES, Country

# Beginnings and endings of made-up small places, and what may follow them.
_FAMILIES: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "english": (
            "Ash Bar Beck Brad Bram Cal Chel Clay Cran Dun East Elm Fern Gar Hal Hart Hol Kil King Lang Mar Mel Nor Oak "
            "Pen Red Rush "
            "Sand Shel Stan Sut Thorn Wal West Whit Win Wood York",
            "bourne bridge burgh bury by combe dale den field ford ham hurst ley mere mouth stead stoke ton well wick worth",
            " Green",
        ),
        "slavic": (
            "Biel Boro Brze Chrza Czar Dobro Gra Jasie Kamie Kras Kro Lip Lubo Mal Miro Moro Nowo Olsz Ostro Pod Rado "
            "Sando Siero Skar Sta "
            "Stry Tarno Tru Wiel Zab Zagó Zie",
            "brzeg czyn dów gów gród niec nica nik now ków rów ryn sko szyn ślaw wice wiec wola zno",
            " Nowy",
        ),
        "french": (
            "Auber Beau Bel Bois Bour Cha Cler Cour Dam Fon Franche Gran Haute Lan Mar Meri Mont Neu Noir Pier Plai Pont "
            "Ro Rou Sain "
            "Tour Val Vau Ver Vieux Ville Vil",
            "beuge bourg champ court fontaine gnan gny lieu lles mont nay neuve rac sac sance sy tigny vert ville villiers",
            "-sur-Loire",
        ),
        "romanian": (
            "Alb Bac Bisti Boto Bra Buz Cala Cara Cluj Cra Dum Fra Gal Go Hune Laz Lup Med Mio Ora Petro Plo Rom Sat Sla "
            "Suce Tar Tul",
            "a asi ani easca eni esti eti goviste ia ila ita nesti oara ova rasi sani teni tita ului",
            " de Jos",
        ),
        "iberian": (
            "Alba Alco Alge Alma Ante Bar Bena Cala Cam Car Casa Cor Espi Fuen Gra Guada Lin Lor Mira Mon Olive Pala Pe "
            "Ribe Rio Sala Santa "
            "Tor Vala Vil",
            "bar cete cilla dao des dosa dra gal gos guer joz lar lejo lva mar neda nhos ra rejo res rosa ta vedra zares",
            " del Río",
        ),
        "baltic": (
            "Aluk Bir Dau Garg Grob Jel Jo Kau Kel Kre Kul Lie Mad Maž Nau Pala Pane Plun Ras Rok Sal Sig Tal Tau Uk Vil Zar",
            "aiciai aja ava ene eikiai ene gala iai iniai ininkai iskis ka mala mere nai ngė nieki ova pils rags savas ulda upe",
            " kaimas",
        ),
        "german": (
            "Alt Bad Berg Blan Bruch Dach Ebers Eich Fels Frei Gross Grün Hal Hei Hoch Kirch Kron Lauter Lin Markt Neu "
            "Nieder Ober Reich Rosen "
            "Stein Tann Unter Wald Wein Wester",
            "ach au bach berg brunn burg dorf feld furt hausen heim hofen hoven horst ingen kirchen rode stadt stedt tal wil",
            " am See",
        ),
        "greek": (
            "Aga Akro Ano Argo Del Dra Ela Gala Kala Kato Lar Lef Liva Mega Meso Nea Palio Pera Pla Poli Rod Sta Vari Xylo",
            "chora dia issa kara kastro kes loni mari mena nthi polis poli res rigia sari tana toupoli tsi vala",
            " Attikis",
        ),
        "italian": (
            "Alta Bella Borgo Cala Cam Castel Civi Fia Fonta Gar Gra Lu Mar Mira Mon Monte Nova Orta Pia Ponte Rocca San "
            "Serra Sira Tor Val Vigna",
            "bella bia chiara cino dena dola ggio gna lino mare melo naro nara no rano retto ria rosa sano tara verde",
            " al Mare",
        ),
        "hungarian": (
            "Bala Béké Boly Csong Deb Duna Eger Ere Fehér Gödö Hév Jász Kapos Kis Mező Nagy Orosz Ózd Pápa Sal Szent Tisza "
            "Vas Zala",
            "bánya bény egyháza endre falu földvár haza kanizsa kút llő lös marton mór patak szeg szentgyörgy tarcsa vár "
            "város vásár",
            " telep",
        ),
    }
)

PHONE_NUMBERS: Mapping[str, str] = MappingProxyType(
    {
        "GBR": "+4420794609{:02d}",
        "IRL": "+353209110{:02d}",
        "FRA": "+331990012{:02d}",
        "USA": "888-555-01{:02d}",
        "": "+120255501{:02d}",
    }
)
"""Patterns from the ranges kept for fiction, where there is one."""

_ADDRESSES = (
    "{} High Street",
    "Unit {} Station Road",
    "{} Rue de la Gare",
    "Bahnhofstr. {}",
    "Calle Mayor {}",
    "{} Main St Suite 200",
)
_MERCHANT_SHARES = (0.70, 0.235, 0.03, 0.015, 0.02)
"""Of a country's payments: known cities, small places, telephone numbers, addresses, no city at all."""


def known_cities(country: Country) -> dict[str, int]:
    """A country's best-known cities with their weights."""
    pairs = (entry.rsplit(" ", 1) for entry in country.cities.split("|"))
    return {name: int(customers) for name, customers in pairs}


def small_places(random: np.random.Generator, family: str, count: int) -> list[str]:
    """At most `count` made-up places of a language family, in random order."""
    beginnings, endings, following = _FAMILIES[family]
    names = [beginning + ending for beginning, ending in product(beginnings.split(), endings.split())]
    names += [name + following for name in names]
    return [names[position] for position in random.permutation(len(names))[:count]]


def home_cities(random: np.random.Generator, country: Country, customers: int, with_digits: int) -> list[str]:
    """What `customers` people of a country typed as their city, `with_digits` of them with a post code or a district in it."""
    known = known_cities(country)
    small = max(country.customers - sum(known.values()), 1)
    places = small_places(random, country.family, max(small, 3))
    weights = np.concatenate([np.fromiter(known.values(), dtype=np.float64), np.full(len(places), small / len(places))])
    names = [*known, *places]
    typed = [names[position] for position in random.choice(len(names), size=customers, p=weights / weights.sum())]
    typed = [_carelessly(name, habit) for name, habit in zip(typed, random.random(customers).tolist(), strict=True)]
    return [_with_digits(name, number) for number, name in enumerate(typed[:with_digits], 1)] + typed[with_digits:]


def _carelessly(name: str, habit: float) -> str:
    if habit < 0.02:
        return name.lower()
    if habit < 0.035:
        return name.upper()
    return name + " " if habit < 0.04 else name


def _with_digits(name: str, number: int) -> str:
    post_code = 10_000 + number * 379 % 89_000
    return (f"{name} {number % 24 + 1}", f"{post_code} {name}", f"{post_code}")[number % 3]


class MerchantCities:
    """Every spelling of a merchant's city, and for each country a look-up table from random bits to a spelling (-1: none)."""

    def __init__(self, random: np.random.Generator) -> None:
        self.spellings: list[str] = []
        self.places = np.empty((len(COUNTRIES), TABLE_SIZE), dtype=np.int32)
        for position, country in enumerate(COUNTRIES):
            spellings, weights = _merchant_cities(random, country)
            codes = table(weights) + len(self.spellings)
            codes[codes == len(self.spellings) + len(spellings)] = -1
            self.places[position] = codes
            self.spellings += spellings
        self.is_phone_number: NDArray[np.bool_] = np.array(["+" in text or "-555-" in text for text in self.spellings])


def _merchant_cities(random: np.random.Generator, country: Country) -> tuple[list[str], Floats]:
    known = known_cities(country)
    phone = PHONE_NUMBERS.get(country.alpha_3, PHONE_NUMBERS[""])
    groups = (
        list(known),
        small_places(random, country.family, 40),
        [phone.format(number) for number in range(20)],
        [pattern.format(int(random.integers(1, 250))) for pattern in _ADDRESSES],
        [""],
    )
    weights = [np.fromiter(known.values(), dtype=np.float64) if group is groups[0] else np.ones(len(group)) for group in groups]
    shares = [share * weight / weight.sum() for share, weight in zip(_MERCHANT_SHARES, weights, strict=True)]
    return [name for group in groups[:-1] for name in group], np.concatenate(shares)
