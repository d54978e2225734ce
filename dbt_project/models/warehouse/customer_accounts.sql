-- grain: one row per row of the bank's users, usable or not; copy 1 of a customer is the one that counts
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_if_changed('users') }}") }}

with users as (select * from {{ ref('stg_bank__users') }} {{ rows_if_changed('users') }}),

usable as (
    select
        *,
        row_number() over (partition by customer_key order by created_at, source_row) as copy_number,
        first_value(source_row) over (partition by customer_key order by created_at, source_row) as counted_row,
    from users
    where rejection_reason is null
),

judged as (
    select
        * {{ without('counted_row', 'rejection_reason') }},
        case
            when copy_number = 1 then null
            when source_row = counted_row then 'exact_duplicate'
            else 'conflicting_duplicate'
        end as rejection_reason,
    from usable
    union all
    select * {{ without('rejection_reason') }}, null, rejection_reason
    from users
    where rejection_reason is not null
),

final as (
    select
        * {{ without('source_row', 'city_text') }},
        rejection_reason is null and city is null and nullif({{ trimmed('city_text') }}, '') is not null as has_city_with_digits,
        case when rejection_reason is not null or city is null then source_row end as source_row,
    from judged
)

select * from final
