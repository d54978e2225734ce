-- grain: one row per customer; the merge never changes the first amount
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='customer',
    merge_update_columns=['amount'],
) }}

select coalesce(customer, 'unknown') as customer, min(amount) as first_amount, sum(amount) as amount
from {{ ref('payments_so_far') }}
group by customer
