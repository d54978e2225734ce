"""The words of the report by mail, in each language."""

from __future__ import annotations

from collections.abc import Mapping

REPORT_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title.weekly": "The week to {last}",
        "title.monthly": "The month of {month}",
        "of_all": "All countries",
        "of_some": "Customers: {countries}",
        "figures": "Key figures",
        "counted.weekly": "Who came, came back or left is counted over 28 days, not over this week alone.",
        "counted.monthly": "Who came, came back or left is counted over 28 days, whatever the length of the month.",
        "churn": "Monthly churn rate in {month}, {by}",
        "by.plan_tier": "by tier",
        "by.plan": "by plan",
        "by.country": "by country",
        "shown": "{shown} of {total}, the largest first",
        "n": "n = {n}",
        "thin": "fewer than 30, too few to judge",
        "withheld": "not shown: fewer than 10 customers",
        "thin_day": "{last} holds less than {share} of its usual active customers: loading may not be finished, "
        "and figures of this day may still rise.",
        "thin_tail": "Each day from {first} to {last} holds less than {share} of its usual active customers: loading may not be "
        "finished, and figures of these days may still rise.",
        "problems": "The bank's data",
        "problems.none": "Every row of the bank could be used as it came.",
        "problems.some.one": "{rows} row is rejected, or used although it is doubtful. Kinds: {kinds}, the commonest first:",
        "problems.some.other": "{rows} rows are rejected, or used although they are doubtful. Kinds: {kinds}, the commonest "
        "first:",
        "problems.confined": "Counted for all countries together, so not part of this report.",
        "open": "Open the same key figures in neopulse, while version {version} is kept",
        "footer": "You get this because an admin of neopulse subscribed this address ({frequency}). It shows what you may see.",
        "weekly": "weekly",
        "monthly": "monthly",
    },
    "fr": {
        "title.weekly": "La semaine jusqu'au {last}",
        "title.monthly": "Rapport du mois : {month}",
        "of_all": "Tous les pays",
        "of_some": "Clients : {countries}",
        "figures": "Chiffres clés",
        "counted.weekly": "Les arrivées, les retours et les départs sont comptés sur 28 jours, et non sur cette seule semaine.",
        "counted.monthly": "Les arrivées, les retours et les départs sont comptés sur 28 jours, quelle que soit la longueur du "
        "mois.",
        "churn": "Taux d'attrition mensuel en {month}, {by}",
        "by.plan_tier": "par gamme",
        "by.plan": "par offre",
        "by.country": "par pays",
        "shown": "{shown} sur {total}, les plus grands d'abord",
        "n": "n = {n}",
        "thin": "moins de 30, trop peu pour juger",
        "withheld": "non affiché : moins de 10 clients",
        "thin_day": "Le {last} compte moins de {share} de ses clients actifs habituels : le chargement n'est peut-être pas "
        "terminé, et les chiffres de ce jour peuvent encore monter.",
        "thin_tail": "Chaque jour du {first} au {last} compte moins de {share} de ses clients actifs habituels : le chargement "
        "n'est peut-être pas terminé, et les chiffres de ces jours peuvent encore monter.",
        "problems": "Les données de la banque",
        "problems.none": "Toutes les lignes de la banque ont pu être utilisées telles quelles.",
        "problems.some.one": "{rows} ligne est rejetée, ou utilisée bien que douteuse. Sortes : {kinds}, les plus fréquentes "
        "d'abord :",
        "problems.some.other": "{rows} lignes sont rejetées, ou utilisées bien que douteuses. Sortes : {kinds}, les plus "
        "fréquentes d'abord :",
        "problems.confined": "Comptées pour tous les pays ensemble, donc absentes de ce rapport.",
        "open": "Ouvrir les mêmes chiffres clés dans neopulse, tant que la version {version} est conservée",
        "footer": "Vous recevez ceci parce qu'un administrateur de neopulse a abonné cette adresse ({frequency}). Il montre ce "
        "que vous pouvez voir.",
        "weekly": "hebdomadaire",
        "monthly": "mensuel",
    },
}
