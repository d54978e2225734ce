-- grain: one row per customer, kept up by merge
{{ config(
    materialized='incremental',
    incremental_strategy='merge',
    unique_key='customer',
    partition_by={'field': 'last_paid_on', 'data_type': 'date'},
    cluster_by=['customer'],
) }}

select
    coalesce(customer, 'unknown') as customer,
    max(paid_on) as last_paid_on,
    sum(amount) as amount,
from {{ ref('payments_so_far') }}
group by customer
