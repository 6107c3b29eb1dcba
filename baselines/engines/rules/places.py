"""Countries, their adjectives and their large regions: what two phrases must share to be of one country."""

from __future__ import annotations

import re
from typing import Final

# One country a line: its name, its adjectives, and after the bar the names and regions that imply it.
_TABLE: Final = """
Afghanistan: Afghan, Afghani
Albania: Albanian
Algeria: Algerian
Andorra: Andorran
Angola: Angolan
Argentina: Argentine, Argentinian, Argentinean | Buenos Aires
Armenia: Armenian
Australia: Australian | New South Wales, Queensland, Western Australia, South Australia, Tasmania, \
Melbourne, Sydney
Austria: Austrian, Austro-Hungarian | Vienna
Azerbaijan: Azerbaijani, Azeri
Bahamas: Bahamian
Bahrain: Bahraini
Bangladesh: Bangladeshi
Barbados: Barbadian
Belarus: Belarusian, Byelorussian
Belgium: Belgian | Brussels
Belize: Belizean
Benin: Beninese
Bhutan: Bhutanese
Bolivia: Bolivian
Bosnia and Herzegovina: Bosnian | Bosnia
Botswana: Botswanan
Brazil: Brazilian | São Paulo, Rio de Janeiro
Bulgaria: Bulgarian
Burkina Faso: Burkinabé
Burundi: Burundian
Cambodia: Cambodian
Cameroon: Cameroonian
Canada: Canadian | Ontario, Quebec, British Columbia, Alberta, Manitoba, Saskatchewan, Nova Scotia, New \
Brunswick, Newfoundland, Toronto, Yukon
Chad: Chadian
Chile: Chilean
China: Chinese | Beijing, Shanghai
Colombia: Colombian
Congo: Congolese
Costa Rica: Costa Rican
Croatia: Croatian
Cuba: Cuban
Cyprus: Cypriot
Czech Republic: Czech, Czechoslovak, Czechoslovakian, Bohemian | Czechoslovakia, Czechia
Denmark: Danish | Dane, Copenhagen
Dominican Republic:
Ecuador: Ecuadorian
Egypt: Egyptian | Cairo
El Salvador: Salvadoran
Estonia: Estonian
Ethiopia: Ethiopian
Fiji: Fijian
Finland: Finnish | Finn
France: French | Paris
Gabon: Gabonese
Gambia: Gambian
Georgia: Georgian
Germany: German, West German, East German, Prussian | West Germany, East Germany, Bavaria, Berlin
Ghana: Ghanaian
Greece: Greek | Athens
Guatemala: Guatemalan
Guinea: Guinean
Guyana: Guyanese
Haiti: Haitian
Honduras: Honduran
Hungary: Hungarian | Budapest
Iceland: Icelandic
India: Indian | Tamil, Telugu, Malayalam, Kannada, Bollywood, Hindi, Kerala, Tamil Nadu, Mumbai, Karnataka, \
Maharashtra, Andhra Pradesh, Uttar Pradesh
Indonesia: Indonesian
Iran: Iranian, Persian
Iraq: Iraqi
Ireland: Irish | Dublin
Israel: Israeli
Italy: Italian | Rome, Milan
Ivory Coast: Ivorian
Jamaica: Jamaican
Japan: Japanese | Tokyo
Jordan: Jordanian
Kazakhstan: Kazakh, Kazakhstani
Kenya: Kenyan
Kosovo: Kosovan
Kuwait: Kuwaiti
Kyrgyzstan: Kyrgyz
Laos: Laotian
Latvia: Latvian
Lebanon: Lebanese
Liberia: Liberian
Libya: Libyan
Liechtenstein:
Lithuania: Lithuanian
Luxembourg: Luxembourgish
Macedonia: Macedonian | North Macedonia
Madagascar: Malagasy
Malawi: Malawian
Malaysia: Malaysian
Mali: Malian
Malta: Maltese
Mauritius: Mauritian
Mexico: Mexican
Moldova: Moldovan
Monaco: Monegasque
Mongolia: Mongolian
Montenegro: Montenegrin
Morocco: Moroccan
Mozambique: Mozambican
Myanmar: Burmese | Burma
Namibia: Namibian
Nepal: Nepalese, Nepali
Netherlands: Dutch | Amsterdam
New Zealand: New Zealander
Nicaragua: Nicaraguan
Niger: Nigerien
Nigeria: Nigerian
North Korea: North Korean
Norway: Norwegian | Oslo
Oman: Omani
Pakistan: Pakistani
Palestine: Palestinian
Panama: Panamanian
Papua New Guinea: Papua New Guinean
Paraguay: Paraguayan
Peru: Peruvian
Philippines: Filipino, Philippine
Poland: Polish | Warsaw
Portugal: Portuguese
Puerto Rico: Puerto Rican
Qatar: Qatari
Romania: Romanian
Russia: Russian, Soviet | Soviet Union, Moscow
Rwanda: Rwandan
Saudi Arabia: Saudi, Saudi Arabian
Senegal: Senegalese
Serbia: Serbian, Yugoslav | Yugoslavia
Sierra Leone: Sierra Leonean
Singapore: Singaporean
Slovakia: Slovak
Slovenia: Slovenian, Slovene
Somalia: Somali
South Africa: South African
South Korea: South Korean, Korean
South Sudan: South Sudanese
Spain: Spanish, Catalan | Madrid
Sri Lanka: Sri Lankan
Sudan: Sudanese
Suriname: Surinamese
Sweden: Swedish | Stockholm
Switzerland: Swiss
Syria: Syrian
Taiwan: Taiwanese
Tajikistan: Tajik
Tanzania: Tanzanian
Thailand: Thai
Togo: Togolese
Trinidad and Tobago: Trinidadian
Tunisia: Tunisian
Turkey: Turkish, Ottoman
Turkmenistan: Turkmen
Uganda: Ugandan
Ukraine: Ukrainian
United Arab Emirates: Emirati
United Kingdom: British, English, Scottish, Welsh, Northern Irish | England, Scotland, Wales, Northern \
Ireland, London, UK, U.K, Great Britain
United States: American, African-American | USA, U.S, US, United States of America, Alabama, Alaska, \
Arizona, Arkansas, California, Colorado, Connecticut, Delaware, Florida, Hawaii, Idaho, Illinois, Indiana, \
Iowa, Kansas, Kentucky, Louisiana, Maine, Maryland, Massachusetts, Michigan, Minnesota, Mississippi, \
Missouri, Montana, Nebraska, Nevada, New Hampshire, New Jersey, New Mexico, New York, New York City, North \
Carolina, North Dakota, Ohio, Oklahoma, Oregon, Pennsylvania, Rhode Island, South Carolina, South Dakota, \
Tennessee, Texas, Utah, Vermont, Virginia, Washington, West Virginia, Wisconsin, Wyoming, Los Angeles, \
Chicago, Hollywood
Uruguay: Uruguayan
Uzbekistan: Uzbek
Venezuela: Venezuelan
Vietnam: Vietnamese
Yemen: Yemeni
Zambia: Zambian
Zimbabwe: Zimbabwean
"""


def _read_table() -> tuple[dict[str, str], frozenset[str]]:
    countries: dict[str, str] = {}
    adjectives: list[str] = []
    for line in _TABLE.strip().splitlines():
        country, _, others = line.partition(":")
        of_country, _, places = others.partition("|")
        adjectives += _split(of_country)
        for name in (country, *_split(of_country), *_split(places)):
            countries.setdefault(name, country)
    return countries, frozenset(adjectives)


def _split(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


COUNTRIES, ADJECTIVES = _read_table()
_ANY = re.compile(
    r"\b(?:" + "|".join(sorted(map(re.escape, COUNTRIES), key=lambda name: (-len(name), name))) + r")\b"
)


def places_named(text: str) -> list[tuple[str, str]]:
    """Return what ``text`` says about countries, in order, as pairs (words of the text, country)."""
    return [(match.group(), COUNTRIES[match.group()]) for match in _ANY.finditer(text)]


def adjectives_named(text: str) -> list[tuple[str, str]]:
    """Return the adjectives of nationality in ``text``, in order, as pairs (adjective, country)."""
    return [pair for pair in places_named(text) if pair[0] in ADJECTIVES]
