-- grain: one row per month and merchant country (alpha-3; unknown where none is given)
{{ card_not_present(['merchant_country']) }}
