-- grain: one row per month and merchant country (alpha-3; unknown where none is given)
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_months('month') }}") }}

{{ card_not_present(['merchant_country']) }}
