-- grain: one row per row of the bank's notifications that cannot be used
{{ config(materialized='incremental', pre_hook="{{ neopulse.forget_if_changed('notifications') }}") }}

with notifications as (select * from {{ ref('stg_bank__notifications') }} {{ rows_if_changed('notifications') }}),

final as (
    select user_id, rejection_reason, source_row
    from notifications
    where rejection_reason is not null
)

select * from final
