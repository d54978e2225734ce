-- grain: one row per payment up to the day that the run knows
{{ config(materialized='view') }}

select payment_id, customer, paid_on, amount
from {{ ref('payments') }}
where paid_on <= '{{ var("up_to") }}'
