-- grain: one row per month
{{ card_not_present([]) }}
