-- grain: one row per day
{{ config(
    materialized='table',
    partition_by={'field': 'paid_on', 'data_type': 'date'},
    cluster_by=['payments'],
    require_partition_filter=true,
) }}

select paid_on, count(*) as payments, sum(amount) as amount
from {{ ref('payments_so_far') }}
group by paid_on
