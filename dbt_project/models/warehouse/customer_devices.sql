-- grain: one row per row of the bank's devices, usable or not; copy 1 of a customer is the one that counts
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_if_changed('devices') }}") }}

with devices as (select * from {{ ref('stg_bank__devices') }} {{ rows_if_changed('devices') }}),

-- devices have no date: of two systems neither is known to be the one in use
compared as (
    select
        * {{ without('os') }},
        case when min(known_os) over same_customer <> max(known_os) over same_customer then 'unknown' else os end as os,
    from (select *, nullif(os, 'unknown') as known_os from devices) as known
    window same_customer as (partition by customer_key, rejection_reason is null)
),

numbered as (
    select
        *,
        case when rejection_reason is null
            then row_number() over (
                partition by customer_key, rejection_reason is null
                order by case when os = 'unknown' then 2 else 1 end, source_row
            )
        end as copy_number,
    from compared
),

final as (
    select
        user_id,
        customer_key,
        os,
        case when copy_number > 1 then 'repeated_device' else rejection_reason end as rejection_reason,
        case when copy_number > 1 or rejection_reason is not null then source_row end as source_row,
    from numbered
)

select * from final
