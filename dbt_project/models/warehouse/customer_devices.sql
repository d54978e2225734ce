-- grain: one row per row of the bank's devices, usable or not; copy 1 of a customer is the one that counts
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_if_changed('devices') }}") }}

with devices as (select * from {{ ref('stg_bank__devices') }} {{ rows_if_changed('devices') }}),

numbered as (
    select
        *,
        case when rejection_reason is null
            then row_number() over (partition by customer_key, rejection_reason is null order by os, source_row)
        end as copy_number,
    from devices
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
