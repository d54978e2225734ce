-- grain: one row per customer, with an enforced contract
{{ config(materialized='table', contract={'enforced': true}) }}

select customer, amount, 1 as one
from {{ ref('customers') }}
