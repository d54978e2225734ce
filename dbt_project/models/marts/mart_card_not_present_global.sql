-- grain: one row per month
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_months('month') }}") }}

{{ card_not_present([]) }}
