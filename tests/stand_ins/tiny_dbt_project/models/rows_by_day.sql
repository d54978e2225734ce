-- grain: one row per payment, whole days replaced as they come
{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    partition_by={'field': 'paid_on', 'data_type': 'date'},
) }}

select payment_id, paid_on, amount, '{{ var("up_to") }}' as written_by
from {{ ref('payments_so_far') }}
{% if is_incremental() %}where paid_on >= '{{ var("up_to") }}'{% endif %}
