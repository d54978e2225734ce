-- grain: one row per payment, the days named by the run replaced
{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    partition_by={'field': 'paid_on', 'data_type': 'date'},
    partitions=["date '" ~ var('up_to') ~ "'"],
) }}

select payment_id, paid_on, amount
from {{ ref('payments_so_far') }}
{% if is_incremental() %}where paid_on = '{{ var("up_to") }}'{% endif %}
