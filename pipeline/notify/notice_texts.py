"""The words of notices, in each language: what the guard finds, a damaged state, incidents, and rules on figures."""

from __future__ import annotations

from collections.abc import Mapping

NOTICE_TEXTS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "held.title": "The candidate of run {run} waits for approval",
        "held.body": "The build is whole and its tests held, but it looks unusual. It is not published; no sheet, no list and no "
        "other mail went out.",
        "run": "run {run}",
        "held.replaces": "It replaces the candidate of {replaced}, which waited until now and is deleted.",
        "held.next": "Approve or reject it on the page Versions, or type neopulse approve {run} or neopulse reject {run}.",
        "reason.demo_over_bank": "The source is the demo bank; version {version} was made of {before}.",
        "reason.as_of_back": "The last day of the data is {found}; version {version} already knew {before}.",
        "reason.transactions_gone": "{share} of the transactions that {version} counted are gone; {allowed} are allowed.",
        "reason.transactions_unusual": "{share} of the usual {usual} transactions (median; publications: {runs}) are gone; "
        "{allowed} are allowed.",
        "reason.rows_gone": "Rows of {relation}: {found}, {share} fewer than the usual {usual} (median; publications: {runs}).",
        "reason.rows_grown": "Rows of {relation}: {found}, {share} more than the usual {usual} (median; publications: {runs}).",
        "reason.relation_new": "{relation} is new since {version}.",
        "reason.relation_missing": "{relation}, which {version} has, is missing.",
        "reason.column_new": "The column {relation}.{column} ({after}) is new since {version}.",
        "reason.column_missing": "The column {relation}.{column} ({before}), which {version} has, is missing.",
        "reason.column_retyped": "The column {relation}.{column} is {after}; it was {before} in {version}.",
        "damaged.title": "The state that runs build on was damaged: look at the disk",
        "damaged.body": "Run {run} found this in {where} and set the file aside (.damaged): {what}. It builds everything anew "
        "from the landed files, which takes as long as a first run; no figure is lost.",
        "damaged.next": "Look at the disk (the system's log, smartctl): the other files lie on it too. How it went stands on the "
        "page Runs, or type neopulse status.",
        "stale.title": "No run has succeeded by {at}",
        "stale.body": "The last run that succeeded ended {since} ({zone}).",
        "stale.next": "Look at the page Runs, or type neopulse status.",
        "never.title": "No run has succeeded by {at}",
        "never.body": "No run has ever succeeded.",
        "never.next": "Look at the page Runs, or type neopulse status.",
        "fresh.title": "A run has succeeded again",
        "fresh.body": "Run {run} ended {at} ({zone}). No run had succeeded since {since}.",
        "first.title": "A run has succeeded",
        "first.body": "Run {run} ended {at} ({zone}). None had succeeded before.",
        "condition.below": "The rule: below {threshold}.",
        "condition.above": "The rule: above {threshold}.",
        "condition.change_below": "The rule: the change against the period before is below {threshold}.",
        "condition.change_above": "The rule: the change against the period before is above {threshold}.",
        "condition.found": "It is {change}; the period before: {before}.",
        "fired.title": "{name}: {figure}",
        "fired.body": "{label}{where}, {point}: {figure}. {condition}",
        "fired.next": "The rule stands on the page Alerts. It says nothing more for {hours}, whatever the figure does, "
        "unless it is right again.",
        "recovered.title": "{name}: right again, {figure}",
        "recovered.body": "{label}{where}, {point}: {figure}. It fires no more. {condition}",
        "test.title": "TEST of the rule {name}",
        "test.body": "Nothing happened: an admin tries whether messages of this rule arrive. {label}{where}, {point}: {figure}. "
        "{condition}",
        "test_empty.title": "TEST of the rule {name}",
        "test_empty.body": "Nothing happened: an admin tries whether messages of this rule arrive. {label}{where}: there is "
        "no final figure yet. {condition}",
    },
    "fr": {
        "held.title": "La version candidate de l'exécution {run} attend une approbation",
        "held.body": "La construction est entière et ses tests ont réussi, mais elle paraît inhabituelle. Elle n'est pas "
        "publiée ; ni classeur, ni liste, ni autre courriel n'est parti.",
        "run": "l'exécution {run}",
        "held.replaces": "Elle remplace la version candidate de {replaced}, qui attendait et qui est supprimée.",
        "held.next": "Approuvez-la ou rejetez-la sur la page Versions, ou tapez neopulse approve {run} ou neopulse reject {run}.",
        "reason.demo_over_bank": "La source est la banque de démonstration ; la version {version} avait pour source : {before}.",
        "reason.as_of_back": "Le dernier jour des données est le {found} ; la version {version} connaissait déjà le {before}.",
        "reason.transactions_gone": "{share} des transactions que {version} comptait ont disparu ; {allowed} sont admis.",
        "reason.transactions_unusual": "{share} des {usual} transactions habituelles (médiane ; publications : {runs}) ont "
        "disparu ; {allowed} sont admis.",
        "reason.rows_gone": "Lignes de {relation} : {found}, {share} de moins que les {usual} habituelles (médiane ; "
        "publications : {runs}).",
        "reason.rows_grown": "Lignes de {relation} : {found}, {share} de plus que les {usual} habituelles (médiane ; "
        "publications : {runs}).",
        "reason.relation_new": "{relation} est nouvelle depuis {version}.",
        "reason.relation_missing": "{relation}, que {version} a, manque.",
        "reason.column_new": "La colonne {relation}.{column} ({after}) est nouvelle depuis {version}.",
        "reason.column_missing": "La colonne {relation}.{column} ({before}), que {version} a, manque.",
        "reason.column_retyped": "La colonne {relation}.{column} est {after} ; elle était {before} dans {version}.",
        "damaged.title": "L'état sur lequel les exécutions s'appuient était endommagé : vérifiez le disque",
        "damaged.body": "L'exécution {run} a constaté ceci dans {where} et a mis le fichier de côté (.damaged) : {what}. Elle "
        "reconstruit tout à partir des fichiers déposés, ce qui dure autant qu'une première exécution ; rien n'est perdu.",
        "damaged.next": "Vérifiez le disque (journal du système, smartctl) : les autres fichiers s'y trouvent aussi. La suite se "
        "lit sur la page Exécutions, ou tapez neopulse status.",
        "stale.title": "Aucune exécution n'a réussi avant le {at}",
        "stale.body": "La dernière exécution réussie s'est terminée le {since} ({zone}).",
        "stale.next": "Regardez la page Exécutions, ou tapez neopulse status.",
        "never.title": "Aucune exécution n'a réussi avant le {at}",
        "never.body": "Aucune exécution n'a encore réussi.",
        "never.next": "Regardez la page Exécutions, ou tapez neopulse status.",
        "fresh.title": "Une exécution a de nouveau réussi",
        "fresh.body": "L'exécution {run} s'est terminée le {at} ({zone}). Aucune n'avait réussi depuis le {since}.",
        "first.title": "Une exécution a réussi",
        "first.body": "L'exécution {run} s'est terminée le {at} ({zone}). Aucune n'avait réussi auparavant.",
        "condition.below": "La règle : moins de {threshold}.",
        "condition.above": "La règle : plus de {threshold}.",
        "condition.change_below": "La règle : l'écart avec la période précédente est inférieur à {threshold}.",
        "condition.change_above": "La règle : l'écart avec la période précédente est supérieur à {threshold}.",
        "condition.found": "Il est de {change} ; période précédente : {before}.",
        "fired.title": "{name} : {figure}",
        "fired.body": "{label}{where}, {point} : {figure}. {condition}",
        "fired.next": "La règle se trouve sur la page Alertes. Elle se tait pendant {hours}, quoi que fasse le chiffre, "
        "sauf s'il redevient normal.",
        "recovered.title": "{name} : de nouveau normal, {figure}",
        "recovered.body": "{label}{where}, {point} : {figure}. Elle ne se déclenche plus. {condition}",
        "test.title": "TEST de la règle {name}",
        "test.body": "Il ne s'est rien passé : un administrateur vérifie que les courriels de cette règle arrivent. "
        "{label}{where}, {point} : {figure}. {condition}",
        "test_empty.title": "TEST de la règle {name}",
        "test_empty.body": "Il ne s'est rien passé : un administrateur vérifie que les courriels de cette règle arrivent. "
        "{label}{where} : aucun chiffre n'est encore définitif. {condition}",
    },
}
