"""The published figures that the demo bank is calibrated on, at the size of the original bank."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import NamedTuple

FIRST_DAY = date(2018, 1, 1)
END = datetime(2019, 5, 16, 18, 22)
LAST_SIGNUP = datetime(2019, 1, 3, 7, 34)

TRANSACTIONS = 2_740_075
CUSTOMERS = 19_430
WITHOUT_TRANSACTION = 664
WITHOUT_COMPLETED = 237
NOTIFICATIONS = 121_813
NOTIFIED_CUSTOMERS = 18_953

# Signups from the 1st, from the 11th and from the 21st of each month of 2018.
SIGNUPS_BY_TEN_DAYS = (
    (353, 353, 399),
    (353, 272, 273),
    (838, 522, 422),
    (389, 378, 419),
    (450, 507, 603),
    (503, 547, 527),
    (491, 538, 543),
    (585, 500, 692),
    (621, 578, 583),
    (592, 631, 575),
    (565, 559, 788),
    (845, 765, 809),
)
SIGNUPS_OF_JANUARY_2019 = 62
PLANS: Mapping[str, int] = MappingProxyType(
    {"STANDARD": 17_992, "PREMIUM": 865, "METAL": 507, "METAL_FREE": 37, "PREMIUM_OFFER": 25, "PREMIUM_FREE": 4}
)
BRANDS: Mapping[str, int] = MappingProxyType({"Android": 9_714, "Apple": 9_673, "Unknown": 43})
CRYPTO_UNLOCKED = 3_517
CITIES_WITH_DIGITS = 199

# Marketing by push and by e-mail; the two are unknown together.
OPT_INS: Mapping[tuple[str | None, str | None], int] = MappingProxyType(
    {(None, None): 6_610, ("1.0", "1.0"): 11_405, ("1.0", "0.0"): 743, ("0.0", "0.0"): 591, ("0.0", "1.0"): 81}
)

STATES = ("COMPLETED", "DECLINED", "REVERTED", "FAILED", "PENDING", "CANCELLED")

# Rows by type, one count a state. The margins are published; how they cross is this bank's own choice.
TRANSACTIONS_BY_TYPE: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "CARD_PAYMENT": (1_236_780, 128_000, 98_000, 0, 13_000, 0),
        "TRANSFER": (475_759, 8_000, 5_000, 7_000, 3_492, 1_158),
        "TOPUP": (340_660, 2_000, 7_118, 33_053, 5_000, 500),
        "EXCHANGE": (155_148, 3_000, 0, 1_000, 0, 0),
        "ATM": (76_889, 14_286, 2_500, 0, 0, 0),
        "CASHBACK": (82_789, 0, 0, 0, 0, 0),
        "FEE": (23_659, 0, 0, 0, 0, 0),
        "CARD_REFUND": (11_962, 0, 0, 0, 0, 0),
        "TAX": (2_829, 0, 0, 0, 0, 0),
        "REFUND": (1_493, 0, 0, 0, 0, 0),
    }
)
TYPES = tuple(TRANSACTIONS_BY_TYPE)
BANK_INITIATED = ("CASHBACK", "FEE", "CARD_REFUND", "TAX", "REFUND")
WITH_MERCHANT = ("CARD_PAYMENT", "ATM", "CARD_REFUND")

NOTIFICATION_REASONS: Mapping[str, int] = MappingProxyType(
    {
        "REENGAGEMENT_ACTIVE_FUNDS": 35_844,
        "CARD_NEVER_USED": 15_220,
        "CARD_NEVER_ORDERED": 12_405,
        "PHYSICAL_CARD_PROMOTION": 10_930,
        "SPLIT_BILL_REQUEST": 8_115,
        "WELCOME_BACK": 7_240,
        "ACCOUNT_ANNIVERSARY": 6_870,
        "FIRST_STEPS": 6_105,
        "METAL_WAITING_LIST": 4_960,
        "NEW_YEAR_GREETING": 3_780,
        "AUTUMN_OFFER": 3_015,
        "BLACK_FRIDAY": 2_470,
        "PREMIUM_FEES_SAVED": 1_690,
        "PREMIUM_CARD_UNUSED": 1_215,
        "LOST_CARD_REPLACED": 1_064,
        "CARD_DETAILS_CHANGED": 611,
        "FIFTH_PAYMENT_REWARD": 279,
    }
)
CHANNELS: Mapping[str, int] = MappingProxyType({"PUSH": 68_214, "EMAIL": 51_164, "SMS": 2_435})
STATUSES: Mapping[str, int] = MappingProxyType({"SENT": 88_316, "FAILED": 33_497})

# Points of distribution functions: share of customers, value.
BIRTH_YEAR = (
    (0.0, 1929.0),
    (0.001, 1941.0),
    (0.01, 1950.0),
    (0.05, 1961.0),
    (0.1, 1967.0),
    (0.2, 1975.0),
    (0.3, 1980.0),
    (0.5, 1986.5),
    (0.7, 1991.5),
    (0.9, 1996.5),
    (0.99, 2000.5),
    (1.0, 2001.5),
)
CONTACTS = (
    (0.0, 0.0),
    (0.359, 0.9),
    (0.49, 4.0),
    (0.62, 10.0),
    (0.74, 19.0),
    (0.87, 42.0),
    (0.936, 70.0),
    (0.968, 106.0),
    (0.994, 230.0),
    (1.0, 1200.0),
)
MINUTES_TO_FIRST_TRANSACTION = (
    (0.0, 2.0),
    (0.3, 5.5),
    (0.5, 21.0),
    (0.75, 5_760.0),
    (0.9, 56_016.0),
    (0.97, 170_000.0),
    (1.0, 600_000.0),
)


class Country(NamedTuple):
    """A country of the bank's customers or merchants.

    `customers` live there; `visits` weighs how often customers from elsewhere pay there.
    """

    alpha_2: str
    alpha_3: str
    currency: str
    customers: int
    visits: int
    family: str
    """The language family of its small places' names."""
    cities: str
    """Its best-known cities with the number of customers in each, `Name 12|Other 3`."""


COUNTRIES = (
    Country("GB", "GBR", "GBP", 6315, 900, "english",
            "London 1706|Manchester 114|Glasgow 110|Bristol 108|Edinburgh 91|Birmingham 67|"
            "Belfast 66|Nottingham 50|Leeds 46|Liverpool 41|Cardiff 37|Sheffield 35|Brighton 33|Reading 31|Norwich 24|Exeter 18"),
    Country("PL", "POL", "PLN", 2306, 160, "slavic",
            "Warszawa 414|Kraków 150|Wrocław 118|Poznań 67|Łódź 51|Gdańsk 50|Gdynia 30|Warsaw 29|"
            "Lublin 26|Szczecin 25|Katowice 22|Rzeszów 14"),
    Country("FR", "FRA", "EUR", 2110, 520, "french",
            "Paris 372|Lyon 50|Toulouse 35|Marseille 31|Bordeaux 20|Nice 20|Strasbourg 18|"
            "Villeurbanne 15|Nantes 14|Lille 13|Rennes 10|PARIS 6"),
    Country("IE", "IRL", "EUR", 1214, 380, "english",
            "Dublin 367|Cork 44|Galway 33|Limerick 21|Waterford 14|Sligo 13|Navan 13|Bray 13"),
    Country("RO", "ROU", "RON", 1096, 90, "romanian",
            "Bucharest 225|Bucuresti 172|Cluj-Napoca 71|București 50|Timisoara 39|Cluj Napoca 35|"
            "Iasi 33|Sibiu 20|Brasov 18|Constanta 14"),
    Country("ES", "ESP", "EUR", 991, 480, "iberian",
            "Madrid 200|Barcelona 104|Valencia 22|Sevilla 9|Zaragoza 8|Malaga 7|Sabadell 7"),
    Country("LT", "LTU", "EUR", 646, 30, "baltic",
            "Vilnius 319|Kaunas 81|Klaipeda 24|Klaipėda 17|Alytus 11|Siauliai 9|Šiauliai 9"),
    Country("PT", "PRT", "EUR", 604, 170, "iberian",
            "Lisboa 145|Lisbon 38|Porto 37|Odivelas 13|Coimbra 12|Matosinhos 10|Almada 10"),
    Country("MT", "MLT", "EUR", 548, 40, "italian",
            "Sliema 37|Mosta 35|Naxxar 22|Attard 20|Birkirkara 15|Msida 15|Hamrun 15|San Gwann 14"),
    Country("DE", "DEU", "EUR", 446, 360, "german",
            "Berlin 50|Hamburg 18|München 14|Stuttgart 11|Frankfurt 11|Köln 9|Düsseldorf 9"),
    Country("CH", "CHE", "CHF", 443, 130, "german",
            "Zürich 47|Zurich 30|Genève 17|Geneva 11|Geneve 11|Lausanne 11|Bern 10|Basel 8"),
    Country("CZ", "CZE", "CZK", 355, 90, "slavic", "Prague 49|Praha 36|Brno 28|Ostrava 11|Olomouc 4|Liberec 4"),
    Country("IT", "ITA", "EUR", 311, 330, "italian", "Milano 31|Rome 13|Roma 12|Bologna 8|Milan 7|Torino 6|Verona 5"),
    Country("GR", "GRC", "EUR", 218, 110, "greek", "Athens 74|Thessaloniki 18|Heraklion 9|ATHENS 4|THESSALONIKI 4"),
    Country("CY", "CYP", "EUR", 191, 30, "greek", "Nicosia 81|Limassol 50|Larnaca 15|Larnaka 7|Paphos 4"),
    Country("NL", "NLD", "EUR", 174, 420, "german", "Amsterdam 42|Eindhoven 9|Rotterdam 9|Haarlem 7|Almere 5"),
    Country("LV", "LVA", "EUR", 171, 25, "baltic", "Riga 69|Rīga 19|Jurmala 7|Jelgava 4|Marupe 4"),
    Country("HU", "HUN", "HUF", 157, 60, "hungarian", "Budapest 90|Szeged 3|Miskolc 3|Debrecen 2"),
    Country("BE", "BEL", "EUR", 143, 130, "french", "Bruxelles 14|Brussels 13|Leuven 5|Antwerpen 3|Gent 3"),
    Country("SE", "SWE", "SEK", 141, 70, "german", "Stockholm 36|Malmö 6|Göteborg 5|Uppsala 4"),
    Country("DK", "DNK", "DKK", 101, 60, "german", "Copenhagen 19|Frederiksberg 4|Aarhus 3|København 2"),
    Country("BG", "BGR", "BGN", 94, 40, "slavic", "Sofia 52|Plovdiv 12|Varna 11|Stara Zagora 3"),
    Country("SI", "SVN", "EUR", 87, 20, "slavic", "Ljubljana 26|Maribor 5|Kranj 4"),
    Country("NO", "NOR", "NOK", 87, 40, "german", "Oslo 34|Bergen 3|Stavanger 3|Trondheim 2"),
    Country("SK", "SVK", "EUR", 79, 20, "slavic", "Bratislava 24|Trencin 3|Kosice 2"),
    Country("AT", "AUT", "EUR", 78, 90, "german", "Wien 18|Vienna 10|Salzburg 2|Innsbruck 2"),
    Country("HR", "HRV", "HRK", 63, 60, "slavic", "Zagreb 38|Split 3|Rijeka 2"),
    Country("JE", "JEY", "GBP", 55, 3, "english", "St Helier 15|St Saviour 11|St Brelade 4"),
    Country("GI", "GIB", "GBP", 44, 3, "english", "Gibraltar 42|gibraltar 2"),
    Country("FI", "FIN", "EUR", 38, 30, "baltic", "Helsinki 14|Espoo 8|Oulu 4"),
    Country("EE", "EST", "EUR", 35, 20, "baltic", "Tallinn 20|Tartu 4|Narva 3"),
    Country("LU", "LUX", "EUR", 24, 260, "german", "Luxembourg 16"),
    Country("GG", "GGY", "GBP", 15, 2, "english", "Guernsey 7|St Peter Port 4"),
    Country("IM", "IMN", "GBP", 11, 2, "english", "Isle Of Man 7|Douglas 2"),
    Country("GP", "GLP", "EUR", 10, 1, "french", "Baie Mahault 3|Les Abymes 2"),
    Country("RE", "REU", "EUR", 7, 1, "french", "Saint Denis 2|Le Tampon 1"),
    Country("IS", "ISL", "ISK", 7, 15, "german", "Reykjavik 4|Reykjavík 1"),
    Country("AU", "AUS", "AUD", 6, 60, "english", "Sydney 3|Melbourne 1"),
    Country("LI", "LIE", "CHF", 4, 1, "german", "Schaan 2|Vaduz 1"),
    Country("MQ", "MTQ", "EUR", 4, 1, "french", "Fort-de-France 2"),
    Country("GF", "GUF", "EUR", 1, 1, "french", "Cayenne 1"),
    Country("US", "USA", "USD", 0, 420, "english", "New York 40|San Francisco 30|Seattle 12|Miami 6"),
    Country("TH", "THA", "THB", 0, 60, "italian", "Bangkok 40|Phuket 10"),
    Country("TR", "TUR", "TRY", 0, 40, "slavic", "Istanbul 40|Antalya 10"),
    Country("AE", "ARE", "AED", 0, 40, "italian", "Dubai 40|Abu Dhabi 8"),
    Country("CA", "CAN", "CAD", 0, 40, "english", "Toronto 20|Montreal 12"),
    Country("JP", "JPN", "JPY", 0, 30, "italian", "Tokyo 40|Kyoto 10"),
    Country("SG", "SGP", "SGD", 0, 25, "english", "Singapore 40"),
    Country("HK", "HKG", "HKD", 0, 25, "english", "Hong Kong 40"),
    Country("IL", "ISR", "ILS", 0, 25, "italian", "Tel Aviv 20|Jerusalem 8"),
    Country("RU", "RUS", "RUB", 0, 25, "slavic", "Moscow 30|Saint Petersburg 12"),
    Country("MA", "MAR", "MAD", 0, 20, "french", "Marrakech 20|Casablanca 10"),
    Country("ZA", "ZAF", "ZAR", 0, 15, "english", "Cape Town 20|Johannesburg 8"),
    Country("IN", "IND", "INR", 0, 15, "italian", "Mumbai 20|Delhi 10"),
    Country("MX", "MEX", "MXN", 0, 15, "iberian", "Mexico 20|Cancun 8"),
    Country("NZ", "NZL", "NZD", 0, 10, "english", "Auckland 20|Wellington 8"),
    Country("QA", "QAT", "QAR", 0, 8, "italian", "Doha 20"),
    Country("SA", "SAU", "SAR", 0, 5, "italian", "Riyadh 10"),
)  # fmt: skip

CRYPTOCURRENCIES = ("BTC", "ETH", "LTC", "XRP")
CURRENCIES = tuple(dict.fromkeys(country.currency for country in COUNTRIES)) + CRYPTOCURRENCIES
